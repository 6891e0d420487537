from __future__ import annotations

import pytest

from controller.dataplane.actions import Instructions
from controller.dataplane.entries import NOTHING, FlowBody, FlowKey, MeterBody, SwitchState
from controller.dataplane.match import match
from controller.dataplane.stages import Stages
from controller.reconcile.reconciler import Reconciler
from controller.reconcile.retry import LAST_S, BackOff
from tests.support.fake_switch import FakeSwitch


def metered(number: int, rate_kbps: int = 10) -> SwitchState:
    """One entry that uses one meter."""
    key = FlowKey(40, 100, match(reg0=1))
    return SwitchState({key: FlowBody(1, Instructions(number, (), 60))}, {number: MeterBody(rate_kbps, 1)})


def test_what_is_right_is_not_touched() -> None:
    switch = FakeSwitch(metered(1))
    outcome = Reconciler(switch).reconcile(metered(1), now_s=0.0)
    assert outcome.in_sync and not outcome.changes and switch.applied == []


def test_an_entry_moves_to_another_meter_and_survives() -> None:
    switch = FakeSwitch(metered(1))
    assert Reconciler(switch).reconcile(metered(2), now_s=0.0).in_sync
    assert switch.read() == metered(2)


def test_a_foreign_edit_is_mended() -> None:
    switch = FakeSwitch(metered(1))
    switch.flows.clear()
    outcome = Reconciler(switch).reconcile(metered(1), now_s=0.0)
    assert outcome.in_sync and switch.read() == metered(1)
    assert not outcome.changes.meters


def test_a_refusal_is_told_and_tried_again_later_and_later() -> None:
    switch, times = FakeSwitch(refuse=3), []
    reconciler = Reconciler(switch)
    for _ in range(3):
        outcome = reconciler.reconcile(metered(1), now_s=100.0)
        assert not outcome.in_sync and [failure.error for failure in outcome.failures] == ["table full"]
        times.append(outcome.retry_at_s)
    assert times == [100.25, 100.5, 101.0]
    outcome = reconciler.reconcile(metered(1), now_s=102.0)
    assert outcome.in_sync and outcome.retry_at_s is None


def test_sent_is_not_done() -> None:
    switch = FakeSwitch(lose=1)
    outcome = Reconciler(switch).reconcile(metered(1), now_s=0.0)
    assert not outcome.failures and not outcome.in_sync and outcome.retry_at_s is not None


def test_a_switch_that_is_lost_raises_and_is_begun_anew() -> None:
    class Lost(FakeSwitch):
        def read(self, wanted: SwitchState = NOTHING) -> SwitchState:
            raise ConnectionError("gone")

    with pytest.raises(ConnectionError):
        Reconciler(Lost()).reconcile(metered(1), now_s=0.0)


def test_back_off_is_bounded_and_forgets() -> None:
    back_off = BackOff()
    assert back_off.retry_at_s(5.0) is None
    for _ in range(100):
        back_off = back_off.after(failed=True)
    assert back_off.retry_at_s(5.0) == 5.0 + LAST_S
    assert back_off.after(failed=False).retry_at_s(5.0) is None


class Watched(FakeSwitch):
    """Counts how it is looked at."""

    def __init__(self, state: SwitchState | None = None) -> None:
        super().__init__(state)
        self.reads = self.looks = 0

    def read(self, wanted: SwitchState = NOTHING) -> SwitchState:
        self.reads += 1
        return super().read(wanted)

    def look(self, stages: Stages) -> SwitchState:
        self.looks += 1
        return super().look(stages)


def many(*changed: int) -> SwitchState:
    """A hundred entries, those of `changed` with another body."""
    return SwitchState(
        {FlowKey(40, 100, match(reg0=n)): FlowBody(n, Instructions(None, (), 60 + (n in changed))) for n in range(100)}
    )


def in_sync_with(state: SwitchState) -> tuple[Watched, Reconciler]:
    switch = Watched(state)
    reconciler = Reconciler(switch)
    assert reconciler.reconcile(state, now_s=0.0).in_sync
    switch.reads = 0
    return switch, reconciler


def test_a_small_change_reads_only_what_it_touches() -> None:
    switch, reconciler = in_sync_with(many())
    outcome = reconciler.advance(many(3), now_s=0.0)
    assert outcome.in_sync and not outcome.read_whole and len(outcome.changes.flows.modify) == 1
    assert (switch.reads, switch.looks) == (0, 1) and switch.read() == many(3)


def test_no_change_reads_nothing() -> None:
    switch, reconciler = in_sync_with(many())
    assert reconciler.advance(many(), now_s=0.0).in_sync
    assert (switch.reads, switch.looks, switch.applied) == (0, 0, [])


def test_a_large_change_reads_everything() -> None:
    switch, reconciler = in_sync_with(many())
    outcome = reconciler.advance(many(*range(50)), now_s=0.0)
    assert outcome.in_sync and outcome.read_whole and (switch.reads, switch.looks) == (2, 0)


@pytest.mark.parametrize("fault", ["refuse", "lose"])
def test_at_a_doubt_everything_is_read_and_mended_at_once(fault: str) -> None:
    switch, reconciler = in_sync_with(many())
    setattr(switch, fault, 1)
    outcome = reconciler.advance(many(3), now_s=0.0)
    assert outcome.in_sync and outcome.read_whole and switch.reads == 2 and switch.read() == many(3)


def test_a_switch_lost_in_the_middle_is_read_whole_the_next_time() -> None:
    switch, reconciler = in_sync_with(many())
    with pytest.MonkeyPatch.context() as broken:
        broken.setattr(switch, "look", lambda _: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            reconciler.advance(many(3), now_s=0.0)
    assert reconciler.advance(many(3), now_s=0.0).read_whole and switch.reads == 1


def test_what_others_wrote_is_assumed_or_read() -> None:
    switch, reconciler = in_sync_with(many())
    switch.flows = dict(many(7).flows)
    reconciler.assume(many(7))
    outcome = reconciler.advance(many(7, 8), now_s=0.0)
    assert len(outcome.changes.flows.modify) == 1 and not outcome.read_whole
    reconciler.attempt(many(7))
    assert reconciler.advance(many(7, 8), now_s=0.0).read_whole
