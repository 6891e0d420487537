"""Meters of what rules bound for a VIF, and of a VIF's copies to the controller: their ids and bodies."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from controller.compiler.bridge import Bridge
from controller.compiler.meter_places import TooManyMeters, meter_places, spread
from controller.compiler.meters import egress_meter
from controller.compiler.packet_rates import packet_meter
from controller.compiler.survey import LeafView, Survey, leaf_of
from controller.dataplane.entries import Meter, PacketMeterBody
from controller.dataplane.meter_ids import RULE_METERS
from policies.model import Action

LOG, REJECT = "log", "reject"
LOGGED = PacketMeterBody(rate_pps=10, burst_packets=20)  # copies a second of one VIF
REJECTED = PacketMeterBody(rate_pps=20, burst_packets=40)  # answers a second to one VIF


@dataclass(frozen=True, slots=True, order=True)
class MeterUse:
    """What a meter is for. rule: its number; 0 (and direction ""): the VIF as a whole. unit: kbps, pps, LOG, REJECT."""

    vif: int
    rule: int
    direction: str
    unit: str


def rule_meters(bridge: Bridge, found: Survey) -> tuple[Mapping[int, Mapping[MeterUse, int]], Mapping[int, Meter]]:
    """Ids by VIF number and use, and bodies by id. Raises TooManyMeters."""
    bodies = {use: body for vif in bridge.vifs for use, body in _uses(bridge, vif.number, leaf_of(found, vif))}
    if len(bodies) > len(RULE_METERS):
        raise TooManyMeters(
            f"rules bound {len(bodies):,} rates of VIFs on one bridge, more than its {len(RULE_METERS):,} meters. "
            "Bound fewer by 'limit' and 'packets', or put VIFs on other hosts."
        )
    ids: dict[int, dict[MeterUse, int]] = defaultdict(dict)
    meters: dict[int, Meter] = {}
    for use, number in meter_places(sorted(bodies), _hash, RULE_METERS).items():
        ids[use.vif][use] = number
        meters[number] = bodies[use]
    return ids, meters


def _uses(bridge: Bridge, vif: int, leaf: LeafView) -> Iterator[tuple[MeterUse, Meter]]:
    for act in leaf.acts:
        for direction in act.directions:
            if act.limit_kbps is not None:
                body = egress_meter(act.limit_kbps, None, shaped=False, largest_kbit=bridge.largest_kbit)
                yield MeterUse(vif, act.number, direction.value, "kbps"), body
            if act.packets_pps is not None:
                yield MeterUse(vif, act.number, direction.value, "pps"), packet_meter(act.packets_pps)
    in_force = [act for act in leaf.acts if not act.is_audited]
    if any(act.is_logged and act.action is not Action.REJECT for act in in_force):
        yield MeterUse(vif, 0, "", LOG), LOGGED
    if leaf.unmatched is Action.REJECT or any(act.action is Action.REJECT for act in in_force):
        yield MeterUse(vif, 0, "", REJECT), REJECTED


def _hash(use: MeterUse) -> int:
    """A place among RULE_METERS."""
    return spread((use.vif, use.rule, *f"{use.direction}{use.unit}".encode()), len(RULE_METERS))
