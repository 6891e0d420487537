"""From a share of a core to packets a second."""

from __future__ import annotations

import pytest

from policies.enforcement import PACKET_COST, PACKET_COST_OF, Feature, Port, keeping
from policies.own_numbers import INHERITED
from policies.packet_budget import ASSUMED_NS, Budget, PacketCost, budget, packet_cost
from policies.parser import parse
from policies.scaling import UNSCALED, Scaled
from policies.shortcomings import Interface, shortcomings

POLICY = """
weir: 1
policies:
  acme:
    cpu: 20 %
    children: {web: {}, db: {cpu: {min: 1 %, max: 50 %}}}
  free: {}
"""


def test_the_budget_is_the_share_at_the_cost_of_a_packet() -> None:
    policies = parse({"p.yaml": POLICY})
    measured = {PACKET_COST: "8000", PACKET_COST_OF: "60000"}
    web, db, free = (policies.nodes[path] for path in ("acme/web", "acme/db", "free"))
    assert budget(web, UNSCALED, measured) == Budget(0.2, PacketCost(8000, 60_000))
    scaled = Scaled(cpu_permille=400)
    found = [budget(web, scaled, measured), budget(db, scaled, measured), budget(db, UNSCALED, measured)]
    assert [one and one.pps for one in found] == [25_000, 50_000, 1_250]
    assert budget(free, scaled, measured) is None


def test_before_a_host_has_told_it_is_assumed() -> None:
    assert packet_cost({}) == PacketCost(ASSUMED_NS, 0)


def test_a_budget_is_never_nothing() -> None:
    assert Budget(0.0001, PacketCost(10**9, 1)).pps == 1


@pytest.mark.parametrize("kind", ["veth", "tap", "port"])
def test_where_nobody_counts_there_is_none_and_it_is_refused(kind: str) -> None:
    kernel = {PACKET_COST: "no: the kernel's softirq does the work"}
    assert budget(parse({"p.yaml": POLICY}).nodes["acme/web"], UNSCALED, kernel) is None
    found = keeping(Feature.CPU, Port(kind), kernel)
    assert (found.how, found.why_not) == (None, "the kernel's softirq does the work")
    assert keeping(Feature.CPU, Port(kind), {PACKET_COST: "9000"}).how is not None
    interface = Interface(Port(kind), "acme/web", INHERITED, INHERITED)
    (refused,) = shortcomings(parse({"p.yaml": POLICY}), interface, kernel)
    assert refused.is_refusal and str(refused).startswith(
        f"p.yaml:4:3: policies.acme.cpu: cpu cannot be kept for kind {kind}: the kernel's softirq does the work. Bound "
    )
