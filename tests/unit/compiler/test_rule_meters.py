"""Meters of rules: their rates, and ids that stay."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import pytest

from controller.compiler import rule_meters as module
from controller.compiler.bridge import Bridge
from controller.compiler.meters import JOINED_KBIT, egress_meter
from controller.compiler.parts import Memo
from controller.compiler.rule_meters import LOGGED, REJECTED, MeterUse, TooManyMeters, rule_meters
from controller.compiler.survey import survey
from controller.dataplane.entries import Meter, MeterBody, PacketMeterBody
from controller.dataplane.meter_ids import OUR_METERS, RULE_METERS, VIF_METERS
from tests.support.bridges import Vif, bridge

POLICY = """
weir: 1
segments: {s: {type: internal}}
policies:
  rates:
    rules:
      - allow: {name: both, service: tcp/80, limit: 5 mbit, packets: 2 kpps}
      - allow: {name: few, direction: ingress, service: tcp/81, packets: 5 pps}
      - allow: {name: asked, direction: egress, service: tcp/82, limit: 1 mbit, stage: audit, log: true}
      - reject: {name: asked-too, direction: egress, service: tcp/83, stage: audit}
      - allow: {name: free, service: tcp/84}
  logs:
    rules:
      - deny: {name: noted, log: true}
  rejects:
    rules:
      - reject: {name: noted, log: true}
  refuses: {unmatched: reject}
  plain: {}
"""


def asked(one: Bridge) -> tuple[dict[MeterUse, int], dict[int, Meter]]:
    ids, bodies = rule_meters(one, survey(one, Memo()))
    return {use: number for found in ids.values() for use, number in found.items()}, dict(bodies)


def vifs(*paths: str) -> list[Vif]:
    return [Vif(number, path, ()) for number, path in enumerate(paths, start=1)]


def test_each_rate_has_a_meter_for_each_vif_and_direction() -> None:
    one = bridge(POLICY, *vifs("rates", "rates", "plain"))
    ids, bodies = asked(one)
    rule = one.rule_numbers
    found = {use: bodies[number] for use, number in ids.items() if use.vif == 1}
    assert found == {
        MeterUse(1, rule["rates:both"], "egress", "kbps"): egress_meter(5000, None, shaped=False),
        MeterUse(1, rule["rates:both"], "ingress", "kbps"): egress_meter(5000, None, shaped=False),
        MeterUse(1, rule["rates:both"], "egress", "pps"): PacketMeterBody(2000, 400),
        MeterUse(1, rule["rates:both"], "ingress", "pps"): PacketMeterBody(2000, 400),
        MeterUse(1, rule["rates:few"], "ingress", "pps"): PacketMeterBody(5, 10),
        MeterUse(1, rule["rates:asked"], "egress", "kbps"): egress_meter(1000, None, shaped=False),
    }
    assert {use.vif for use in ids} == {1, 2} and len(bodies) == 12
    assert set(bodies) <= set(RULE_METERS) <= set(OUR_METERS) and not set(RULE_METERS) & set(VIF_METERS)


def test_no_rate_is_too_shallow_for_the_packets_of_the_datapath() -> None:
    one = bridge(POLICY, *vifs("rates"))
    by_rate = [sorted(body.burst_kbit for body in asked(made)[1].values() if isinstance(body, MeterBody)) for made in
               (one, replace(one, largest_kbit=JOINED_KBIT))]  # fmt: skip
    assert by_rate == [[200, 1000, 1000], [JOINED_KBIT, 1000, 1000]]


@pytest.mark.parametrize(
    ("path", "bodies"),
    [("logs", [LOGGED]), ("rejects", [REJECTED]), ("refuses", [REJECTED]), ("plain", []), ("rates", None)],
)
def test_copies_of_a_vif_are_bounded_where_there_are_any(path: str, bodies: list[Meter] | None) -> None:
    """Rules under audit neither log nor reject."""
    ids, found = asked(bridge(POLICY, *vifs(path)))
    if bodies is None:
        assert not {LOGGED, REJECTED} & set(found.values())
    else:
        assert list(found.values()) == bodies and all(use.rule == 0 for use in ids)


def test_ids_stay_when_others_come_and_go() -> None:
    """Only those may move whose ids met."""
    paths = ["rates", "logs", "refuses", "rejects"] * 40
    everybody = bridge(POLICY, *vifs(*paths))
    before, _ = asked(everybody)
    met = {number for number, times in Counter(map(module._hash, before)).items() if times > 1}
    for left in (everybody.vifs[::2], everybody.vifs[:7], everybody.vifs[100:]):
        after, _ = asked(replace(everybody, vifs=left))
        moved = {use for use, number in after.items() if before[use] != number}
        assert {use.vif for use in after} == {vif.number for vif in left}
        assert all(any(abs(module._hash(use) - place) < 8 for place in met) for use in moved)
        assert len(moved) <= 2


def test_ids_of_many_are_spread() -> None:
    """Neighbours do not pile up: with 16,384 in 81,920 places, random ones leave 91 % of them apart."""
    both = [(way, unit) for way in ("egress", "ingress") for unit in ("kbps", "pps")]
    for uses in (
        [MeterUse(vif, rule, "egress", "kbps") for vif in range(1, 129) for rule in range(1, 129)],
        [MeterUse(vif, 7, *one) for vif in range(1, 4097) for one in both],
        [MeterUse(3, rule * 97, "ingress", "pps") for rule in range(16384)],
    ):
        places = len({module._hash(use) for use in uses})
        assert places > 0.89 * len(uses), (uses[0], places)


def test_ids_that_meet_are_told_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_hash", lambda use: len(RULE_METERS) - 1)
    ids, bodies = asked(bridge(POLICY, *vifs("rates", "rates")))
    assert sorted(bodies) == [*RULE_METERS[:11], RULE_METERS[-1]]
    assert sorted(ids.values()) == sorted(bodies)


def test_more_rates_than_meters_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "RULE_METERS", range(100, 105))
    with pytest.raises(TooManyMeters, match=r"6 rates of VIFs on one bridge, more than its 5 meters\. Bound fewer"):
        asked(bridge(POLICY, *vifs("rates")))
