"""Networks, samples and figures: values in, values out."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from controller.allocation.decision import Decision, Decisions
from controller.allocation.samples import MeterCounters, PortCounters, QueueCounters
from controller.runtime.bandwidth import network_of
from controller.runtime.figures import vif_documents
from controller.runtime.sampling import SwitchSample, vif_counters
from controller.stream.messages import HostSample, QueueSample, VifSample
from controller.world.desired import World, read_world
from tests.unit.runtime.runtime_worlds import H1, snapshot, vif, world


def test_both_trees_hold_the_same_vifs_and_only_egress_crosses_links() -> None:
    network = network_of(world(vif(1), vif(2, "acme/free", segment="lab"), vif(3, "other")))
    assert network.keys.tolist() == [1, 2, 3]
    assert network.capacity_kbps.tolist() == [100_000]
    links = dict(zip(network.egress.leaf_keys, network.egress.link[network.egress.leaves].tolist(), strict=True))
    assert links == {1: 0, 2: -1, 3: 0}
    assert set(network.ingress.link.tolist()) == {-1}
    acme = network.egress.names.index("acme")
    assert network.egress.guarantee_kbps[acme] == 40_000 and network.egress.limit_kbps[acme] == 60_000


def test_a_link_counts_only_on_its_hosts() -> None:
    h2 = replace(H1, name="h2", datapath_id="b")
    both = read_world(snapshot(vif(1), vif(2, chassis="h2"), chassis=(H1, h2)), World(), 0.0)
    network = network_of(both)
    assert network.capacity_kbps.tolist() == [100_000]
    assert sorted(network.egress.link[network.egress.leaves].tolist()) == [-1, 0]


def test_a_world_without_vifs_can_be_divided() -> None:
    assert network_of(World()).keys.tolist() == network_of(world()).keys.tolist() == []


def test_meters_without_a_shaper_change_seldom_whoever_limits_them() -> None:
    intervals = network_of(
        world(vif(1), vif(2, kind="port"), vif(3, "acme/free", kind="port"), vif(4, "other", kind="port"))
    ).least_interval_s
    assert set(intervals) == {("egress", 2), ("egress", 3)}
    assert intervals["egress", 2] == pytest.approx(4.0) and intervals["egress", 3] == pytest.approx(4.0)


def test_samples_meet_by_vif() -> None:
    queue = QueueSample(10, 1, 2, 3)
    switch = SwitchSample(5.0, {1: MeterCounters(7, 8)}, {21: PortCounters(9, 10)})
    host = HostSample("h1", 6.0, {1: VifSample(shaper=queue, ingress=queue)})
    seen = vif_counters(vif(1, ofport=21), switch, host)
    assert (seen.switch_time_s, seen.host_time_s) == (5.0, 6.0)
    assert seen.meter == MeterCounters(7, 8) and seen.port == PortCounters(9, 10)
    assert seen.shaper == seen.ingress == QueueCounters(10, 1, 2, 3) and seen.uplink is None


def test_who_is_silent_is_unknown() -> None:
    seen = vif_counters(vif(1), None, None)
    assert seen.switch_time_s == seen.host_time_s == -np.inf
    assert (seen.meter, seen.port, seen.shaper, seen.uplink, seen.ingress) == (None,) * 5
    other = vif_counters(vif(2), SwitchSample(5.0, {1: MeterCounters(7, 8)}), HostSample("h1", 6.0))
    assert other.meter is None and other.port is None


def test_figures_are_whole_or_null_and_know_only_vifs_that_are_there() -> None:
    decision = Decision(1.4, None, 0.0, None, False, np.inf, np.inf, 7)
    decisions = Decisions({1: decision, 99: decision}, {1: decision, 99: decision}, (), {})
    documents = vif_documents(snapshot(vif(1), vif(2)), decisions)
    assert documents == {
        "vifs": {
            "v1": {
                direction: {
                    "offered_kbps": 1, "allocated_kbps": None, "passed_kbps": None, "dropped_kbps": 0,
                    "enforced_kbps": 7,
                }
                for direction in ("egress", "ingress")
            }
        }
    }  # fmt: skip
    assert vif_documents(snapshot(vif(1)), None) == {"vifs": {}}
