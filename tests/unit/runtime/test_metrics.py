"""Metrics as Prometheus' own parser reads them; totals that never fall."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from prometheus_client import Metric
from prometheus_client.parser import text_string_to_metric_families

from controller.allocation.actuator import Change
from controller.allocation.class_figures import ClassFigures
from controller.allocation.counters import CounterState, nothing_seen
from controller.allocation.samples import BLOCK_OF_COLUMN, FIRST_COLUMN, METER_IN, PORT_RX, SHAPER
from controller.runtime.exposition import Family, labels, render
from controller.runtime.metrics import Around
from controller.runtime.seen import Seen
from controller.runtime.totals import Totals
from controller.world.desired import World, read_world
from tests.unit.runtime.loop_ticks import decision, tick
from tests.unit.runtime.runtime_worlds import POLICY, snapshot, vif, world

SENT, WAITING = int(FIRST_COLUMN[SHAPER]), int(FIRST_COLUMN[SHAPER]) + 3


MOVES = "autoscale: {guarantee: {min: 5 mbit, max: 50 mbit}, up: 90 % for 1 s, down: 40 % for 1 s}"
MISSED = {"state": "violated", "violated_s": 3.5, "known_s": 60.0}
NOTHING = Around({}, [], 1.0, None, lambda vif: {}, {}, lambda vif: True)


def around(**told: Any) -> Around:
    return replace(NOTHING, **told)


def counted(rows: Mapping[int, Mapping[int, float]]) -> CounterState:
    """By VIF and column; what is not named was not read."""
    state = nothing_seen(np.array(sorted(rows), dtype=np.int64))
    value = np.full((len(rows), len(BLOCK_OF_COLUMN)), np.nan)
    for row, number in enumerate(sorted(rows)):
        for column, count in rows[number].items():
            value[row, column] = count
    return replace(state, value=value)


def parsed(text: str) -> dict[str, Metric]:
    return {family.name: family for family in text_string_to_metric_families(text)}


def value(families: Mapping[str, Metric], family: str, **wanted: str) -> float:
    """Of the one sample with these labels, among others."""
    (found,) = [one.value for one in families[family].samples if wanted.items() <= one.labels.items()]
    return float(found)


def test_every_family_is_read_by_prometheus_and_says_whose_it_is() -> None:
    seen = Seen(1.0)
    egress = {1: decision(40_000.0, 33_000.0, 31_000.0, 31_000), 2: decision(None, None, float("inf"))}
    seen.remember(
        tick(
            1, egress, changes=(Change("egress", 1, None, 31_000),), engaged=("acme",), p99_ms={1: 8.0},
            counted=counted({1: {PORT_RX: 1000.0, METER_IN: 900.0, WAITING: 77.0}, 2: {}}), fault="too much",
        ),
        [],
    )  # fmt: skip
    text = seen.metrics(
        around(drift={"meters": 3}, connected=["h1"], cpu_share=0.01, objectives={"v1": {"latency": MISSED}})
    )
    families = parsed(text)
    whose = {"vif": "v1", "policy": "acme/web", "chassis": "h1", "direction": "egress"}
    assert value(families, "weir_vif_offered_bits_per_second", **whose) == 40_000_000
    assert value(families, "weir_vif_enforced_bits_per_second", **whose) == 31_000_000
    assert value(families, "weir_vif_guarantee_bits_per_second", **whose) == 10_000_000
    assert value(families, "weir_vif_limit_bits_per_second", **whose) == 20_000_000
    assert value(families, "weir_vif_latency_seconds", vif="v1", quantile="0.99") == pytest.approx(0.008)
    assert value(families, "weir_vif_loss_ratio", vif="v1") == 0.25
    assert value(families, "weir_vif_bytes", **whose, at="port") == 1000
    assert value(families, "weir_vif_waiting_bytes", **whose, at="shaper") == 77
    assert value(families, "weir_loop_ticks") == 1 and value(families, "weir_loop_fault") == 1
    assert value(families, "weir_loop_engaged_nodes", direction="egress") == 1
    assert value(families, "weir_loop_changes", what="rate", direction="egress") == 1
    assert value(families, "weir_repairs", kind="meters") == 3
    assert value(families, "weir_chassis_connected", chassis="h1") == 1
    assert value(families, "weir_loop_cpu_ratio") == 0.01
    assert value(families, "weir_objective_missed", vif="v1", objective="latency") == 1
    assert value(families, "weir_objective_missed_seconds", vif="v1", objective="latency") == 3.5
    assert families["weir_vif_bytes"].type == "counter" and families["weir_vif_waiting_bytes"].type == "gauge"
    assert all(family.documentation for family in families.values())
    for figure in ("offered", "allocated"):  # of v2 the one is not known, the other not bounded
        samples = families[f"weir_vif_{figure}_bits_per_second"].samples
        assert {one.labels["vif"] for one in samples if one.labels["direction"] == "egress"} == {"v1"}


def test_a_guarantee_that_was_raised_is_told_as_it_is_in_force_with_all_others() -> None:
    """Of the node's 40 mbit 20 are free beyond what is written: each has been given 30 of them."""
    text = POLICY.replace("limit: 20 mbit, weight: 3}", "weight: 3}, " + MOVES)
    of = read_world(
        replace(snapshot(*(vif(number, scaled={"egress_kbps": 40_000}) for number in (1, 2))), files={"p": text}),
        World(), 0.0,
    )  # fmt: skip
    assert of.fault is None
    seen = Seen(1.0)
    seen.remember(tick(1, {1: decision(), 2: decision()}, of=of), [])
    families = parsed(seen.metrics(around()))
    for name in ("v1", "v2"):
        told = value(families, "weir_vif_guarantee_bits_per_second", vif=name, direction="egress")
        assert told == 20_000_000


def test_classes_are_told_of_those_whose_traffic_is_divided() -> None:
    text = POLICY.replace("policies:", "classes: {voice: {share: 50 %}, port: {share: 30 %}}\npolicies:").replace(
        "free: {unmatched: allow}", "free: {unmatched: allow, rules: [allow: {direction: egress, class: port}]}"
    )
    of = read_world(replace(snapshot(vif(1, "acme/free"), vif(2)), files={"p": text}), World(), 0.0)
    assert of.fault is None
    figures = {"egress": {"port": ClassFigures(9.0, 8.0, 1.0, 3000, 123, 4)}}
    seen = Seen(1.0)
    seen.remember(tick(1, {1: decision(), 2: decision()}, of=of, counted=counted({1: {PORT_RX: 7.0}})), [])
    families = parsed(seen.metrics(around(classes=lambda vif: figures)))
    bulk = {"vif": "v1", "direction": "egress", "class": "port"}  # which is a place, too
    assert value(families, "weir_vif_class_bytes", **bulk) == 123
    assert value(families, "weir_vif_bytes", vif="v1", direction="egress", at="port") == 7
    assert value(families, "weir_vif_class_dropped_packets", **bulk) == 4
    assert value(families, "weir_vif_class_waiting_bytes", **bulk) == 3000
    assert {one.labels["vif"] for one in families["weir_vif_class_bytes"].samples} == {"v1"}
    silent = {"egress": {"port": ClassFigures(None, None, None, None, 123, 4)}}
    families = parsed(seen.metrics(around(classes=lambda vif: silent)))
    assert value(families, "weir_vif_class_bytes", **bulk) == 123
    assert "weir_vif_class_waiting_bytes" not in families  # nobody knows


def test_what_waits_is_not_told_of_hosts_that_say_nothing_now() -> None:
    seen = Seen(1.0)
    rows = {number: {SENT: 9.0, WAITING: 77.0} for number in (1, 2)}
    seen.remember(tick(1, {1: decision(), 2: decision()}, counted=counted(rows)), [])
    families = parsed(seen.metrics(around(is_told=lambda vif: vif.number == 2)))
    assert {one.labels["vif"] for one in families["weir_vif_waiting_bytes"].samples} == {"v2"}
    assert {one.labels["vif"] for one in families["weir_vif_bytes"].samples} == {"v1", "v2"}


def test_before_the_first_tick_there_is_something_to_read() -> None:
    families = parsed(Seen(2.0).metrics(around(interval_s=2.0)))
    assert value(families, "weir_loop_interval_seconds") == 2.0 and value(families, "weir_loop_ticks") == 0


def test_labels_follow_the_world() -> None:
    seen = Seen(1.0)
    seen.remember(tick(1, {1: decision(5.0)}), [])
    seen.metrics(around())
    moved = world(vif(1, "acme/free"))
    seen.remember(tick(2, {1: decision(5.0)}, of=moved), [])
    samples = parsed(seen.metrics(around()))["weir_vif_offered_bits_per_second"].samples
    assert {one.labels["policy"] for one in samples} == {"acme/free"}


def test_a_label_may_hold_anything() -> None:
    odd = 'a"b\\c\nd'
    (family,) = text_string_to_metric_families(render([Family("weir_x", "gauge", "X", [(labels({"of": odd}), 1.0)])]))
    assert family.samples[0].labels == {"of": odd}


def test_totals_go_on_when_counters_begin_anew() -> None:
    totals = Totals()
    for reading in (1000.0, 1500.0, 200.0, 300.0):  # the switch was restarted before the third
        totals.add(counted({1: {PORT_RX: reading}}))
    assert totals.value[0, PORT_RX] == 1000 + 500 + 200 + 100


def test_totals_survive_what_is_not_read_and_who_comes_and_goes() -> None:
    totals = Totals()
    totals.add(counted({1: {PORT_RX: 100.0}, 5: {PORT_RX: 7.0}}))
    totals.add(counted({1: {}, 3: {PORT_RX: 9.0}}))
    assert by_vif(totals) == {1: 100.0, 3: 9.0, 5: 7.0}
    totals.add(counted({1: {PORT_RX: 150.0}, 3: {PORT_RX: 10.0}, 5: {PORT_RX: 2.0}}))  # which has another port now
    assert by_vif(totals) == {1: 150.0, 3: 10.0, 5: 9.0}
    assert np.isnan(totals.value[:, SENT]).all()
    totals.keep({1, 5, 9})
    assert by_vif(totals) == {1: 150.0, 5: 9.0}


def by_vif(totals: Totals) -> dict[int, float]:
    return dict(zip(totals.keys.tolist(), totals.value[:, PORT_RX].tolist(), strict=True))


def test_a_vif_that_has_no_port_for_a_while_counts_on_and_one_that_has_gone_begins_at_its_first_reading() -> None:
    seen, stays = Seen(1.0), vif(2)
    worlds = [world(vif(1), stays), world(vif(1, ofport=None), stays), world(stays)]
    for number, (of, reading) in enumerate(
        [(worlds[0], 1000.0), (worlds[1], None), (worlds[0], 50.0), (worlds[2], None), (worlds[0], 60.0)], start=1
    ):
        rows = {2: {PORT_RX: 5.0}} | ({1: {PORT_RX: reading}} if reading is not None else {})
        seen.remember(tick(number, dict.fromkeys(rows, decision()), of=of, counted=counted(rows)), [])
        samples = {one.labels["vif"]: one.value for one in parsed(seen.metrics(around()))["weir_vif_bytes"].samples}
        assert samples.get("v1") == {1: 1000.0, 3: 1050.0, 5: 60.0}.get(number)


def test_what_waits_is_what_waits_now() -> None:
    totals = Totals()
    for waiting in (500.0, 20.0):
        totals.add(counted({1: {SENT: 1.0, WAITING: waiting}}))
    assert totals.value[0, WAITING] == 20.0


def test_what_waited_in_a_queue_that_is_gone_does_not_wait_for_ever() -> None:
    """Its counters count on when it comes back."""
    totals, read = Totals(), counted({1: {SENT: 1.0, WAITING: 500.0}})
    seen = replace(read, seen_s=np.full_like(read.seen_s, 10.0))
    totals.add(seen, stale_before_s=9.0)
    assert totals.value[0, [SENT, WAITING]].tolist() == [1.0, 500.0]
    totals.add(seen, stale_before_s=10.5)
    assert totals.value[0, SENT] == 1.0 and np.isnan(totals.value[0, WAITING])
