"""Meters of what rules bound for a VIF, and of a VIF's copies to the controller: their ids and bodies.

Meters have no cookie, and ids must not move when others come and go, for a meter that is written anew forgets what it
has let through: so an id is a hash of what the meter is for, the next free one where two meet.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from controller.compiler.bridge import Bridge
from controller.compiler.meters import egress_meter
from controller.compiler.survey import LeafView, Survey, leaf_of
from controller.dataplane.entries import Meter, PacketMeterBody
from controller.dataplane.meter_ids import RULE_METERS
from policies.model import Action

LOG, REJECT = "log", "reject"
LOGGED = PacketMeterBody(rate_pps=10, burst_packets=20)  # copies a second of one VIF
REJECTED = PacketMeterBody(rate_pps=20, burst_packets=40)  # answers a second to one VIF
_BURST_PARTS, _LEAST_BURST = 5, 10  # of a packet rate: what comes in a fifth of a second, ten packets at least


@dataclass(frozen=True, slots=True, order=True)
class MeterUse:
    """What a meter is for. rule: its number; 0 (and direction ""): the VIF as a whole. unit: kbps, pps, LOG, REJECT."""

    vif: int
    rule: int
    direction: str
    unit: str


class TooManyMeters(ValueError):
    """More rule rates than there are meter ids."""


def rule_meters(bridge: Bridge, found: Survey) -> tuple[Mapping[int, Mapping[MeterUse, int]], Mapping[int, Meter]]:
    """Ids by VIF number and use, and bodies by id. Raises TooManyMeters."""
    bodies = {use: body for vif in bridge.vifs for use, body in _uses(vif.number, leaf_of(found, vif))}
    if len(bodies) > len(RULE_METERS):
        raise TooManyMeters(
            f"rules bound {len(bodies):,} rates of VIFs on one bridge, more than its {len(RULE_METERS):,} meters. "
            "Bound fewer by 'limit' and 'packets', or put VIFs on other hosts."
        )
    ids: dict[int, dict[MeterUse, int]] = defaultdict(dict)
    meters: dict[int, Meter] = {}
    for use in sorted(bodies):
        number = _hash(use)
        while RULE_METERS[number] in meters:
            number = (number + 1) % len(RULE_METERS)
        ids[use.vif][use] = RULE_METERS[number]
        meters[RULE_METERS[number]] = bodies[use]
    return ids, meters


def _uses(vif: int, leaf: LeafView) -> Iterator[tuple[MeterUse, Meter]]:
    for act in leaf.acts:
        for direction in act.directions:
            if act.limit_kbps is not None:
                body = egress_meter(act.limit_kbps, None, shaped=False)
                yield MeterUse(vif, act.number, direction.value, "kbps"), body
            if act.packets_pps is not None:
                burst = max(act.packets_pps // _BURST_PARTS, _LEAST_BURST)
                yield MeterUse(vif, act.number, direction.value, "pps"), PacketMeterBody(act.packets_pps, burst)
    in_force = [act for act in leaf.acts if not act.is_audited]
    if any(act.is_logged and act.action is not Action.REJECT for act in in_force):
        yield MeterUse(vif, 0, "", LOG), LOGGED
    if leaf.unmatched is Action.REJECT or any(act.action is Action.REJECT for act in in_force):
        yield MeterUse(vif, 0, "", REJECT), REJECTED


def _hash(use: MeterUse) -> int:
    """A place among RULE_METERS; multiplicative hashing by odd constants spreads neighbours apart."""
    words = (use.vif, use.rule, *f"{use.direction}{use.unit}".encode())
    mixed = 0
    for word in words:
        mixed = (mixed ^ word) * 0x9E3779B1 & 0xFFFFFFFF
    return (mixed >> 8) % len(RULE_METERS)
