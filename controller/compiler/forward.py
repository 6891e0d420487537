"""Tables egress_meter, router and forward as far as nothing is routed, and output: the VIF's rate, who receives, and
by which port.

Where an uplink has several ports the bridge is a switch between them: a frame goes to the one behind which its receiver
was heard, or to all of them.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial

from controller.compiler.bridge import Bridge, BridgeSegment, BridgeVif
from controller.compiler.flow import Flow, Origin, flow, goto, of_table
from controller.compiler.limits import MOST_IN_SEGMENT
from controller.compiler.packet_rates import PacketBounds
from controller.compiler.parts import Part
from controller.compiler.survey import Survey, leaf_of
from controller.dataplane.actions import (
    DROP,
    Action,
    Clone,
    Instructions,
    Output,
    PushVlan,
    Resubmit,
    SetField,
    SetQueue,
)
from controller.dataplane.cookies import CookieKind
from controller.dataplane.match import FieldValue
from controller.dataplane.pipeline import (
    EGRESS_BOUNDS,
    EGRESS_METER,
    FORWARD,
    INGRESS_BOUNDS,
    INGRESS_CONNTRACK,
    MARKING,
    OUTPUT,
    OUTSIDE,
    ROUTER,
)
from controller.dataplane.protocols import ETH_ARP, ETH_IPV4, ETH_IPV6, MULTICAST, VLAN_PRESENT
from controller.dataplane.registers import (
    BOUND,
    EGRESS_DIGEST,
    FLOOD_CHUNK,
    FLOODED,
    OUTSIDE_PORT,
    RESENT,
    SEGMENT,
    SOURCE_VIF,
    TARGET_VIF,
)
from policies.model import Direction

CHUNK_VIFS = 256  # receivers in one flood entry: 40 kB at most of the 64 kB that an OpenFlow message holds
SKIPS_ROUTER = 60_000  # priority in table router, above all that is routed or answered there
_NOBODY = 0


class SegmentTooLarge(ValueError):
    """More VIFs of one segment on one bridge than the switch can copy a broadcast to."""


def parts(bridge: Bridge, found: Survey, bounds: PacketBounds) -> Iterator[Part]:
    """Raises SegmentTooLarge."""
    members: dict[str, list[int]] = defaultdict(list)
    yield Part("forward", None, _common)
    for vif in sorted(bridge.vifs, key=lambda vif: vif.number):
        digest, number = leaf_of(found, vif).digest, bridge.segments[vif.segment].number
        members[vif.segment].append(vif.number)
        is_bounded, ingress = bool(bounds.of(vif.number, Direction.EGRESS)), bounds.of(vif.number, Direction.INGRESS)
        inputs = (vif.mac, number, vif.egress_meter is None, digest, is_bounded)
        yield Part(("forward", vif.number), inputs, partial(_of_vif, vif, digest, number, is_bounded))
        yield Part(("output", vif.number), (vif.ofport, vif.class_queues, ingress), partial(_out, vif, ingress))
    for name, segment in bridge.used_segments().items():
        if len(members[name]) > MOST_IN_SEGMENT:
            text = f"{name}: {len(members[name])} VIFs on one bridge, of which a broadcast reaches {MOST_IN_SEGMENT}"
            raise SegmentTooLarge(f"{text}. Put some on another host or into another segment.")
        inputs_of_all = (segment, members[name])
        yield Part(("segment", segment.number), inputs_of_all, partial(_of_segment, segment, members[name]))


def outwards(segment: BridgeSegment) -> tuple[Action, ...]:
    """What comes before table mark for a frame, of no receiver here, that goes to a MAC outside this segment."""
    return (SetField(OUTSIDE_PORT, 0), Resubmit(OUTSIDE.id)) if segment.is_transit else ()


def passing(segment: BridgeSegment) -> Instructions:
    """For what comes from the segment's outside and is for nobody here: to the uplink's other ports, if it has some."""
    return goto(MARKING, *outwards(segment)) if segment.is_transit else DROP


def _common() -> Iterator[Flow]:
    """What is judged anew was forwarded before: it has its receiver."""
    yield flow(ROUTER, 0, {}, of_table(ROUTER), goto(FORWARD))
    yield flow(ROUTER, SKIPS_ROUTER, {FLOOD_CHUNK: RESENT}, of_table(ROUTER), goto(INGRESS_CONNTRACK))


def _of_vif(vif: BridgeVif, digest: int, segment: int, is_bounded: bool) -> Iterator[Flow]:
    """is_bounded: in how many packets it may send."""
    origin = CookieKind.VIF, vif.number
    meter_id = None if vif.egress_meter is None else vif.number
    judged = SetField(EGRESS_DIGEST, digest)
    onwards = goto(EGRESS_BOUNDS, judged, SetField(BOUND, 0)) if is_bounded else goto(ROUTER, judged)
    yield flow(EGRESS_METER, 100, {SOURCE_VIF: vif.number}, origin, replace(onwards, meter_id=meter_id))
    if meter_id is not None or is_bounded:  # what is judged anew has been through the meters
        resent = {SOURCE_VIF: vif.number, FLOOD_CHUNK: RESENT}
        yield flow(EGRESS_METER, 200, {**resent}, origin, goto(ROUTER, judged))
    unicast = {SEGMENT: segment, "eth_dst": vif.mac}
    yield flow(FORWARD, 300, {**unicast}, origin, goto(INGRESS_CONNTRACK, SetField(TARGET_VIF, vif.number)))


def _out(vif: BridgeVif, meter_ids: Sequence[int]) -> Iterator[Flow]:
    """meter_ids: of the bounds of what reaches it, see compiler.packet_rates."""
    origin, fields = (CookieKind.VIF, vif.number), {TARGET_VIF: vif.number}
    first = meter_ids[0] if meter_ids else None
    out = Instructions(meter_id=first, apply=(Output(vif.ofport),))
    further = len(meter_ids) > 1
    onwards = goto(INGRESS_BOUNDS, SetField(BOUND, 1), meter_id=first) if further else out
    yield flow(OUTPUT, 100, {**fields}, origin, onwards)
    for dscp, queue in vif.class_queues:
        queued = replace(onwards, apply=(SetQueue(queue), *onwards.apply))
        for eth_type in (ETH_IPV4, ETH_IPV6):
            yield flow(OUTPUT, 110, {**fields, "eth_type": eth_type, "ip_dscp": dscp}, origin, queued)
    if further:
        yield flow(OUTPUT, 200, {**fields, FLOOD_CHUNK: FLOODED, "eth_type": ETH_ARP}, origin, out)


def _of_segment(segment: BridgeSegment, members: Sequence[int]) -> Iterator[Flow]:
    carries = bool(segment.uplink_ofports) and segment.way_out is None
    yield from _flood(segment, members, carries)
    if carries:
        yield from _beyond(segment)
    if segment.uplink_ofports:
        yield from _uplink(segment)


def _flood(segment: BridgeSegment, members: Sequence[int], carries: bool) -> Iterator[Flow]:
    """A copy for each VIF, a chunk of them an entry, and last one for the outside, because that one gets a tag.

    The switch itself never sends a packet out where it came in.
    """
    chunks = [members[at : at + CHUNK_VIFS] for at in range(0, max(1, len(members)), CHUNK_VIFS)]
    for number, chunk in enumerate(chunks):
        onwards = (SetField(FLOOD_CHUNK, FLOODED), Resubmit(INGRESS_CONNTRACK.id))
        actions: list[Action] = [Clone((SetField(TARGET_VIF, receiver), *onwards)) for receiver in chunk]
        if number + 1 < len(chunks):
            actions += (SetField(FLOOD_CHUNK, number + 1), Resubmit(FORWARD.id))
        elif carries:
            actions.append(Resubmit(MARKING.id))
        fields: dict[str, FieldValue] = {SEGMENT: segment.number, FLOOD_CHUNK: number, "eth_dst": MULTICAST}
        yield flow(FORWARD, 200, fields, _origin(segment), Instructions(apply=tuple(actions)))


def _beyond(segment: BridgeSegment) -> Iterator[Flow]:
    """What no VIF here has as its MAC is outside; what comes from there passes at most."""
    origin = _origin(segment)
    yield flow(FORWARD, 100, {SOURCE_VIF: _NOBODY, SEGMENT: segment.number}, origin, passing(segment))
    yield flow(FORWARD, 50, {SEGMENT: segment.number}, origin, goto(MARKING, *outwards(segment)))


def _uplink(segment: BridgeSegment) -> Iterator[Flow]:
    tag = () if segment.vlan is None else (PushVlan(), SetField("vlan_vid", VLAN_PRESENT | segment.vlan))
    fields: dict[str, FieldValue] = {TARGET_VIF: _NOBODY, SEGMENT: segment.number}
    every = Instructions(apply=(*tag, *map(Output, segment.uplink_ofports)))
    if not segment.is_transit:
        yield flow(OUTPUT, 100, fields, _origin(segment), every)
        return
    yield flow(OUTPUT, 100, {**fields, OUTSIDE_PORT: 0}, _origin(segment), every)
    for ofport in segment.uplink_ofports:
        by_one = Instructions(apply=(*tag, Output(ofport)))
        yield flow(OUTPUT, 100, {**fields, OUTSIDE_PORT: ofport}, _origin(segment), by_one)


def _origin(segment: BridgeSegment) -> Origin:
    return CookieKind.SEGMENT, segment.number
