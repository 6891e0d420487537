"""For how long it is not tried again that others give way for a VIF."""

from controller.allocation.pauses import Pauses

WEB, OTHER = (0, 1), (0, 2)


def test_a_pause_lasts_and_the_next_twice_as_long_up_to_a_bound() -> None:
    pauses, now_s = Pauses(600.0, 2000.0), 50.0
    assert not pauses.is_on(WEB, now_s)
    for length_s in (600.0, 1200.0, 2000.0, 2000.0):
        pauses.begin(WEB, now_s)
        assert pauses.is_on(WEB, now_s + length_s - 1) and not pauses.is_on(OTHER, now_s)
        now_s += length_s + 40
        assert not pauses.is_on(WEB, now_s)


def test_after_a_time_without_any_it_begins_anew() -> None:
    pauses = Pauses(600.0, 2000.0)
    pauses.begin(WEB, 0.0)
    pauses.begin(WEB, 1199.0)
    assert pauses.is_on(WEB, 1199.0 + 1199.0)
    pauses.begin(WEB, 1199.0 + 2400.0)
    assert not pauses.is_on(WEB, 1199.0 + 2400.0 + 600.0)


def test_who_goes_is_forgotten() -> None:
    pauses = Pauses(600.0, 2000.0)
    pauses.begin(WEB, 0.0)
    pauses.begin(OTHER, 0.0)
    pauses.keep({2})
    assert not pauses.is_on(WEB, 1.0) and pauses.is_on(OTHER, 1.0)
