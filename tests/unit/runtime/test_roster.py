"""Switches and rows of chassis that come and go in any order, and green threads that must not end."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import eventlet
import pytest

from controller.dataplane.entries import SwitchState
from controller.runtime.follower import FlowStatus
from controller.runtime.roster import ABSENT, PATIENCE_S, Roster
from controller.runtime.vital import Vital
from controller.world.desired import World, read_world
from tests.unit.runtime.runtime_worlds import H1, Site, SwitchPlayed, green_until, snapshot, vif, world
from tests.unit.runtime.test_keeper import many


@pytest.fixture
def given_up() -> list[str]:
    return []


@pytest.fixture
def site() -> Site:
    return Site(World())


@pytest.fixture
def roster(site: Site, given_up: list[str]) -> Iterator[Roster]:
    roster = Roster(site.duty, Vital(given_up.append))
    yield roster
    roster.stop()
    assert not given_up


def in_force(site: Site) -> bool:
    return site.reports.get("h1") == FlowStatus(3, None, connected=True)


def test_switch_first_then_row_and_the_other_way_round(site: Site, roster: Roster) -> None:
    switch = SwitchPlayed()
    roster.switch_up(switch)  # type: ignore[arg-type]
    assert roster.connected == [switch.datapath_id] and roster.switches == {}
    site.world = world(vif(1))
    roster.changed()
    green_until(lambda: in_force(site) and switch.flows, "kept")
    roster.switch_down(switch.datapath_id)
    site.world = world(vif(1), chassis=(replace(H1, connected=True),))
    roster.changed()
    assert site.reports["h1"] == FlowStatus(None, ABSENT, connected=False) and roster.switches == {}
    other = SwitchPlayed()
    roster.switch_up(other)  # type: ignore[arg-type]
    green_until(lambda: in_force(site) and other.flows == switch.flows, "kept again")


def test_what_was_connected_to_the_last_controller_has_time_to_come(site: Site, roster: Roster) -> None:
    site.world = world(vif(1), chassis=(replace(H1, connected=True),))
    roster.changed()
    assert not site.reports
    site.now_s += PATIENCE_S
    roster.changed()
    assert site.reports["h1"] == FlowStatus(None, ABSENT, connected=False)


def test_after_that_time_somebody_looks(site: Site, roster: Roster, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("controller.runtime.roster.PATIENCE_S", 0.01)
    site.world = world(vif(1), chassis=(replace(H1, connected=True),))
    roster.changed()
    site.now_s += 60
    green_until(lambda: "h1" in site.reports, "it is told")


def test_a_new_connection_of_the_same_switch_takes_over(site: Site, roster: Roster) -> None:
    old, new = SwitchPlayed(), SwitchPlayed()
    site.world = world(vif(1))
    roster.switch_up(old)  # type: ignore[arg-type]
    green_until(lambda: in_force(site), "kept")
    reads = old.reads
    roster.switch_down(old.datapath_id)
    roster.switch_up(new)  # type: ignore[arg-type]
    green_until(lambda: new.flows, "taken over")
    site.now_s += 60
    roster.poke("h1")
    green_until(lambda: new.reads >= 3, "an audit")
    assert old.reads == reads and roster.switches == {"h1": new}


def test_what_an_old_connection_wrote_last_is_no_drift_to_the_new_one(site: Site, roster: Roster) -> None:
    old = SwitchPlayed()
    site.world = world(*many(30))
    roster.switch_up(old)  # type: ignore[arg-type]
    green_until(lambda: in_force(site), "kept")
    old.gone = True
    site.world = world(*many(31))
    roster.poke("h1")
    green_until(lambda: site.reports["h1"].flow_error, "one more, unseen")
    assert 31 in old.meters
    roster.switch_down(old.datapath_id)
    site.world = world(*many(30))
    new = SwitchPlayed(state=SwitchState(old.flows, old.meters))
    roster.switch_up(new)  # type: ignore[arg-type]
    green_until(lambda: in_force(site) and 31 not in new.meters, "as before")
    assert site.repaired == []


def test_a_row_that_is_removed_leaves_the_switch_as_it_is(site: Site, roster: Roster) -> None:
    switch = SwitchPlayed()
    site.world = world(vif(1))
    roster.switch_up(switch)  # type: ignore[arg-type]
    green_until(lambda: in_force(site), "kept")
    flows = dict(switch.flows)
    site.world = read_world(snapshot(vif(1), chassis=()), site.world, 0.0)
    roster.changed()
    roster.poke("h1")
    eventlet.sleep(0.02)
    assert roster.switches == {} and switch.flows == flows


def test_a_switch_of_two_chassis_is_left_alone_and_both_are_told(site: Site, roster: Roster) -> None:
    switch = SwitchPlayed()
    site.world = world(vif(1), chassis=(H1, replace(H1, name="h2")))
    roster.switch_up(switch)  # type: ignore[arg-type]
    eventlet.sleep(0.02)
    assert switch.reads == 0 and set(site.reports) == {"h1", "h2"}
    assert all("belongs to hosts h1 and h2 at once" in (one.flow_error or "") for one in site.reports.values())
    site.world = world(vif(1))
    roster.changed()
    green_until(lambda: in_force(site), "the other one gone")


def test_what_is_told_already_is_not_told_again(site: Site, roster: Roster) -> None:
    site.world = world(chassis=(replace(H1, flow_error=ABSENT),))
    roster.changed()
    assert not site.reports


def test_a_vital_thread_that_ends_or_fails_is_fatal_and_one_that_is_killed_is_not(given_up: list[str]) -> None:
    vital = Vital(given_up.append)
    stopped = vital.spawn("stopped", eventlet.sleep, 60)
    unborn = vital.spawn("unborn", eventlet.sleep, 60)
    unborn.kill()
    eventlet.sleep(0)
    stopped.kill()
    assert not given_up

    def fail() -> None:
        raise OSError("cannot bind")

    with pytest.MonkeyPatch.context() as quiet:
        quiet.setattr(eventlet.hubs.get_hub(), "debug_exceptions", False)
        vital.spawn("failing", fail)
        vital.spawn("ending", lambda: None)
        green_until(lambda: len(given_up) == 2, "both seen")
    assert given_up == ["failing: OSError: cannot bind", "ending: it has ended, and should not"]
