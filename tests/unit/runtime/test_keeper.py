"""One keeper and one played switch; the clock stands unless the test moves it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace

import eventlet
import pytest

from controller.compiler.compile import compile_bridge
from controller.dataplane.entries import MeterBody
from controller.dataplane.stages import Failure, Stages
from controller.runtime import keeper as module
from controller.runtime.follower import FlowStatus
from controller.runtime.keeper import AUDIT_S, Keeper, changed_rates
from controller.world.desired import World, bridge_of, read_world
from ovsdb.rows import VirtualInterface
from tests.support.fake_switch import FakeSwitch
from tests.unit.runtime.runtime_worlds import H1, Site, SwitchPlayed, green_until, snapshot, vif, world

DONE = FlowStatus(3, None, connected=True)


@contextmanager
def kept(site: Site, switch: SwitchPlayed) -> Iterator[Keeper]:
    keeper = Keeper("h1", switch, site.duty)  # type: ignore[arg-type]
    thread = eventlet.spawn(keeper.run)
    try:
        yield keeper
    finally:
        thread.kill()


def in_force(site: Site, switch: SwitchPlayed) -> bool:
    return site.reports.get("h1") == DONE and switch.read() == compile_bridge(
        bridge_of(site.world, "h1", site.enforced)
    )


def test_rows_become_flows_again_and_again() -> None:
    site, switch = Site(world(vif(1))), SwitchPlayed()
    with kept(site, switch) as keeper:
        green_until(lambda: in_force(site, switch), "the first VIF")
        site.world = read_world(snapshot(vif(1), vif(2)), site.world, 0.0)
        keeper.poke()
        green_until(lambda: 2 in switch.meters and in_force(site, switch), "the second")


def test_connections_of_a_deleted_vif_are_forgotten_once_and_of_one_that_lost_its_port_kept() -> None:
    site, switch = Site(world(vif(1), vif(2), vif(3))), SwitchPlayed()
    with kept(site, switch) as keeper:
        green_until(lambda: in_force(site, switch), "three VIFs")
        for left in ((vif(1), vif(2, ofport=None)), (vif(1),), (vif(1), vif(4))):
            site.world = read_world(snapshot(*left), site.world, 0.0)
            site.reports.clear()
            keeper.poke()
            green_until(lambda: in_force(site, switch), "those that are left")
        assert switch.forgotten == [3, 2]


def test_a_poke_without_a_change_reads_nothing_until_the_audit_is_due() -> None:
    site, switch = Site(world(vif(1))), SwitchPlayed()
    with kept(site, switch) as keeper:
        green_until(lambda: site.reports.get("h1") == DONE, "in force")
        reads = switch.reads
        site.reports.clear()
        keeper.poke()
        green_until(lambda: site.reports, "a report")
        assert switch.reads == reads
        switch.flows.clear()
        site.now_s += AUDIT_S
        keeper.poke()
        green_until(lambda: switch.flows, "the audit mends")


def test_who_changes_things_is_not_left_alone_for_as_long_as_mending_them_took(monkeypatch: pytest.MonkeyPatch) -> None:
    site, switch = Site(world(vif(1))), SwitchPlayed()
    with kept(site, switch) as keeper:
        green_until(lambda: in_force(site, switch), "in force")

        def apply_slowly(stages: Stages) -> Sequence[Failure]:
            site.now_s += 10.0
            return FakeSwitch.apply(switch, stages)

        monkeypatch.setattr(switch, "apply", apply_slowly)
        for _ in range(2):
            switch.flows.clear()
            site.now_s += AUDIT_S
            keeper.poke()
            green_until(lambda: in_force(site, switch), "the audit mends")


def many(count: int) -> list[VirtualInterface]:
    return [vif(number) for number in range(1, count + 1)]


def test_a_small_change_is_made_without_reading_everything_and_audited_later() -> None:
    site, switch = Site(world(*many(30))), SwitchPlayed()
    with kept(site, switch) as keeper:
        green_until(lambda: in_force(site, switch), "in force")
        reads = switch.reads
        site.world = read_world(snapshot(*many(31)), site.world, 0.0)
        keeper.poke()
        green_until(lambda: 31 in switch.meters and in_force(site, switch), "one more")
        assert switch.reads == reads + 1  # the test's own
        switch.flows.clear()
        site.now_s += AUDIT_S
        keeper.poke()
        green_until(lambda: in_force(site, switch), "the audit mends")


def test_a_change_comes_before_an_audit_that_is_due() -> None:
    site, switch = Site(world(*many(30))), SwitchPlayed()
    with kept(site, switch) as keeper:
        green_until(lambda: in_force(site, switch), "in force")
        applied = len(switch.applied)
        switch.flows.clear()
        site.now_s += AUDIT_S
        site.world = read_world(snapshot(*many(31)), site.world, 0.0)
        keeper.poke()
        green_until(lambda: in_force(site, switch), "both")
        of_change, of_audit = (len(stages.flows.add) for stages in switch.applied[applied:])
        assert of_change < of_audit


def test_an_audit_is_not_put_off_for_ever() -> None:
    site, switch = Site(world(*many(30))), SwitchPlayed()
    with kept(site, switch) as keeper:
        green_until(lambda: in_force(site, switch), "in force")
        applied = len(switch.applied)
        switch.flows.clear()
        site.now_s += 2 * AUDIT_S
        site.world = read_world(snapshot(*many(31)), site.world, 0.0)
        keeper.poke()
        green_until(lambda: in_force(site, switch), "both at once")
        assert len(switch.applied) == applied + 1


def test_a_rate_of_the_loop_is_written_alone_decreases_first() -> None:
    site, switch = Site(world(vif(1), vif(2), vif(3))), SwitchPlayed()
    site.enforced = {1: 1000}
    with kept(site, switch) as keeper:
        green_until(lambda: site.reports.get("h1") == DONE, "in force")
        reads, applied = switch.reads, len(switch.applied)
        site.enforced = {1: 2000, 2: 5000, 3: 4000}
        keeper.poke()
        green_until(lambda: switch.rates, "rates")
        assert switch.rates == [(2, 5100), (3, 4080), (1, 2040)]
        assert (switch.reads, len(switch.applied)) == (reads, applied)
        site.now_s += AUDIT_S
        keeper.poke()
        green_until(lambda: switch.reads > reads, "the audit")
        assert len(switch.applied) == applied  # it finds what it wrote


def test_a_meter_that_changed_lately_gets_a_small_burst_and_the_whole_one_when_it_is_due() -> None:
    site, switch = Site(world(vif(1, kind="tap"))), SwitchPlayed()
    with kept(site, switch) as keeper:
        green_until(lambda: site.reports.get("h1") == DONE, "in force")
        for rate_kbps in (10_000, 19_000, 5_000):
            site.enforced = {1: rate_kbps}
            keeper.poke()
            green_until(lambda rate=rate_kbps: switch.meters[1].rate_kbps == rate, "the rate")
        assert switch.meters[1] == MeterBody(5_000, 39)
        site.now_s += AUDIT_S
        keeper.poke()
        green_until(lambda: site.reports.get("h1") == DONE, "the audit finds what was written")
        assert switch.meters[1] == MeterBody(5_000, 39)
        site.now_s += 20.0
        keeper.poke()
        green_until(lambda: in_force(site, switch), "the whole burst")
        assert switch.meters[1] == MeterBody(5_000, 1_000)


def test_a_meter_that_is_refused_is_mended_whole() -> None:
    site, switch = Site(world(vif(1))), SwitchPlayed()
    with kept(site, switch) as keeper:
        green_until(lambda: site.reports.get("h1") == DONE, "in force")
        switch.meters.clear()
        switch.flows.clear()
        site.enforced = {1: 1000}
        keeper.poke()
        green_until(lambda: in_force(site, switch), "everything again")
        assert switch.meters[1].rate_kbps == 1020


def test_what_cannot_be_compiled_is_told_and_what_was_in_force_is_kept_up() -> None:
    site, switch = Site(world(vif(1))), SwitchPlayed()
    with kept(site, switch) as keeper:
        green_until(lambda: site.reports.get("h1") == DONE, "in force")
        flows = dict(switch.flows)
        site.world = read_world(snapshot(vif(1), vif(2, mac=vif(1).mac), cfg=4), site.world, 0.0)
        keeper.poke()
        green_until(lambda: site.reports["h1"].flow_error, "the error")
        assert "one match, two meanings" in (site.reports["h1"].flow_error or "")
        assert site.reports["h1"].flow_cfg == 3  # tried: whoever waits for it is told
        switch.flows.clear()
        site.now_s += AUDIT_S
        keeper.poke()
        green_until(lambda: switch.flows == flows, "the old state mended")


def test_an_unreadable_policy_after_a_restart_changes_nothing() -> None:
    before = compile_bridge(bridge_of(world(vif(1)), "h1", {}))
    site = Site(read_world(snapshot(vif(1), files={"p.yaml": "["}), World(), 0.0))
    switch = SwitchPlayed(state=before)
    with kept(site, switch):
        green_until(lambda: site.reports.get("h1"), "a report")
        assert "left as it is" in (site.reports["h1"].flow_error or "") and site.reports["h1"].flow_cfg == 3
    assert switch.reads == 0 and switch.read() == before


def test_a_switch_that_is_gone_or_refuses_is_told_and_tried_again() -> None:
    site, switch = Site(world(vif(1))), SwitchPlayed()
    switch.gone = True
    with kept(site, switch) as keeper:
        green_until(lambda: site.reports.get("h1") == FlowStatus(None, "it has gone", True), "told")
        switch.gone, switch.refuse = False, 1
        site.now_s += AUDIT_S
        keeper.poke()
        green_until(lambda: "table full" in (site.reports["h1"].flow_error or ""), "the refusal told")
        assert site.reports["h1"].flow_cfg is None
        applied = len(switch.applied)
        keeper.poke()  # not due yet: whatever else changes does not make it hammer
        eventlet.sleep(0.1)
        assert len(switch.applied) == applied
        site.now_s += 1.0
        green_until(lambda: in_force(site, switch), "by itself, when due")


def test_a_turn_that_fails_is_told_and_the_next_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise ZeroDivisionError("surprise")

    site, switch = Site(world(vif(1))), SwitchPlayed()
    with monkeypatch.context() as broken:
        broken.setattr(module, "bridge_of", fail)
        with kept(site, switch) as keeper:
            green_until(lambda: "surprise" in (site.reports.get("h1", DONE).flow_error or ""), "told")
            broken.undo()
            site.now_s += AUDIT_S
            keeper.poke()
            green_until(lambda: in_force(site, switch), "the next turn")


def test_a_row_that_is_gone_is_waited_for() -> None:
    site, switch = Site(world(chassis=())), SwitchPlayed()
    with kept(site, switch) as keeper:
        eventlet.sleep(0.02)
        assert not site.reports and not switch.reads
        site.world = world(vif(1))
        keeper.poke()
        green_until(lambda: in_force(site, switch), "the row")


def test_rates_alone_differ_only_where_the_same_vifs_have_meters() -> None:
    made = world(vif(1), vif(2, "acme/free"))
    before = bridge_of(made, "h1", {})
    assert changed_rates(before, before) == {}
    assert changed_rates(before, bridge_of(made, "h1", {1: 1000})) == {1: MeterBody(1020, 76)}
    assert changed_rates(before, bridge_of(made, "h1", {2: 1000})) is None
    assert changed_rates(before, bridge_of(world(vif(1)), "h1", {})) is None
    moved = read_world(
        snapshot(vif(1), vif(2, "acme/free"), chassis=(replace(H1, uplink_ports={"up0": 7}),)), made, 0.0
    )
    assert changed_rates(before, bridge_of(moved, "h1", {1: 1000})) is None
