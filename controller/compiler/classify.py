"""Tables classify and learning: which VIF, or which segment's outside, a packet comes from, and by which way."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from functools import partial

from controller.compiler.bridge import Bridge, BridgeSegment, BridgeVif
from controller.compiler.flow import Flow, flow, goto, of_table
from controller.compiler.parts import Part
from controller.compiler.survey import Survey, leaf_of
from controller.dataplane.actions import DROP, Learn, PopVlan, SetField
from controller.dataplane.cookies import LEARNED, CookieKind
from controller.dataplane.macs import LINK_GROUP, PROBES
from controller.dataplane.match import FieldValue
from controller.dataplane.pipeline import ANTISPOOF, CLASSIFY, LEARNING, OUTSIDE, ROUTER
from controller.dataplane.protocols import ETH_IPV4, ETH_IPV6, MULTICAST, VLAN_PRESENT
from controller.dataplane.registers import MARK, OUTSIDE_PORT, SEGMENT, SOURCE_VIF

MOST_OUTSIDE = 4096  # MACs learned in a segment; what is for others goes to all ports of its uplink
_OUTSIDE_IDLE_S = 300
_UNTAGGED = 0


def parts(bridge: Bridge, found: Survey) -> Iterator[Part]:
    """A frame with a tag, even one that says VLAN 0, matches only where an uplink's segment has that VLAN."""
    yield Part("probes", None, _probes)
    macs: dict[str, list[int]] = defaultdict(list)
    for vif in bridge.vifs:
        mark, segment = leaf_of(found, vif).mark, bridge.segments[vif.segment].number
        macs[vif.segment].append(vif.mac)
        yield Part(("classify", vif.number), (vif.ofport, segment, mark), partial(_from_vif, vif, mark, segment))
    for name, own in bridge.used_segments().items():
        if own.uplink_ofports:
            yield Part(("outside", own.number), own, partial(_from_uplink, own))
        if own.is_transit:
            yield Part(("learning", own.number), (own, macs[name]), partial(_learning, own, macs[name]))


def _probes() -> Iterator[Flow]:
    """Of the queues of another host's uplink, which end here."""
    for eth_type in (ETH_IPV4, ETH_IPV6):
        yield flow(CLASSIFY, 200, {"eth_dst": LINK_GROUP, "eth_type": eth_type}, of_table(CLASSIFY), DROP)


def _from_vif(vif: BridgeVif, mark: int | None, segment: int) -> Iterator[Flow]:
    """The mark is that of what no rule is asked about; for the rest table egress_source has it anew."""
    known = [SetField(SOURCE_VIF, vif.number), SetField(SEGMENT, segment)]
    if mark is not None:
        known.append(SetField(MARK, mark + 1))
    fields = {"in_port": vif.ofport, "vlan_vid": _UNTAGGED}
    yield flow(CLASSIFY, 100, {**fields}, (CookieKind.VIF, vif.number), goto(ANTISPOOF, *known))


def _from_uplink(segment: BridgeSegment) -> Iterator[Flow]:
    vlan = _UNTAGGED if segment.vlan is None else VLAN_PRESENT | segment.vlan
    untag = () if segment.vlan is None else (PopVlan(),)
    instructions = goto(LEARNING if segment.is_transit else ROUTER, *untag, SetField(SEGMENT, segment.number))
    for ofport in segment.uplink_ofports:
        fields = {"in_port": ofport, "vlan_vid": vlan}
        yield flow(CLASSIFY, 100, {**fields}, (CookieKind.SEGMENT, segment.number), instructions)


def _learning(segment: BridgeSegment, macs: Sequence[int]) -> Iterator[Flow]:
    """A VIF here is found by its own entries, and nobody outside takes its place; no sender is a group. For hosts that
    ask how long the way is there would be an entry each: answers to them are few, and go to all ports."""
    origin = CookieKind.SEGMENT, segment.number
    unlearned: list[FieldValue] = [*macs, MULTICAST, PROBES]
    for sender in unlearned:
        yield flow(LEARNING, 100, {SEGMENT: segment.number, "eth_src": sender}, origin, goto(ROUTER))
    for ofport in segment.uplink_ofports:
        learn = Learn(
            table=OUTSIDE.id,
            priority=100,
            cookie=LEARNED | segment.number,
            matches=((SEGMENT, segment.number), ("eth_dst", "eth_src")),
            sets=((OUTSIDE_PORT, ofport),),
            idle_s=_OUTSIDE_IDLE_S,
            most=MOST_OUTSIDE,
        )
        yield flow(LEARNING, 50, {SEGMENT: segment.number, "in_port": ofport}, origin, goto(ROUTER, learn))
