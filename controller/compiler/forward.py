"""Tables egress_meter, forward, ingress_current and output: the VIF's rate, the receivers in the segment, their ports.

What leaves a VIF carries a digest of the rules that judged it. Between that and its receiver's judgement the rules may
change; then it is judged as egress once more, so that no packet passes by half of one policy and half of another.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from functools import partial

from controller.compiler.bridge import Bridge, BridgeSegment, BridgeVif
from controller.compiler.classify import judged_by
from controller.compiler.flow import Flow, Origin, flow, goto, of_table
from controller.compiler.parts import Part
from controller.compiler.survey import LeafView, Survey, leaf_of, path_values
from controller.dataplane.actions import DROP, Action, Clone, Instructions, Output, PushVlan, Resubmit, SetField
from controller.dataplane.cookies import CookieKind
from controller.dataplane.match import FieldValue
from controller.dataplane.pipeline import (
    EGRESS_METER,
    FORWARD,
    HOST_PROTOCOLS,
    INGRESS_CONNTRACK,
    INGRESS_CURRENT,
    INGRESS_POLICY,
    MARKING,
    OUTPUT,
)
from controller.dataplane.protocols import MULTICAST, VLAN_PRESENT
from controller.dataplane.registers import (
    EGRESS_DIGEST,
    FLOOD_CHUNK,
    FLOODED,
    MARK,
    RESENT,
    SEGMENT,
    SOURCE_VIF,
    TARGET_PATH,
    TARGET_VIF,
)

MOST_IN_SEGMENT = 2000  # one of the 4096 resubmits that Open vSwitch makes for a packet, for each VIF that gets a copy
CHUNK_VIFS = 256  # receivers in one flood entry: 40 kB at most of the 64 kB that an OpenFlow message holds
_OUTSIDE = 0
Receiver = tuple[BridgeVif, LeafView]


class SegmentTooLarge(ValueError):
    """More VIFs of one segment on one bridge than the switch can copy a broadcast to."""


def parts(bridge: Bridge, found: Survey) -> Iterator[Part]:
    """Raises SegmentTooLarge."""
    members: dict[str, list[Receiver]] = defaultdict(list)
    yield Part("current", None, _current)
    for vif in sorted(bridge.vifs, key=lambda vif: vif.number):
        leaf, number = leaf_of(found, vif), bridge.segments[vif.segment].number
        members[vif.segment].append((vif, leaf))
        inputs = (vif.ofport, vif.mac, number, vif.egress_meter is None, leaf.path, leaf.mark, leaf.digest)
        yield Part(("forward", vif.number), inputs, partial(_of_vif, (vif, leaf), number))
    for name, segment in bridge.used_segments().items():
        if len(members[name]) > MOST_IN_SEGMENT:
            text = f"{name}: {len(members[name])} VIFs on one bridge, of which a broadcast reaches {MOST_IN_SEGMENT}"
            raise SegmentTooLarge(f"{text}. Put some on another host or into another segment.")
        inputs_of_all = (segment, [(vif.number, leaf.path, leaf.mark) for vif, leaf in members[name]])
        yield Part(("segment", segment.number), inputs_of_all, partial(_of_segment, segment, members[name]))


def _current() -> Iterator[Flow]:
    """What comes from outside was judged by nobody yet."""
    judge = goto(INGRESS_POLICY)
    yield flow(INGRESS_CURRENT, 100, {SOURCE_VIF: _OUTSIDE}, of_table(INGRESS_CURRENT), judge)
    yield flow(FORWARD, 400, {FLOOD_CHUNK: RESENT}, of_table(FORWARD), goto(INGRESS_CONNTRACK))


def _of_vif(receiver: Receiver, segment: int) -> Iterator[Flow]:
    vif, leaf = receiver
    origin = CookieKind.VIF, vif.number
    meter_id = None if vif.egress_meter is None else vif.number
    judged = SetField(EGRESS_DIGEST, leaf.digest)
    yield flow(EGRESS_METER, 100, {SOURCE_VIF: vif.number}, origin, goto(FORWARD, judged, meter_id=meter_id))
    current = {SOURCE_VIF: vif.number, EGRESS_DIGEST: leaf.digest}
    yield flow(INGRESS_CURRENT, 100, {**current}, origin, goto(INGRESS_POLICY))
    again: list[Action] = [SetField(FLOOD_CHUNK, RESENT), *judged_by(leaf), Resubmit(HOST_PROTOCOLS.id)]
    yield flow(INGRESS_CURRENT, 50, {SOURCE_VIF: vif.number}, origin, Instructions(apply=tuple(again)))
    if meter_id is not None:  # it has been through the meter
        resent = {SOURCE_VIF: vif.number, FLOOD_CHUNK: RESENT}
        yield flow(EGRESS_METER, 200, {**resent}, origin, goto(FORWARD, judged))
    unicast = {SEGMENT: segment, "eth_dst": vif.mac}
    yield flow(FORWARD, 300, {**unicast}, origin, goto(INGRESS_CONNTRACK, *_to(receiver)))
    yield flow(OUTPUT, 100, {TARGET_VIF: vif.number}, origin, Instructions(apply=(Output(vif.ofport),)))


def _to(receiver: Receiver) -> tuple[Action, ...]:
    vif, leaf = receiver
    known = [SetField(TARGET_VIF, vif.number)]
    known += [SetField(register, value) for register, value in path_values(TARGET_PATH, leaf.path)]
    if leaf.mark is not None:
        known.append(SetField(MARK, leaf.mark + 1))
    return tuple(known)


def _of_segment(segment: BridgeSegment, members: Sequence[Receiver]) -> Iterator[Flow]:
    yield from _flood(segment, members)
    if segment.uplink_ofport is not None:
        yield from _outside(segment, segment.uplink_ofport)


def _flood(segment: BridgeSegment, members: Sequence[Receiver]) -> Iterator[Flow]:
    """A copy for each VIF, a chunk of them an entry, and last one for the outside, because that one gets a tag.

    The switch itself never sends a packet out where it came in.
    """
    chunks = [members[at : at + CHUNK_VIFS] for at in range(0, len(members), CHUNK_VIFS)]
    for number, chunk in enumerate(chunks):
        onwards = (SetField(FLOOD_CHUNK, FLOODED), Resubmit(INGRESS_CONNTRACK.id))
        actions: list[Action] = [Clone((*_to(receiver), *onwards)) for receiver in chunk]
        if number + 1 < len(chunks):
            actions += (SetField(FLOOD_CHUNK, number + 1), Resubmit(FORWARD.id))
        elif segment.uplink_ofport is not None:
            actions.append(Resubmit(MARKING.id))
        fields: dict[str, FieldValue] = {SEGMENT: segment.number, FLOOD_CHUNK: number, "eth_dst": MULTICAST}
        yield flow(FORWARD, 200, fields, _origin(segment), Instructions(apply=tuple(actions)))


def _outside(segment: BridgeSegment, ofport: int) -> Iterator[Flow]:
    """What no VIF here has as its MAC is outside, unless it comes from there."""
    origin = _origin(segment)
    yield flow(FORWARD, 100, {SOURCE_VIF: _OUTSIDE, SEGMENT: segment.number}, origin, DROP)
    yield flow(FORWARD, 50, {SEGMENT: segment.number}, origin, goto(MARKING))
    tag = () if segment.vlan is None else (PushVlan(), SetField("vlan_vid", VLAN_PRESENT | segment.vlan))
    fields: dict[str, FieldValue] = {TARGET_VIF: _OUTSIDE, SEGMENT: segment.number}
    yield flow(OUTPUT, 100, fields, origin, Instructions(apply=(*tag, Output(ofport))))


def _origin(segment: BridgeSegment) -> Origin:
    return CookieKind.SEGMENT, segment.number
