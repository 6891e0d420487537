"""Bounds of packets: which a VIF is under, their meters, and tables egress_bounds and ingress_bounds.

A table uses one meter, so a packet under several bounds visits its table once for each. The VIF's own come first, then
those of the nodes above it, the nearest first: what is cut for the VIF's own sake takes nothing from its neighbours. A
VIF under no bound has no entry here, and visits neither table.

A budget of processor time counts what a VIF sends and what it receives, for each costs a packet's way through the
datapath: one meter, in both directions.

A broadcast of ARP is not counted for the nodes above its receivers: its copies share the 4096 tables that Open vSwitch
asks for one packet. The receiver's own first bound costs no table, and counts it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial

from controller.compiler.bridge import Bridge, BridgeVif
from controller.compiler.flow import Flow, flow, goto
from controller.compiler.meter_places import TooManyMeters, meter_places, spread
from controller.compiler.parts import Part
from controller.dataplane.actions import Instructions, Output, Resubmit, SetField
from controller.dataplane.cookies import CookieKind
from controller.dataplane.entries import PacketMeterBody
from controller.dataplane.match import FieldValue
from controller.dataplane.meter_ids import PACKET_METERS
from controller.dataplane.pipeline import EGRESS_BOUNDS, INGRESS_BOUNDS, ROUTER, Table
from controller.dataplane.registers import BOUND, SOURCE_VIF, TARGET_VIF
from policies.model import Direction
from policies.resolve import ancestry

BOTH = ""  # directions of a budget
# What comes in a fifth of a second, as rule meters have it: senders that react need room for what a window brings at
# once, and a burst of a fifth of the rate is over before the loop, or anybody, looks. Ten packets at least.
_BURST_PARTS, _LEAST_BURST = 5, 10


@dataclass(frozen=True, slots=True, order=True)
class PacketBound:
    """What a meter is for. vif: number; 0: all VIFs below `node` together. node: number of an inner node, 0: the VIF's
    own. direction: BOTH for a budget of processor time."""

    vif: int
    node: int
    direction: str


Rates = tuple[tuple[PacketBound, int], ...]  # in packets/s


@dataclass(frozen=True, slots=True)
class PacketBounds:
    """passing: by VIF number and direction, the meters that its packets go through, in order; only VIFs that are under
    a bound. meters: by id. uses: likewise, what each is for."""

    passing: Mapping[int, Mapping[Direction, tuple[int, ...]]] = field(default_factory=dict)
    meters: Mapping[int, PacketMeterBody] = field(default_factory=dict)
    uses: Mapping[int, PacketBound] = field(default_factory=dict)

    def of(self, vif: int, direction: Direction) -> tuple[int, ...]:
        return self.passing.get(vif, {}).get(direction, ())


def packet_meter(rate_pps: int) -> PacketMeterBody:
    return PacketMeterBody(rate_pps, max(rate_pps // _BURST_PARTS, _LEAST_BURST))


def packet_bounds(bridge: Bridge) -> PacketBounds:
    """Raises TooManyMeters; KeyError when a bounded inner node has no number."""
    above = {path: _above(bridge, path) for path in {vif.policy for vif in bridge.vifs}}
    under = {vif.number: _under(vif, above[vif.policy]) for vif in bridge.vifs}
    rates = {bound: pps for own in under.values() for bounds in own.values() for bound, pps in bounds}
    if len(rates) > len(PACKET_METERS):
        raise TooManyMeters(
            f"packets of VIFs and nodes are bounded {len(rates):,} times on one bridge, more than its "
            f"{len(PACKET_METERS):,} meters. Bound fewer by 'packets' and 'cpu', or put VIFs on other hosts."
        )
    ids = meter_places(sorted(rates), _place, PACKET_METERS)
    passing = {
        vif: {direction: tuple(ids[bound] for bound, _ in bounds) for direction, bounds in own.items()}
        for vif, own in under.items()
        if any(own.values())
    }
    uses = {number: bound for bound, number in ids.items()}
    return PacketBounds(passing, {number: packet_meter(rates[bound]) for number, bound in uses.items()}, uses)


def parts(bridge: Bridge, bounds: PacketBounds) -> Iterator[Part]:
    for vif in bridge.vifs:
        egress, ingress = bounds.of(vif.number, Direction.EGRESS), bounds.of(vif.number, Direction.INGRESS)
        if egress or len(ingress) > 1:
            inputs = (egress, ingress, vif.ofport)
            yield Part(("packet bounds", vif.number), inputs, partial(_of_vif, vif, egress, ingress))


def _of_vif(vif: BridgeVif, egress: Sequence[int], ingress: Sequence[int]) -> Iterator[Flow]:
    """The first of the ingress bounds is kept in table output."""
    yield from _chain(EGRESS_BOUNDS, (SOURCE_VIF, vif.number), egress, 0, goto(ROUTER))
    yield from _chain(INGRESS_BOUNDS, (TARGET_VIF, vif.number), ingress, 1, Instructions(apply=(Output(vif.ofport),)))


def _chain(
    table: Table, whose: tuple[str, int], meter_ids: Sequence[int], through: int, last: Instructions
) -> Iterator[Flow]:
    register, vif = whose
    for number, meter_id in enumerate(meter_ids[through:], start=through):
        again = Instructions(apply=(SetField(BOUND, number + 1), Resubmit(table.id)))
        then = last if number + 1 == len(meter_ids) else again
        fields: dict[str, FieldValue] = {register: vif, BOUND: number}
        yield flow(table, 100, fields, (CookieKind.VIF, vif), replace(then, meter_id=meter_id))


def _under(vif: BridgeVif, above: Mapping[Direction, Rates]) -> dict[Direction, Rates]:
    """In the order in which its packets meet them."""
    found: dict[Direction, Rates] = {}
    for direction, rates in above.items():
        own = [(PacketBound(vif.number, 0, direction.value), pps) for bound, pps in rates if bound.node == 0]
        budget = [] if vif.cpu_pps is None else [(PacketBound(vif.number, 0, BOTH), vif.cpu_pps)]
        found[direction] = (*own, *budget, *(rate for rate in rates if rate[0].node))
    return found


def _above(bridge: Bridge, path: str) -> dict[Direction, Rates]:
    """Of a leaf and the nodes above it, the leaf first; the leaf's are of VIF and node 0."""
    found: dict[Direction, Rates] = {}
    for direction in Direction:
        nodes = [(node, node.bandwidth(direction).packets_pps) for node in reversed(ancestry(bridge.policies, path))]
        found[direction] = tuple(
            (PacketBound(0, 0 if node.is_leaf else bridge.node_numbers[node.path], direction.value), pps)
            for node, pps in nodes
            if pps is not None
        )
    return found


def _place(bound: PacketBound) -> int:
    return spread((bound.vif, bound.node, *bound.direction.encode()), len(PACKET_METERS))
