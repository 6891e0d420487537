"""Somebody else's edits of a switch: told from changes that were asked for, put into words, kept, counted."""

from __future__ import annotations

from dataclasses import replace

import pytest

from controller.compiler.compile import compile_bridge
from controller.dataplane.entries import MeterBody, SwitchState
from controller.dataplane.meter_ids import PACKET_METERS
from controller.runtime.drift import repairs
from controller.runtime.events import FIGHT_REPAIRS, FIGHT_S, KEPT, Events
from controller.runtime.keeper import AUDIT_S, Keeper
from controller.runtime.switch import SwitchGone
from controller.stream.messages import Repair, Repairs
from controller.world.desired import bridge_of, read_world
from tests.unit.runtime.runtime_worlds import POLICY, Site, SwitchPlayed, green_until, snapshot, vif, world
from tests.unit.runtime.test_keeper import in_force, kept, many


def told(site: Site) -> list[Repair]:
    return [one for found in site.repaired for one in repairs(found, site.world, 7.0)]


def test_building_and_ordinary_changes_are_no_drift() -> None:
    site, switch = Site(world(*many(30))), SwitchPlayed()
    with kept(site, switch) as keeper:
        green_until(lambda: in_force(site, switch), "in force")
        for count in (31, 3, 40):
            site.world = read_world(snapshot(*many(count)), site.world, 0.0)
            site.now_s += 2 * AUDIT_S
            site.reports.clear()
            keeper.poke()
            green_until(lambda: in_force(site, switch), f"{count} VIFs")
        assert site.repaired == []


def test_an_edit_beside_a_change_is_told_alone() -> None:
    site, switch = Site(world(*many(30))), SwitchPlayed()
    with kept(site, switch) as keeper:
        green_until(lambda: in_force(site, switch), "in force")
        key = next(iter(switch.flows))
        del switch.flows[key]
        switch.meters[2] = MeterBody(1, 40)
        site.world = read_world(snapshot(*many(31)), site.world, 0.0)
        site.now_s += 2 * AUDIT_S
        site.reports.clear()
        keeper.poke()
        green_until(lambda: in_force(site, switch) and site.repaired, "both")
        flow, meter = told(site)
        assert (flow.kind, flow.differed, flow.done) == ("flow entries", "was missing", "added again")
        assert (meter.kind, meter.differed, meter.vifs) == ("meters", "had been changed", (2,))
        assert meter.what.startswith("meter 2 (") and "v2" in meter.what


def test_a_switch_that_lost_everything_is_one_event() -> None:
    site, switch = Site(world(vif(1))), SwitchPlayed()
    with kept(site, switch) as keeper:
        green_until(lambda: in_force(site, switch), "in force")
        held = keeper.held
    switch.flows.clear()
    switch.meters.clear()
    again = Keeper("h1", switch, site.duty, held)  # type: ignore[arg-type]
    again._turn()
    (one,) = told(site)
    assert (one.kind, one.differed) == ("switch", "the switch had lost everything")


def test_a_switch_that_lost_everything_while_other_things_came_to_be_wanted_is_one_event() -> None:
    site, switch = Site(world(*many(30))), SwitchPlayed()
    with kept(site, switch) as keeper:
        green_until(lambda: in_force(site, switch), "in force")
        held = keeper.held
    assert held is not None
    switch.flows.clear()
    switch.meters.clear()
    slower = {"p.yaml": POLICY.replace("unmatched: allow", "unmatched: deny").replace("limit: 30", "limit: 25")}
    free = [vif(number, "acme/free") for number in (28, 29)]
    site.world = read_world(snapshot(*many(27), *free, files=slower), site.world, 0.0)  # one has gone, two have moved
    Keeper("h1", switch, site.duty, held)._turn()  # type: ignore[arg-type]
    (one,) = told(site)
    assert (one.kind, one.differed) == ("switch", "the switch had lost everything")
    (found,) = site.repaired
    assert len(found.drift.flows.add) < len(held.flows)
    assert one.done.startswith(f"{len(found.drift.flows.add)} flow entries and ")


def test_a_new_session_that_finds_something_left_is_told_what_is_missing() -> None:
    site, switch = Site(world(*many(2))), SwitchPlayed()
    with kept(site, switch) as keeper:
        green_until(lambda: in_force(site, switch), "in force")
        held = keeper.held
    for key in list(switch.flows)[1:]:
        del switch.flows[key]
    Keeper("h1", switch, site.duty, held)._turn()  # type: ignore[arg-type]
    (one,) = told(site)
    assert (one.kind, one.differed) == ("flow entries", "each was missing")


def test_a_meter_of_all_below_a_node_leads_to_all_of_them() -> None:
    packets = POLICY.replace("egress: {guarantee: 40 mbit", "egress: {packets: 3 kpps, guarantee: 40 mbit")
    vifs = [vif(1), vif(2), vif(3, "acme/free"), vif(4, "other")]
    site = Site(world(*vifs, files={"p.yaml": packets}))
    switch = SwitchPlayed()
    with kept(site, switch) as keeper:
        green_until(lambda: in_force(site, switch), "in force")
        (shared,) = [number for number in switch.meters if number in PACKET_METERS]
        del switch.meters[shared]
        site.now_s += AUDIT_S
        keeper.poke()
        green_until(lambda: site.repaired, "mended")
    (one,) = [one for one in told(site) if one.kind == "meters"]
    assert (one.what, one.vifs) == (f"meter {shared}", (1, 2, 3))


def test_rates_of_the_loop_that_an_earlier_session_wrote_are_no_drift() -> None:
    site, switch = Site(world(vif(1))), SwitchPlayed()
    with kept(site, switch) as keeper:
        green_until(lambda: in_force(site, switch), "in force")
        site.enforced = {1: 1_000}
        keeper.poke()
        green_until(lambda: switch.meters[1].rate_kbps == 1_020, "a rate of the loop")
        held, attempted = keeper.held, keeper.attempted
    site.enforced = {}  # it is as it was when the earlier session looked last
    Keeper("h1", switch, site.duty, held, attempted)._turn()  # type: ignore[arg-type]
    assert switch.read() == compile_bridge(bridge_of(site.world, "h1", {})) and site.repaired == []


def test_what_a_session_wrote_that_died_before_it_looked_is_no_drift() -> None:
    site, switch = Site(world(*many(30))), SwitchPlayed()
    with kept(site, switch) as keeper:
        green_until(lambda: in_force(site, switch), "in force")
        count = len(switch.applied)
        with pytest.MonkeyPatch.context() as broken:
            broken.setattr(switch, "look", lambda _: gone())
            site.world = read_world(snapshot(*many(31)), site.world, 0.0)
            keeper.poke()
            green_until(lambda: site.reports["h1"].flow_error == "it has gone", "the session's end")
        held, attempted = keeper.held, keeper.attempted
    assert len(switch.applied) == count + 1
    site.world = read_world(snapshot(*many(30)), site.world, 0.0)
    del switch.meters[2]
    Keeper("h1", switch, site.duty, held, attempted)._turn()  # type: ignore[arg-type]
    assert switch.read() == compile_bridge(bridge_of(site.world, "h1", {}))
    (one,) = told(site)  # but not the entries of the 31st
    assert one.what.startswith("meter 2 (")


def gone() -> SwitchState:
    raise SwitchGone("it has gone")


def test_many_of_one_sort_are_one_event() -> None:
    site, switch = Site(world(*many(30))), SwitchPlayed()
    with kept(site, switch) as keeper:
        green_until(lambda: in_force(site, switch), "in force")
        count = len(switch.flows)
        switch.flows.clear()
        site.now_s += AUDIT_S
        keeper.poke()
        green_until(lambda: site.repaired, "mended")
        assert [one.what for one in told(site)] == [f"{count} flow entries"]


def test_events_are_kept_counted_and_named() -> None:
    now = [100.0]
    events = Events(lambda: world(vif(1)), lambda: now[0])
    repair = Repair(99.0, "queues", "queues of wv1", "gone", "made", (1, 99))
    for _ in range(KEPT + 5):
        events.take(Repairs("h1", (repair,)))
        now[0] += FIGHT_S
    document = events.document()
    assert len(document["events"]) == KEPT and document["counts"] == {"queues": KEPT + 5} and not document["fights"]
    assert document["events"][-1]["vifs"] == [{"name": "v1", "policy": "acme/web"}]


def test_a_fight_is_said_and_ends() -> None:
    now = [100.0]
    events = Events(lambda: world(vif(1)), lambda: now[0])
    repair = Repair(99.0, "queues", "queues of wv1", "gone", "made", (1,))
    other = replace(repair, what="queues of wv2")
    for count in range(FIGHT_REPAIRS + 1):
        assert not events.fights(), count
        events.add("h1", (repair, other) if count == 0 else (repair,))
        now[0] += 1
    (fight,) = events.fights()
    assert "queues of wv1" in fight and "keeps changing" in fight
    now[0] += FIGHT_S
    assert events.fights() == []
