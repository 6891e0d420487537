"""What probes of the last while come to, of one host or several."""

from __future__ import annotations

import pytest

from controller.measure.path import VifPaths
from controller.measure.sketch import RELATIVE_ERROR, sketch_of
from controller.runtime.paths import ENOUGH, LATELY_S, LONGEST_S, LONGEST_TURNS, WINDOW_S, Paths
from controller.stream.messages import HostSample, PathSample
from tests.unit.runtime.runtime_worlds import vif, world


def came(*times_ms: float, lost: int = 0, jitter_ms: float | None = 0.5) -> PathSample:
    return PathSample(len(times_ms) + lost, lost, jitter_ms, sketch_of(times_ms))


class Told:
    """The controller's side, of a world with VIFs 1 and 2."""

    def __init__(self) -> None:
        self.world = world(vif(1), vif(2))
        self.paths = Paths(lambda: self.world)

    def tell(self, at_s: float, number: int = 1, **classes: PathSample) -> None:
        self.paths.take(HostSample("h1", at_s, {}, {number: classes}), at_s)

    def at(self, now_s: float, number: int = 1) -> VifPaths:
        return self.paths.figures(now_s)[number]


@pytest.fixture
def told() -> Told:
    return Told()


def test_who_was_not_probed_has_no_figures(told: Told) -> None:
    assert told.paths.figures(0.0) == {}


def test_percentiles_are_of_all_classes_and_of_each(told: Told) -> None:
    told.tell(1.0, gold=came(*[1.0] * 60, jitter_ms=0.1), bulk=came(*[50.0] * 40, jitter_ms=0.6))
    found = told.at(1.0)
    assert found.whole.p50_ms == pytest.approx(1.0, rel=RELATIVE_ERROR)
    assert found.whole.p99_ms == pytest.approx(50.0, rel=RELATIVE_ERROR)
    assert found.whole.jitter_ms == pytest.approx(0.1 * 0.6 + 0.6 * 0.4)
    assert found.whole.probes == 100
    assert found.classes["gold"].p99_ms == pytest.approx(1.0, rel=RELATIVE_ERROR)
    assert found.classes["bulk"].jitter_ms == 0.6


def test_samples_of_several_seconds_are_one_distribution(told: Told) -> None:
    for second in range(5):
        told.tell(float(second), normal=came(*[1.0 + second] * 10, lost=second))
    found = told.at(5.0)
    assert found.whole.p50_ms == pytest.approx(3.0, rel=RELATIVE_ERROR)
    assert found.whole.loss == pytest.approx(10 / 60)
    assert (found.whole.probes, found.whole.window_s) == (60, WINDOW_S)


def test_what_is_older_than_the_window_counts_no_more(told: Told) -> None:
    told.tell(0.0, normal=came(*[90.0] * 30))
    told.tell(5.0, normal=came(*[1.0] * 30))
    assert told.at(6.0).whole.p99_ms == pytest.approx(90.0, rel=RELATIVE_ERROR)
    assert told.at(0.1 + WINDOW_S).whole.p99_ms == pytest.approx(1.0, rel=RELATIVE_ERROR)
    assert told.at(6.0 + WINDOW_S).whole.window_s == 11.0  # nothing newer: it is a little longer


def test_where_probes_are_few_the_window_is_longer(told: Told) -> None:
    for turn in range(20):
        told.tell(turn * 5.0, normal=came(float(turn + 1)))
    found = told.at(95.0)
    assert found.whole.window_s == LONGEST_S
    assert found.whole.probes == 12 < ENOUGH


def test_too_few_say_nothing(told: Told) -> None:
    told.tell(1.0, normal=came(1.0, 2.0))
    whole = told.at(1.0).whole
    assert (whole.p50_ms, whole.p99_ms, whole.jitter_ms, whole.loss) == (None, None, None, None)


def test_lately_is_what_has_come_in_the_last_seconds(told: Told) -> None:
    told.tell(1.0, normal=came(*[90.0] * 20))
    told.tell(2.0 + LATELY_S, normal=came(*[1.0] * 20))
    found = told.at(2.0 + LATELY_S)
    assert found.lately is not None
    assert found.lately.whole.p99_ms == pytest.approx(1.0, rel=RELATIVE_ERROR)
    assert found.lately.classes["normal"].probes == 20
    assert found.whole.p99_ms == pytest.approx(90.0, rel=RELATIVE_ERROR)
    later = told.at(3.0 + 2 * LATELY_S)
    assert later.lately is not None
    assert later.lately.whole.p99_ms is None


def test_all_lost_is_a_loss_of_all(told: Told) -> None:
    told.tell(1.0, normal=came(lost=20))
    found = told.at(1.0)
    assert (found.whole.loss, found.whole.p50_ms, found.note) == (1.0, None, None)


def test_of_who_never_answered_nothing_is_said_but_that(told: Told) -> None:
    told.tell(1.0, normal=PathSample(20, 0))
    found = told.at(1.0)
    assert found.whole.loss is None
    assert found.note is not None
    assert "never answered" in found.note


def test_what_only_the_instance_leaves_unanswered_is_told_and_said(told: Told) -> None:
    told.tell(1.0, normal=PathSample(20, 10, None, sketch_of([1.0] * 10), unanswered=10))
    found = told.at(1.0)
    assert (found.whole.loss, found.whole.unanswered, found.whole.way_loss) == (0.5, 0.5, 0.0)
    assert found.note is not None and found.note.startswith("the instance does not answer")
    told.tell(2.0, normal=came(*[1.0] * 60))
    assert told.at(2.0).note is None


def test_of_who_is_off_nothing_is_said_but_that(told: Told) -> None:
    """What was before says nothing of what is; what comes afterwards does."""
    told.tell(1.0, gold=came(*[1.0] * 20), bulk=came(*[1.0] * 20))
    told.tell(2.0, normal=PathSample(0, 0, every_s=10.0))
    found = told.at(2.0)
    assert (found.whole.probes, found.whole.loss, found.whole.p50_ms) == (0, None, None)
    assert found.note is not None and found.note.startswith("its link is down")
    told.tell(3.0, gold=came(*[1.0] * 20))
    assert (told.at(3.0).whole.probes, told.at(3.0).note) == (20, None)


def test_the_window_follows_the_pace_and_the_pace_is_said(told: Told) -> None:
    """1,000 VIFs in three classes: each class has its turn every 90 s."""
    for turn in range(12):
        for at, name in enumerate(("gold", "normal", "bulk")):
            sample = PathSample(1, 0, 0.1, sketch_of([1.0]), every_s=90.0)
            at_s = 90.0 * turn + 30.0 * at
            told.paths.take(HostSample("h1", at_s, {}, {1: {name: sample}}), at_s)
    found = told.at(12 * 90.0)
    assert found.whole.window_s == LONGEST_TURNS * 90.0
    assert {name: one.p50_ms for name, one in found.classes.items()} == pytest.approx(
        dict.fromkeys(("gold", "normal", "bulk"), 1.0), rel=RELATIVE_ERROR
    )
    assert found.note is not None and found.note.endswith("probed every 90 s")
    assert told.paths.figures(12 * 90.0 + LONGEST_TURNS * 90.0) == {}


def test_a_class_that_is_probed_less_often_has_a_longer_window(told: Told) -> None:
    for second in range(100):
        told.tell(float(second), gold=PathSample(4, 0, 0.1, sketch_of([1.0] * 4), every_s=0.25))
        if second % 20 == 0:
            told.tell(float(second), bulk=PathSample(1, 0, 0.1, sketch_of([5.0]), every_s=20.0))
    found = told.at(99.0)
    assert (found.whole.window_s, found.classes["gold"].window_s) == (WINDOW_S, WINDOW_S)
    assert found.classes["bulk"].p50_ms == pytest.approx(5.0, rel=RELATIVE_ERROR)
    assert found.note is None


def test_figures_go_when_probes_stop_and_with_their_vif(told: Told) -> None:
    told.tell(1.0, normal=came(1.0, 1.0, 1.0))
    told.tell(1.0, 2, normal=came(1.0, 1.0, 1.0))
    assert set(told.paths.figures(2.0)) == {1, 2}
    told.world = world(vif(2))
    assert set(told.paths.figures(2.0)) == {2}
    told.world = world(vif(1), vif(2))
    assert set(told.paths.figures(2.0)) == {2}
    assert told.paths.figures(1.0 + LONGEST_S) == {}


def test_figures_are_made_anew_only_when_something_has_changed(told: Told) -> None:
    told.tell(1.0, normal=came(*[1.0] * 30))
    assert told.at(1.5) is told.at(2.0)
    told.tell(2.0, normal=came(*[1.0] * 30))
    assert told.at(2.0).whole.probes == 60
