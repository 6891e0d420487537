"""Tables egress_verdict, ingress_verdict and their packet tables: what a rule does for a VIF, and its counters.

An entry for each rule and VIF, by their numbers: its counters live on when rules are edited, moved, renamed in the file
or in the tree above. It allows (with its mark and its rates), denies, or rejects; audited rules only count.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial

from controller.compiler.bridge import Bridge
from controller.compiler.flow import Flow, Origin, flow, goto
from controller.compiler.parts import Part
from controller.compiler.rule_meters import LOG, REJECT, MeterUse
from controller.compiler.sides import INGRESS, OPPOSITE, SIDES, Side
from controller.compiler.survey import Act, LeafView, Survey, leaf_of
from controller.dataplane.actions import DROP, Controller, Instructions, SetField
from controller.dataplane.actions import Action as SwitchAction
from controller.dataplane.cookies import CookieKind, with_vif
from controller.dataplane.registers import AUDITED, FLOOD_CHUNK, FLOODED, MARK, REPLY, RULE
from policies.model import Action, Direction

COPIED_BYTES = 1500  # of a packet to the controller: an ICMP error quotes most of it
_PRIORITY = 100
MeterIds = Mapping[MeterUse, int]


def parts(bridge: Bridge, found: Survey, meters: Mapping[int, MeterIds]) -> Iterator[Part]:
    """meters: by VIF number."""
    for vif in bridge.vifs:
        leaf, ids = leaf_of(found, vif), meters.get(vif.number, {})
        inputs = (leaf.acts, leaf.node, leaf.unmatched, leaf.mark, ids)
        yield Part(("verdict", vif.number), inputs, partial(_of_vif, vif.number, leaf, ids))


def _of_vif(vif: int, leaf: LeafView, ids: MeterIds) -> Iterator[Flow]:
    number = with_vif(leaf.node, vif)
    unmatched, of_reply = (CookieKind.UNMATCHED, number), (CookieKind.UNMATCHED_REPLY, number)
    for side in SIDES.values():
        allowed = goto(side.commit, *_marked(leaf.mark))
        fields = {RULE: 0, side.vif: vif}
        if leaf.unmatched is Action.REJECT:
            yield from _rejected(side, fields, unmatched, ids[MeterUse(vif, 0, "", REJECT)])
        else:
            verdict = allowed if leaf.unmatched is Action.ALLOW else DROP
            yield flow(side.verdict, _PRIORITY, {**fields}, unmatched, verdict)
        verdict = allowed if leaf.unmatched is Action.ALLOW else DROP
        yield flow(side.verdict, _PRIORITY, {RULE: REPLY, side.vif: vif}, of_reply, verdict)
    for act in leaf.acts:
        for direction in act.directions:
            yield from _audited(vif, act, direction, ids) if act.is_audited else _in_force(vif, act, direction, ids)


def _in_force(vif: int, act: Act, direction: Direction, ids: MeterIds) -> Iterator[Flow]:
    side, other = SIDES[direction], OPPOSITE[direction]
    number = with_vif(act.number, vif)
    origin, of_reply = (CookieKind.VERDICT, number), (CookieKind.REPLY, number)
    own, reply = {RULE: act.number, side.vif: vif}, {RULE: act.number | REPLY, other.vif: vif}
    if act.action is Action.ALLOW:
        rate, packets = _rates(vif, act, direction, ids)
        onwards = side.packets if rate is not None and packets is not None else side.commit
        meter = rate if rate is not None else packets
        actions = [*_marked(act.mark), *_logged(vif, act, ids)]
        yield flow(side.verdict, _PRIORITY, {**own}, origin, goto(onwards, *actions, meter_id=meter))
        if onwards is side.packets:
            yield flow(side.packets, _PRIORITY, {**own}, origin, goto(side.commit, meter_id=packets))
        yield flow(other.verdict, _PRIORITY, {**reply}, of_reply, goto(other.commit, *_marked(act.mark)))
        return
    if act.action is Action.REJECT:
        yield from _rejected(side, own, origin, ids[MeterUse(vif, 0, "", REJECT)])
    else:
        yield flow(side.verdict, _PRIORITY, {**own}, origin, Instructions(apply=tuple(_logged(vif, act, ids))))
    yield flow(other.verdict, _PRIORITY, {**reply}, of_reply, DROP)


def _audited(vif: int, act: Act, direction: Direction, ids: MeterIds) -> Iterator[Flow]:
    """It ends a copy of the packet; its meters tell what they would have cut."""
    side = SIDES[direction]
    origin = CookieKind.AUDIT, with_vif(act.number, vif)
    fields = {RULE: AUDITED | act.number, side.vif: vif}
    rate, packets = _rates(vif, act, direction, ids)
    first = rate if rate is not None else packets
    both = rate is not None and packets is not None
    counted = goto(side.packets, meter_id=first) if both else Instructions(meter_id=first)
    yield flow(side.verdict, _PRIORITY, {**fields}, origin, counted)
    if both:
        yield flow(side.packets, _PRIORITY, {**fields}, origin, Instructions(meter_id=packets))


def _rates(vif: int, act: Act, direction: Direction, ids: MeterIds) -> tuple[int | None, int | None]:
    """Meter ids of its rate in bits and in packets."""
    uses = (MeterUse(vif, act.number, direction.value, unit) for unit in ("kbps", "pps"))
    rate, packets = (ids.get(use) for use in uses)
    return rate, packets


def _marked(mark: int | None) -> Iterator[SwitchAction]:
    if mark is not None:
        yield SetField(MARK, mark + 1)


def _logged(vif: int, act: Act, ids: MeterIds) -> Iterator[SwitchAction]:
    if act.is_logged:
        yield Controller(COPIED_BYTES, ids[MeterUse(vif, 0, "", LOG)])


def _rejected(side: Side, fields: Mapping[str, int], origin: Origin, meter_id: int) -> Iterator[Flow]:
    """The controller answers, and logs if the rule says so; but nobody answers what goes to many."""
    answered = Instructions(apply=(Controller(COPIED_BYTES, meter_id),))
    yield flow(side.verdict, _PRIORITY, {**fields}, origin, answered)
    if side is INGRESS:
        yield flow(side.verdict, _PRIORITY + 1, {**fields, FLOOD_CHUNK: FLOODED}, origin, DROP)
