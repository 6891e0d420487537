"""Laws of the difference and the reconciler: the end depends on what is wanted, not on the way there."""

from __future__ import annotations

from collections.abc import Sequence

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
