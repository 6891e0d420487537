"""Who sends more answers than anybody is asked for is not listened to for a while."""

import pytest

from controller.host.latency.muting import MOST_MUTED, MOST_PER_S, MUTED_S, Muting


class Clock:
    now_s = 5.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
def clock() -> Clock:
    return Clock()


def heard(muting: Muting, device: str, count: int) -> None:
    for _ in range(count):
        muting.count(device)


def test_who_sends_too_much_is_muted_for_a_while_and_nobody_else(clock: Clock) -> None:
    muting = Muting(clock)
    heard(muting, "loud", MOST_PER_S + 1)
    heard(muting, "busy", MOST_PER_S)
    assert muting.muted() == {"loud"}
    clock.now_s += MUTED_S - 1
    assert muting.muted() == {"loud"}
    clock.now_s += 1.5
    assert muting.muted() == frozenset()


def test_what_comes_in_different_seconds_is_not_added_up(clock: Clock) -> None:
    muting = Muting(clock)
    for _ in range(5):
        heard(muting, "busy", MOST_PER_S)
        clock.now_s += 1.0
        assert muting.muted() == frozenset()


def test_uplinks_are_never_muted(clock: Clock) -> None:
    muting = Muting(clock)
    heard(muting, "up0", 2 * MOST_PER_S)
    assert muting.muted() == {"up0"}
    muting.spare(["up0"])
    assert muting.muted() == frozenset()
    heard(muting, "up0", 2 * MOST_PER_S)
    assert muting.muted() == frozenset()


def test_the_filter_stays_short_enough(clock: Clock) -> None:
    muting = Muting(clock)
    for number in range(MOST_MUTED + 5):
        heard(muting, f"wv{number}", MOST_PER_S + 1)
    assert len(muting.muted()) == MOST_MUTED
