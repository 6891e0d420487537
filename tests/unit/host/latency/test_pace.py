"""Who is probed when."""

from collections import Counter
from dataclasses import replace
from ipaddress import ip_address
from typing import Any

import pytest

from controller.host.latency.pace import (
    FRAMES_PER_S,
    LEAST_PART,
    LONG_STEP_S,
    MOST_PART,
    OTHER_CLASSES,
    OTHERS_PER_S,
    STEP_S,
    WITH_OBJECTIVES_PER_S,
    Pace,
    frames_of,
    intervals_s,
)
from controller.host.latency.targets import Target


def target(number: int, has_objectives: bool = False, **changes: Any) -> Target:
    base = Target(number, f"wv{number}", number, ip_address("10.9.0.7"), has_objectives=has_objectives)
    return replace(base, **changes)


def targets(first: int, others: int, **changes: Any) -> dict[int, Target]:
    return {number: target(number, number <= first, **changes) for number in range(1, first + others + 1)}


def test_where_nobody_has_objectives_half_of_the_frames_is_enough() -> None:
    assert frames_per_s(targets(0, 1000)) == pytest.approx(MOST_PART * FRAMES_PER_S)


def frames_per_s(wanted: dict[int, Target]) -> float:
    intervals = intervals_s(wanted)
    return sum(frames_of(wanted[number]) / interval_s for number, interval_s in intervals.items())


def test_few_are_probed_as_often_as_is_good() -> None:
    intervals = intervals_s(targets(2, 3))
    assert intervals == pytest.approx({**dict.fromkeys((1, 2), 1 / WITH_OBJECTIVES_PER_S), 3: 1.0, 4: 1.0, 5: 1.0})


@pytest.mark.parametrize(("first", "others"), [(0, 1000), (1000, 0), (50, 1000), (1000, 1), (9, 40)])
@pytest.mark.parametrize("uplinks", [(), ("up0",), ("up0", "up1")])
def test_no_host_sends_more_frames_than_it_may(first: int, others: int, uplinks: tuple[str, ...]) -> None:
    wanted = targets(first, others, uplinks=uplinks, divides_port=True)
    assert frames_per_s(wanted) <= FRAMES_PER_S * 1.001


def test_who_has_objectives_leaves_a_part_to_the_others() -> None:
    intervals = intervals_s(targets(1000, 1000))
    assert intervals[1] == pytest.approx(1000 / (FRAMES_PER_S * (1 - LEAST_PART)))
    assert intervals[2000] == pytest.approx(1000 / (FRAMES_PER_S * LEAST_PART))


def rounds_of(pace: Pace, seconds: float, step_s: float = STEP_S) -> Counter[int]:
    found: Counter[int] = Counter()
    for turn in range(1, round(seconds / step_s) + 1):
        found.update(due.vif for due, _, _ in pace.due(turn * step_s))
    return found


def test_turns_come_at_their_interval() -> None:
    pace = Pace(lambda: 0.5)
    pace.aim(targets(1, 1), 0.0)
    found = rounds_of(pace, 20.0)
    assert found[1] == pytest.approx(20 * WITH_OBJECTIVES_PER_S, rel=0.1)
    assert found[2] == pytest.approx(20 * OTHERS_PER_S, rel=0.1)


def test_what_was_missed_is_not_made_up_for() -> None:
    pace = Pace(lambda: 0.5)
    pace.aim(targets(4, 0), 0.0)
    assert len(pace.due(60.0)) == 4
    assert pace.due(60.0) == []


def test_not_everybody_goes_at_once_after_a_pause() -> None:
    pace = Pace(lambda: 0.0)
    pace.aim(targets(0, 1000), 0.0)
    assert sum(frames_of(due) for due, _, _ in pace.due(60.0)) <= 2 * FRAMES_PER_S * LONG_STEP_S


def test_frames_of_many_that_are_due_at_once_are_no_more_a_second() -> None:
    pace = Pace(lambda: 0.0)
    pace.aim(targets(1000, 0, uplinks=("up0",)), 0.0)
    assert 2 * sum(rounds_of(pace, 10.0).values()) <= 10 * FRAMES_PER_S * 1.05


CLASSES = (("gold", 46), ("normal", 0), ("bulk", 8))


def classes_of(pace: Pace, rounds: int) -> list[tuple[str, int]]:
    found = [due for turn in range(1, 2000) for due in pace.due(turn * STEP_S)]
    return [(name, code_point) for _, name, code_point in found[:rounds]]


def test_classes_take_turns() -> None:
    pace = Pace(lambda: 0.5)
    pace.aim({1: target(1, False, classes=CLASSES)}, 0.0)
    assert classes_of(pace, 4) == [*CLASSES, CLASSES[0]]
    assert {pace.every_s(1, name) for name, _ in CLASSES} == {3 / OTHERS_PER_S}


def test_the_class_that_objectives_are_for_has_most_turns() -> None:
    pace = Pace(lambda: 0.5)
    pace.aim({1: target(1, True, classes=CLASSES), 2: target(2, True)}, 0.0)
    found = [
        name for vif, name, _ in (due for turn in range(1, 2000) for due in pace.due(turn * STEP_S)) if vif.vif == 1
    ]
    counted = Counter(found[: 2 * 2 * OTHER_CLASSES])
    assert counted == {"gold": 4 * (OTHER_CLASSES - 1), "normal": 2, "bulk": 2}
    between = {name: OTHER_CLASSES * 4 / counted[name] / WITH_OBJECTIVES_PER_S for name in counted}
    assert {name: pace.every_s(1, name) for name in counted} == pytest.approx(between, abs=0.01)
    assert pace.every_s(2, "normal") == 1 / WITH_OBJECTIVES_PER_S and pace.every_s(3, "normal") == 0.0


def test_who_goes_has_no_turn_and_who_stays_keeps_his() -> None:
    pace = Pace(lambda: 0.5)
    pace.aim(targets(0, 2), 0.0)
    pace.due(0.6)
    pace.aim({1: target(1), 3: target(3)}, 0.7)
    pace.due(0.8)
    assert pace.due_s == pytest.approx(0.7 + 0.5)  # the new one; the first has its next at 1.5
    assert set(rounds_of(pace, 5.0)) == {1, 3}
    pace.aim({}, 6.0)
    assert pace.due_s is None
