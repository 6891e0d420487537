"""Tables egress_meter, forward and output: the VIF's rate, the receivers in the segment, and their ports."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence

from controller.compiler.bridge import Bridge, BridgeSegment, BridgeVif
from controller.compiler.flow import Flow, Origin, flow, goto
from controller.dataplane.actions import DROP, Action, Instructions, Output, PushVlan, Resubmit, SetField
from controller.dataplane.cookies import CookieKind
from controller.dataplane.match import FieldValue
from controller.dataplane.pipeline import EGRESS_METER, FORWARD, INGRESS_CONNTRACK, OUTPUT
from controller.dataplane.protocols import MULTICAST, VLAN_PRESENT
from controller.dataplane.registers import FLOOD_CHUNK, SEGMENT, TARGET_NODE, TARGET_VIF

MOST_IN_SEGMENT = 2000  # two of the 4096 resubmits that Open vSwitch makes for a packet, for each VIF that gets a copy
CHUNK_VIFS = 256  # receivers in one flood entry: 12 kB of the 64 kB that an OpenFlow message holds
_OUTSIDE = 0


class SegmentTooLarge(ValueError):
    """More VIFs of one segment on one bridge than the switch can copy a broadcast to."""


def flows(bridge: Bridge) -> Iterator[Flow]:
    """Raises SegmentTooLarge."""
    members: dict[str, list[BridgeVif]] = defaultdict(list)
    for vif in sorted(bridge.vifs, key=lambda vif: vif.number):
        members[vif.segment].append(vif)
        yield _meter(vif)
        yield _output(vif)
        yield _unicast(vif, bridge)
    for name, segment in bridge.used_segments().items():
        if len(members[name]) > MOST_IN_SEGMENT:
            found = f"{name}: {len(members[name])} VIFs on one bridge, of which a broadcast reaches {MOST_IN_SEGMENT}"
            raise SegmentTooLarge(f"{found}. Put some on another host or into another segment.")
        yield from _flood(segment, members[name], bridge)
        if segment.uplink_ofport is not None:
            yield from _outside(segment, segment.uplink_ofport)


def _meter(vif: BridgeVif) -> Flow:
    meter_id = None if vif.egress_meter is None else vif.number
    return flow(EGRESS_METER, 100, {"reg0": vif.number}, _of(vif), goto(FORWARD, meter_id=meter_id))


def _output(vif: BridgeVif) -> Flow:
    return flow(OUTPUT, 100, {TARGET_VIF: vif.number}, _of(vif), Instructions(apply=(Output(vif.ofport),)))


def _unicast(vif: BridgeVif, bridge: Bridge) -> Flow:
    fields: dict[str, FieldValue] = {SEGMENT: bridge.segments[vif.segment].number, "eth_dst": vif.mac}
    return flow(FORWARD, 300, fields, _of(vif), goto(INGRESS_CONNTRACK, *_to(vif, bridge)))


def _to(vif: BridgeVif, bridge: Bridge) -> tuple[Action, Action]:
    return SetField(TARGET_VIF, vif.number), SetField(TARGET_NODE, bridge.node_numbers[vif.policy])


def _flood(segment: BridgeSegment, members: Sequence[BridgeVif], bridge: Bridge) -> Iterator[Flow]:
    """A copy for each VIF, a chunk of them an entry, and last one for the outside, because that one gets a tag.

    The switch itself never sends a packet out where it came in.
    """
    chunks = [members[at : at + CHUNK_VIFS] for at in range(0, len(members), CHUNK_VIFS)]
    for number, chunk in enumerate(chunks):
        actions: list[Action] = []
        for vif in chunk:
            actions += (*_to(vif, bridge), Resubmit(INGRESS_CONNTRACK.id))
        if number + 1 < len(chunks):
            actions += (SetField(FLOOD_CHUNK, number + 1), Resubmit(FORWARD.id))
        elif segment.uplink_ofport is not None:
            actions += (SetField(TARGET_VIF, _OUTSIDE), Resubmit(OUTPUT.id))
        fields: dict[str, FieldValue] = {SEGMENT: segment.number, FLOOD_CHUNK: number, "eth_dst": MULTICAST}
        yield flow(FORWARD, 200, fields, _of_segment(segment), Instructions(apply=tuple(actions)))


def _outside(segment: BridgeSegment, ofport: int) -> Iterator[Flow]:
    """What no VIF here has as its MAC is outside, unless it comes from there."""
    origin = _of_segment(segment)
    yield flow(FORWARD, 100, {"reg0": _OUTSIDE, SEGMENT: segment.number}, origin, DROP)
    yield flow(FORWARD, 50, {SEGMENT: segment.number}, origin, goto(OUTPUT))
    tag = () if segment.vlan is None else (PushVlan(), SetField("vlan_vid", VLAN_PRESENT | segment.vlan))
    fields: dict[str, FieldValue] = {TARGET_VIF: _OUTSIDE, SEGMENT: segment.number}
    yield flow(OUTPUT, 100, fields, origin, Instructions(apply=(*tag, Output(ofport))))


def _of(vif: BridgeVif) -> Origin:
    return CookieKind.VIF, vif.number


def _of_segment(segment: BridgeSegment) -> Origin:
    return CookieKind.SEGMENT, segment.number
