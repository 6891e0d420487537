"""Networks, samples and figures: values in, values out."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from controller.allocation.decision import Decision, Decisions
from controller.allocation.samples import CountersByVif, MeterCounters, PortCounters, QueueCounters, VifCounters
from controller.measure.counted import counted
from controller.measure.path import PathFigures, VifPaths
from controller.runtime.bandwidth import network_of
from controller.runtime.figures import vif_documents
from controller.runtime.sampling import METER_COLUMNS, PORT_COLUMNS, SwitchSample, places_of, readings_of
from controller.stream.messages import HostSample, QueueSample, VifSample
from controller.world.desired import World, read_world
from ovsdb.rows import VirtualInterface
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


def test_a_vifs_own_numbers_stand_in_place_of_its_leafs() -> None:
    own = {"guarantee_kbps": 1000, "limit_kbps": 9000}
    network = network_of(world(vif(1, egress=own), vif(2, ingress=own)))
    for tree, number in ((network.egress, 1), (network.ingress, 2)):
        place = tree.leaves[list(tree.leaf_keys).index(number)]
        assert (tree.guarantee_kbps[place], tree.limit_kbps[place]) == (1000, 9000)


def test_a_link_counts_only_on_its_hosts() -> None:
    h2 = replace(H1, name="h2", datapath_id="b")
    both = read_world(snapshot(vif(1), vif(2, chassis="h2"), chassis=(H1, h2)), World(), 0.0)
    network = network_of(both)
    assert network.capacity_kbps.tolist() == [100_000]
    assert sorted(network.egress.link[network.egress.leaves].tolist()) == [-1, 0]


def test_a_world_without_vifs_can_be_divided() -> None:
    assert network_of(World()).keys.tolist() == network_of(world()).keys.tolist() == []


PORT = counted({21: (9, 10, 1, 2, 3, 4)}, PORT_COLUMNS)


def seen_of(vif: VirtualInterface, switch: SwitchSample | None, host: HostSample | None) -> VifCounters:
    """Of one VIF of three on two chassis."""
    others = (replace(H1, name="h2", datapath_id="00000000000000bb"),)
    made = read_world(snapshot(vif, *(v(n) for n in (3, 9)), chassis=(H1, *others)), World(), 0.0)
    places = places_of(made)
    read = readings_of(places, {"h1": switch} if switch else {}, {"h1": host} if host else {})
    return CountersByVif(places.keys, read)[vif.number]


def v(number: int) -> VirtualInterface:
    return vif(number, chassis="h2")


def test_samples_meet_by_vif() -> None:
    queue = QueueSample(10, 1, 2, 3)
    switch = SwitchSample(5.0, counted({1: (7, 8)}, METER_COLUMNS), PORT)
    host = HostSample("h1", 6.0, {1: VifSample(shaper=queue, ingress=queue)})
    seen = seen_of(vif(1, ofport=21), switch, host)
    assert (seen.switch_time_s, seen.host_time_s) == (5.0, 6.0)
    assert seen.meter == MeterCounters(7, 8) and seen.port == PortCounters(9, 10, 1, 2)
    assert seen.shaper == seen.ingress == QueueCounters(10, 1, 2, 3) and seen.uplink is None


def test_what_a_port_cuts_is_told_of_kinds_that_are_policed_there() -> None:
    switch = SwitchSample(5.0, ports=PORT)
    assert seen_of(vif(1, ofport=21, kind="vhost-user"), switch, None).port == PortCounters(9, 10, 1, 2, 3, 4)
    assert seen_of(vif(1, ofport=21, kind="tap"), switch, None).port == PortCounters(9, 10, 1, 2)


def test_who_is_silent_is_unknown() -> None:
    seen = seen_of(vif(1), None, None)
    assert seen.switch_time_s == seen.host_time_s == -np.inf
    assert (seen.meter, seen.port, seen.shaper, seen.uplink, seen.ingress) == (None,) * 5
    other = seen_of(vif(2), SwitchSample(5.0, counted({1: (7, 8)}, METER_COLUMNS)), HostSample("h1", 6.0))
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
            | {"path": None}
        }
    }  # fmt: skip
    assert vif_documents(snapshot(vif(1)), None) == {"vifs": {}}


def test_a_path_is_shown_as_a_whole_and_by_class() -> None:
    decision = Decision(1.4, None, 0.0, None, False, np.inf, np.inf, 7)
    decisions = Decisions({1: decision}, {1: decision}, (), {})
    whole, voice = PathFigures(1.23456, 2.5, 0.25, 0.5, 20, 10.0), PathFigures(None, None, None, 1.0, 3, 10.0)
    shown = vif_documents(snapshot(vif(1)), decisions, {1: VifPaths(whole, {"voice": voice}, note="silent")})
    path = shown["vifs"]["v1"]["path"]
    assert path["latency_ms"] == {"p50": 1.2346, "p99": 2.5} and (path["jitter_ms"], path["loss"]) == (0.25, 0.5)
    assert (path["probes"], path["window_s"], path["note"]) == (20, 10.0, "silent")
    assert path["classes"]["voice"]["latency_ms"] == {"p50": None, "p99": None}
    assert path["classes"]["voice"]["loss"] == 1.0
