"""Laws of the difference and the reconciler: the end depends on what is wanted, not on the way there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from hypothesis import given
from hypothesis import strategies as st

from controller.dataplane.actions import Instructions
from controller.dataplane.diff import diff
from controller.dataplane.entries import FlowBody, FlowKey, MeterBody, SwitchState
from controller.dataplane.match import match
from controller.dataplane.stages import stages
from controller.reconcile.reconciler import Reconciler
from tests.support.fake_switch import FakeSwitch

mappings = st.dictionaries(st.integers(0, 5), st.integers(0, 3))
meter_bodies = st.builds(MeterBody, st.integers(1, 3), st.just(10))


@st.composite
def states(draw: st.DrawFn) -> SwitchState:
    meters = draw(st.dictionaries(st.integers(1, 4), meter_bodies))
    usable = st.none() | st.sampled_from(sorted(meters)) if meters else st.none()
    keys = st.builds(
        FlowKey, st.just(0), st.integers(1, 3), st.builds(lambda port: match(in_port=port), st.integers(1, 2))
    )
    bodies = st.builds(FlowBody, st.integers(0, 2), st.builds(Instructions, usable, st.just(()), st.just(10)))
    return SwitchState(draw(st.dictionaries(keys, bodies)), meters)


@given(mappings, mappings)
def test_a_difference_leads_from_the_one_to_the_other(desired: dict[int, int], actual: dict[int, int]) -> None:
    changes = diff(desired, actual)
    reached = {key: body for key, body in actual.items() if key not in changes.delete} | changes.add | changes.modify
    assert reached == desired
    assert bool(changes) == (desired != actual)
    assert not set(changes.add) & set(actual) and set(changes.modify) <= set(actual)


@given(st.lists(states(), min_size=1, max_size=5))
def test_any_path_ends_in_the_last_state(path: Sequence[SwitchState]) -> None:
    switch = FakeSwitch()
    for desired in path:
        outcome = Reconciler(switch).reconcile(desired, now_s=0.0)
        assert outcome.in_sync and not outcome.failures and outcome.retry_at_s is None
        assert switch.read() == desired
    assert not Reconciler(switch).reconcile(path[-1], now_s=0.0).changes


@given(states(), states())
def test_a_meter_that_stays_is_not_touched(desired: SwitchState, actual: SwitchState) -> None:
    changes = stages(desired, actual).meters
    same = {number for number, body in desired.meters.items() if actual.meters.get(number) == body}
    assert not same & (set(changes.add) | set(changes.modify) | set(changes.delete))


REST = {FlowKey(1, 1, match(in_port=port)): FlowBody(9, Instructions()) for port in range(64)}


def large(state: SwitchState) -> SwitchState:
    """With entries that never change beside, so that to look at single ones is worth while."""
    return SwitchState({**REST, **state.flows}, state.meters)


@dataclass(frozen=True, slots=True)
class Turn:
    """What is wanted, and what goes wrong just before: a refused or lost bundle, somebody else's edit."""

    desired: SwitchState
    refuse: int
    lose: int
    edit: SwitchState | None


large_states = states().map(large)
seldom = st.sampled_from([0, 0, 0, 1])
turns = st.builds(Turn, large_states, seldom, seldom, st.none() | st.none() | large_states)


def play(path: Sequence[Turn], whole: bool) -> tuple[FakeSwitch, list[bool]]:
    """The switch after all turns, and after each whether it was said to be in sync."""
    switch, told = FakeSwitch(), []
    reconciler = Reconciler(switch)
    for turn in path:
        switch.refuse, switch.lose = turn.refuse, turn.lose
        if turn.edit is not None:
            switch.flows, switch.meters = dict(turn.edit.flows), dict(turn.edit.meters)
        outcome = (reconciler.reconcile if whole else reconciler.advance)(turn.desired, now_s=0.0)
        told.append(outcome.in_sync)
    return switch, told


@given(st.lists(turns, min_size=1, max_size=4))
def test_what_is_known_leads_where_looking_leads(path: Sequence[Turn]) -> None:
    """After whatever path, an audit and no more failures both ways end in what is wanted."""
    last = path[-1].desired
    for whole in (False, True):
        switch, _ = play(path, whole)
        switch.refuse = switch.lose = 0
        assert Reconciler(switch).reconcile(last, now_s=0.0).in_sync
        assert switch.read() == last


@given(st.lists(turns, min_size=1, max_size=4))
def test_in_sync_is_said_of_what_holds(path: Sequence[Turn]) -> None:
    """Nobody else edits: then it is true without an audit, whatever was refused or lost, and the next try mends it."""
    alone = [replace(turn, edit=None) for turn in path]
    for count in range(1, len(alone) + 1):
        switch, told = play(alone[:count], whole=False)
        assert told[-1] == (switch.read() == alone[count - 1].desired)
    reconciler = Reconciler(switch)
    switch.refuse = switch.lose = 0
    assert reconciler.advance(alone[-1].desired, now_s=0.0).in_sync and switch.read() == alone[-1].desired


@given(large_states, large_states, large_states)
def test_an_edit_costs_no_more_than_the_audit_mends(first: SwitchState, edit: SwitchState, then: SwitchState) -> None:
    """What is written is read back even while somebody else's edit is not known yet: it never differs there."""
    switch = FakeSwitch()
    reconciler = Reconciler(switch)
    assert reconciler.reconcile(first, now_s=0.0).in_sync
    switch.flows, switch.meters = dict(edit.flows), dict(edit.meters)
    changes = stages(then, first)
    outcome = reconciler.advance(then, now_s=0.0)
    assert outcome.in_sync
    now = switch.read()
    for key in (*changes.flows.add, *changes.flows.modify):
        assert now.flows[key] == then.flows[key]
    assert not set(changes.flows.delete) & set(now.flows)
    assert reconciler.reconcile(then, now_s=0.0).in_sync and switch.read() == then
