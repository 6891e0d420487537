"""Tables egress_source, ingress_current and ingress_target: whose rules judge a packet, after connection tracking.

A packet waits for connection tracking on each side, and the policy may change meanwhile. So what a VIF's policy is, and
what the rules are, is looked up after it, at once: each side judges wholly by the old policy or wholly by the new one.
What leaves a VIF carries a digest of the rules that judged it. When these are others at its receiver, it is judged as
egress once more, so that no packet passes by half of one policy and half of another.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from controller.compiler.bridge import Bridge
from controller.compiler.flow import Flow, flow, goto, of_table
from controller.compiler.parts import Part
from controller.compiler.survey import LeafView, Survey, leaf_of, path_values
from controller.dataplane.actions import Action, Instructions, Resubmit, SetField
from controller.dataplane.cookies import CookieKind
from controller.dataplane.pipeline import (
    EGRESS_POLICY,
    EGRESS_SOURCE,
    HOST_PROTOCOLS,
    INGRESS_CURRENT,
    INGRESS_POLICY,
    INGRESS_TARGET,
    MARKING,
)
from controller.dataplane.registers import (
    EGRESS_DIGEST,
    FLOOD_CHUNK,
    MARK,
    PRECEDENCE,
    RESENT,
    SOURCE_PATH,
    SOURCE_VIF,
    TARGET_PATH,
    TARGET_VIF,
    UNJUDGED,
)

_OUTSIDE = 0


def parts(bridge: Bridge, found: Survey) -> Iterator[Part]:
    yield Part("whose rules", None, _common)
    for vif in bridge.vifs:
        leaf = leaf_of(found, vif)
        yield Part(("whose rules", vif.number), (leaf.path, leaf.mark, leaf.digest), partial(_of_vif, vif.number, leaf))


def _common() -> Iterator[Flow]:
    """What comes from outside was judged by nobody yet."""
    yield flow(INGRESS_CURRENT, 100, {SOURCE_VIF: _OUTSIDE}, of_table(INGRESS_CURRENT), goto(INGRESS_TARGET))
    yield flow(INGRESS_TARGET, 150, {PRECEDENCE: UNJUDGED}, of_table(INGRESS_TARGET), goto(MARKING))


def _of_vif(number: int, leaf: LeafView) -> Iterator[Flow]:
    origin = CookieKind.VIF, number
    mark = SetField(MARK, 0 if leaf.mark is None else leaf.mark + 1)
    source = [SetField(register, value) for register, value in path_values(SOURCE_PATH, leaf.path)]
    yield flow(EGRESS_SOURCE, 100, {SOURCE_VIF: number}, origin, goto(EGRESS_POLICY, *source, mark))
    current = {SOURCE_VIF: number, EGRESS_DIGEST: leaf.digest}
    yield flow(INGRESS_CURRENT, 100, {**current}, origin, goto(INGRESS_TARGET))
    forgotten = [SetField(register, 0) for register in SOURCE_PATH]  # the old path may be longer
    again: list[Action] = [SetField(FLOOD_CHUNK, RESENT), *forgotten, Resubmit(HOST_PROTOCOLS.id)]
    yield flow(INGRESS_CURRENT, 50, {SOURCE_VIF: number}, origin, Instructions(apply=tuple(again)))
    own_mark = () if leaf.mark is None else (mark,)  # else that of the sender stays
    target = [SetField(register, value) for register, value in path_values(TARGET_PATH, leaf.path)]
    yield flow(INGRESS_TARGET, 100, {TARGET_VIF: number}, origin, goto(INGRESS_POLICY, *target, *own_mark))
    if own_mark:
        unjudged = {TARGET_VIF: number, PRECEDENCE: UNJUDGED}
        yield flow(INGRESS_TARGET, 200, {**unjudged}, origin, goto(MARKING, mark))
