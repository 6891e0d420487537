"""From a bridge to all that its switch should hold. Pure: one bridge gives one state, whatever came before."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence

from controller.compiler import (
    antispoof,
    classify,
    conntrack,
    forward,
    marking,
    packet_rates,
    policy,
    route,
    router,
    services,
    verdict,
    whose_rules,
)
from controller.compiler.bridge import Bridge
from controller.compiler.packet_rates import PacketBounds, packet_bounds
from controller.compiler.parts import Memo, Part, contradiction
from controller.compiler.rule_meters import MeterUse, rule_meters
from controller.compiler.survey import Survey, survey
from controller.dataplane.entries import FlowBody, FlowKey, Meter, SwitchState

MOST_ENTRIES = 300_000  # what a switch takes and gives back within tens of seconds


class TooManyEntries(ValueError):
    """More flow entries than a bridge is given."""


def compile_bridge(bridge: Bridge, memo: Memo | None = None) -> SwitchState:
    """Flow entries and meters of the bridge. memo: of its last compile; the state is the same with and without.

    Raises Contradiction, for instance when two segments are one VLAN of one uplink or two VIFs have one MAC in a
    segment; TooManyRules; TooManyMeters; TooManyEntries; SegmentTooLarge; NoCodePointLeft; KeyError when a VIF's
    segment, node or a rule has no number.
    """
    memo = Memo() if memo is None else memo
    found = survey(bridge, memo)
    ids, rule_bodies = rule_meters(bridge, found)
    bounds = packet_bounds(bridge)
    flows = _joined(_made(bridge, _parts(bridge, found, ids, bounds), memo))
    memo.turn()
    meters: dict[int, Meter] = {vif.number: vif.egress_meter for vif in bridge.vifs if vif.egress_meter is not None}
    return SwitchState(flows, {**meters, **bounds.meters, **rule_bodies, **services.meters(bridge)})


def _made(bridge: Bridge, parts: Iterable[Part], memo: Memo) -> list[Mapping[FlowKey, FlowBody]]:
    """The entries of each part. Raises TooManyEntries."""
    made: list[Mapping[FlowKey, FlowBody]] = []
    of_rules: Counter[int] = Counter()
    total = 0
    for part in parts:
        made.append(memo.flows(part))
        total += len(made[-1])
        if isinstance(part.key, tuple) and part.key[0] in ("rule", "audited"):
            of_rules[part.key[1]] += len(made[-1])
        if total > MOST_ENTRIES:
            names = {number: identity for identity, number in bridge.rule_numbers.items()}
            largest = ", ".join(f"'{names[number]}' {count:,}" for number, count in of_rules.most_common(3))
            raise TooManyEntries(
                f"the policy makes more than {MOST_ENTRIES:,} flow entries on this bridge; most by rules {largest}. "
                "Name fewer and wider ends: prefixes and segments instead of many VIFs and users."
            )
    return made


def _joined(parts: Sequence[Mapping[FlowKey, FlowBody]]) -> dict[FlowKey, FlowBody]:
    """Raises Contradiction."""
    flows: dict[FlowKey, FlowBody] = {}
    for part in parts:
        flows |= part
    if len(flows) != sum(map(len, parts)):  # an entry stands in two parts
        for part in parts:
            for key, body in part.items():
                if flows[key] != body:
                    raise contradiction(key, body, flows[key])
    return flows


def _parts(
    bridge: Bridge, found: Survey, ids: Mapping[int, Mapping[MeterUse, int]], bounds: PacketBounds
) -> Iterator[Part]:
    yield from classify.parts(bridge, found)
    yield from antispoof.parts(bridge)
    yield from conntrack.parts(bridge)
    yield from whose_rules.parts(bridge, found)
    yield from policy.parts(bridge, found)
    yield from verdict.parts(bridge, found, ids)
    yield from services.parts(bridge)
    yield from router.parts(bridge)
    yield from route.parts(bridge)
    yield from forward.parts(bridge, found, bounds)
    yield from packet_rates.parts(bridge, bounds)
    yield from marking.parts(found)
