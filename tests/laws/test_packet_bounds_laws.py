"""Whatever the tree, a packet goes through the meters of the bounds that it is under, each once, and no other."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from ipaddress import ip_address
from itertools import combinations
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from controller.compiler.bridge import Bridge
from controller.compiler.compile import compile_bridge
from controller.compiler.packet_rates import BOTH, PacketBound, packet_bounds
from controller.compiler.parts import Memo
from controller.dataplane.pipeline import check
from policies.semantics import Packet
from tests.support.bridges import Vif, bridge
from tests.support.flow_interpreter import FlowInterpreter
from tests.support.vif_packets import back, send
from tests.support.written_policies import text_of

WAYS = ("egress", "ingress")
SUBNETS = ("10.0.0.{}", "fd00::{}")
ADDRESSES = ("10.0.0.{}/24", "fd00::{}/64")
LEAVES = ("top/mid/a", "top/mid/b", "top/c", "alone")
INNER = ("top", "top/mid")

rates = st.none() | st.integers(1, 100_000)
written = st.fixed_dictionaries({path: st.tuples(rates, rates) for path in (*INNER, *LEAVES)})
budgets = st.tuples(*[rates] * 4)
homes = st.tuples(*[st.sampled_from(LEAVES)] * 4)


def policy(bounds: Mapping[str, tuple[int | None, int | None]]) -> str:
    def node(path: str) -> dict[str, Any]:
        below = [one for one in bounds if one.rpartition("/")[0] == path]
        own: dict[str, Any] = {
            way: {"packets": f"{pps} pps"} for way, pps in zip(WAYS, bounds[path], strict=True) if pps is not None
        }
        return own | ({"children": {one.rpartition("/")[2]: node(one) for one in below}} if below else {})

    tree = {path: {"unmatched": "allow", **node(path)} for path in bounds if "/" not in path}
    return text_of({"weir": "1", "segments": {"s": {"type": "internal"}}, "policies": tree})


def expected(
    bounds: Mapping[str, tuple[int | None, int | None]], vif: Vif, way: int, numbers: Mapping[str, int]
) -> Iterator[PacketBound]:
    """By the policy alone, in order: the VIF's own, its budget, then those of the nodes above, the nearest first."""
    if bounds[vif.policy][way] is not None:
        yield PacketBound(vif.number, 0, WAYS[way])
    if vif.cpu_pps is not None:
        yield PacketBound(vif.number, 0, BOTH)
    above = vif.policy
    while above := above.rpartition("/")[0]:
        if bounds[above][way] is not None:
            yield PacketBound(0, numbers[above], WAYS[way])


def follows(switch: FlowInterpreter, one: Bridge, vifs: tuple[Vif, ...], bounds: Mapping[str, Any]) -> None:
    uses = packet_bounds(one).uses
    for source, target in combinations(vifs, 2):
        for subnet in SUBNETS:
            ends = (ip_address(subnet.format(vif.number)) for vif in (source, target))
            packet = Packet(*ends, 17, 1000, 2000)
            for passing, by, to in ((packet, source, target), (back(packet), target, source)):
                switch.metered.clear()
                assert [sent.port for sent in send(switch, passing, by, to)] == [to.number]
                due = [*expected(bounds, by, 0, one.node_numbers), *expected(bounds, to, 1, one.node_numbers)]
                assert [uses[meter] for meter in switch.metered] == due


@settings(deadline=None, max_examples=25)
@given(st.lists(st.tuples(written, budgets, homes), min_size=1, max_size=3))
def test_a_packet_goes_through_the_meters_of_its_bounds_each_once(
    steps: list[tuple[dict[str, tuple[int | None, int | None]], tuple[int | None, ...], tuple[str, ...]]],
) -> None:
    """Also when one policy follows another, and the compiler keeps the parts that stay."""
    memo = Memo()
    for bounds, cpu, leaves in steps:
        vifs = tuple(
            Vif(number, leaf, tuple(map(str.format, ADDRESSES, (number, number))), cpu_pps=pps)
            for number, (leaf, pps) in enumerate(zip(leaves, cpu, strict=True), start=1)
        )
        one = bridge(policy(bounds), *vifs)
        state = compile_bridge(one, memo)
        assert state == compile_bridge(one) and check(state) == []
        follows(FlowInterpreter(state), one, vifs, bounds)
