"""What stamps of the kernel come to: a time under way, a loss, or nothing."""

import pytest

from controller.host.latency.frames import UNNUMBERED
from controller.host.latency.rounds import PATIENCE_S, REFUSED_S, Leg, Round, Rounds
from controller.host.latency.stamps import Moment, Stamp
from controller.measure.sketch import RELATIVE_ERROR, quantile_ms
from controller.stream.messages import PathSample

MS = 1_000_000
QUEUED, SENT, ANSWERED = Moment.QUEUED, Moment.SENT, Moment.ANSWERED


class Probing:
    """One VIF's rounds; times in ms."""

    def __init__(self) -> None:
        self.rounds, self.beyond_ns, self.lost_s = Rounds(), 0, float("-inf")
        self.is_cut = False

    def send(self, at_s: float, passes: bool = False, leaves_by: int = 0, name: str = "normal") -> list[int]:
        """Numbers of the question, of the passer-by on the port, and of those on uplinks."""
        numbers = [self.rounds.number() for _ in range(1 + passes + leaves_by)]
        own = Round(7, name, at_s, Leg("wv7"))
        legs = {numbers[0]: own.question}
        if passes:
            own.inwards = legs[numbers[1]] = Leg("wv7")
        for number, device in zip(numbers[1 + passes :], ("up0", "up1"), strict=False):
            leg = legs[number] = Leg(device)
            own.outwards.append(leg)
        self.rounds.add(own, legs)
        return numbers

    def stamp(self, number: int, moment: Moment, at_ms: float, device: str = "") -> None:
        self.rounds.take(Stamp(moment, number, round(at_ms * MS), device))

    def passes(self, number: int, start_ms: float, end_ms: float) -> None:
        self.stamp(number, QUEUED, start_ms)
        self.stamp(number, SENT, end_ms)

    def end(self, now_s: float) -> PathSample | None:
        beyond = None if self.is_cut else self.beyond_ns
        self.rounds.settle(now_s, self.lost_s, lambda _: beyond)
        return self.rounds.samples().get(7, {}).get("normal")


@pytest.fixture
def probing() -> Probing:
    """Of a VIF that has answered once, in 1 ms."""
    one = Probing()
    (number,) = one.send(0.0)
    one.passes(number, 0, 0.4)
    one.stamp(number, ANSWERED, 1, "wv7")
    sample = one.end(0.0)
    assert sample is not None
    assert (sample.sent, sample.lost) == (1, 0)
    assert quantile_ms(sample.buckets, 1.0) == pytest.approx(1.0, rel=RELATIVE_ERROR)
    return one


def time_ms(sample: PathSample | None) -> float | None:
    assert sample is not None
    return quantile_ms(sample.buckets, 1.0)


def test_the_time_is_that_of_waiting_in_the_class_and_of_the_way_there_and_back(probing: Probing) -> None:
    question, inwards, *outwards = probing.send(1.0, passes=True, leaves_by=2)
    probing.passes(question, 0, 50)  # in another class's queue, which is not what is measured
    probing.stamp(question, ANSWERED, 53, "wv7")
    probing.passes(inwards, 0, 20)
    probing.passes(outwards[0], 0, 7)
    assert probing.end(1.0) is None  # not yet
    probing.passes(outwards[1], 0, 11)
    probing.beyond_ns = 5 * MS
    assert time_ms(probing.end(1.1)) == pytest.approx(20 + 3 + 11 + 5, rel=RELATIVE_ERROR)


def test_what_does_not_come_back_is_lost_after_a_while(probing: Probing) -> None:
    (question,) = probing.send(1.0)
    probing.passes(question, 0, 1)
    assert probing.end(1.0 + PATIENCE_S / 2) is None
    assert probing.end(1.0 + PATIENCE_S) == PathSample(1, 1, None, unanswered=1)
    probing.stamp(question, ANSWERED, 5, "wv7")
    assert probing.end(9.0) is None  # too late


def test_what_a_queue_refuses_is_lost_before_long(probing: Probing) -> None:
    """Not at once: its link may be seen to be down."""
    probing.send(1.0)
    next(iter(probing.rounds._open.values())).is_refused = True
    assert probing.end(0.9 + REFUSED_S) is None
    assert probing.end(1.0 + REFUSED_S) == PathSample(1, 1, None)


def test_only_what_all_queues_took_is_the_instances_to_answer(probing: Probing) -> None:
    for passing in (True, False):
        question, inwards, outwards = probing.send(1.0, passes=True, leaves_by=1)
        probing.passes(question, 0, 1)
        probing.passes(inwards, 0, 1)
        probing.stamp(outwards, QUEUED, 0)
        if passing:
            probing.stamp(outwards, SENT, 1)
        assert probing.end(1.0 + PATIENCE_S) == PathSample(1, 1, None, unanswered=int(passing))


def test_what_is_cut_off_or_refused_is_not_the_instances_to_answer(probing: Probing) -> None:
    (question,) = probing.send(1.0)
    probing.passes(question, 0, 1)
    next(iter(probing.rounds._open.values())).is_refused = True
    assert probing.end(1.0 + PATIENCE_S) == PathSample(1, 1, None)


def test_a_sample_says_how_far_apart_probes_are(probing: Probing) -> None:
    (question,) = probing.send(1.0)
    probing.passes(question, 0, 1)
    probing.stamp(question, ANSWERED, 2, "wv7")
    probing.rounds.settle(1.0, float("-inf"), lambda _: 0)
    found = probing.rounds.samples(lambda vif, name: 30.0 if (vif, name) == (7, "normal") else 0.0)
    assert found[7]["normal"].every_s == 30.0


def test_what_may_have_come_unread_is_not_lost(probing: Probing) -> None:
    (question,) = probing.send(1.0)
    probing.passes(question, 0, 1)
    probing.lost_s = 1.1
    assert probing.end(1.0 + PATIENCE_S) is None


def test_what_was_asked_after_others_answers_were_not_read_is_lost(probing: Probing) -> None:
    (question,) = probing.send(1.2)
    probing.passes(question, 0, 1)
    probing.lost_s = 1.1
    sample = probing.end(1.2 + PATIENCE_S)
    assert sample is not None and sample.lost == 1


def test_what_has_gone_lost_behind_the_uplink_is_lost(probing: Probing) -> None:
    (question,) = probing.send(1.0)
    probing.passes(question, 0, 1)
    probing.stamp(question, ANSWERED, 2, "wv7")
    probing.is_cut = True
    assert probing.end(1.0) == PathSample(1, 1, None)


def test_of_a_vif_that_has_never_answered_nothing_is_lost() -> None:
    silent = Probing()
    (question,) = silent.send(0.0)
    silent.passes(question, 0, 1)
    assert silent.end(PATIENCE_S) == PathSample(1, 0, None)


def test_nobody_answers_for_somebody_else(probing: Probing) -> None:
    (question,) = probing.send(1.0)
    probing.passes(question, 0, 1)
    probing.stamp(question, ANSWERED, 2, "wv8")
    assert probing.end(1.1) is None


def test_an_answer_without_a_number_is_that_to_the_last_question_there(probing: Probing) -> None:
    (question,) = probing.send(1.0)
    probing.passes(question, 0, 1)
    assert probing.rounds.is_asking("wv7")
    probing.stamp(UNNUMBERED, ANSWERED, 4, "wv7")
    assert not probing.rounds.is_asking("wv7")
    assert time_ms(probing.end(1.1)) == pytest.approx(4, rel=RELATIVE_ERROR)


@pytest.mark.parametrize("set_ms", [-3_600_000.0, -2.0, 1000.0, 3_600_000.0])
@pytest.mark.parametrize("place", [SENT, ANSWERED])
def test_a_clock_that_was_set_tells_nothing(probing: Probing, place: Moment, set_ms: float) -> None:
    """While the question waited, or while it was under way."""
    (question,) = probing.send(1.0)
    probing.stamp(question, QUEUED, 0)
    probing.stamp(question, SENT, 1 + set_ms)
    probing.stamp(question, ANSWERED, 2 + set_ms if place is SENT else 2 + 2 * set_ms, "wv7")
    assert probing.end(1.1) is None
    assert probing.end(9.0) is None


def test_what_waits_long_in_each_queue_counts_in_full(probing: Probing) -> None:
    """Together longer than a round has time, for they waited at the same time."""
    question, inwards, outwards = probing.send(1.0, passes=True, leaves_by=1)
    probing.passes(question, 0, 1)
    probing.stamp(question, ANSWERED, 1801, "wv7")
    probing.passes(inwards, 0, 1700)
    probing.passes(outwards, 0, 1900)
    assert time_ms(probing.end(2.9)) == pytest.approx(1800 + 1700 + 1900, rel=RELATIVE_ERROR)


def test_jitter_is_of_all_answers_and_goes_on_from_sample_to_sample(probing: Probing) -> None:
    (question,) = probing.send(1.0)
    probing.passes(question, 0, 1)
    probing.stamp(question, ANSWERED, 17, "wv7")
    sample = probing.end(1.1)
    assert sample is not None
    assert sample.jitter_ms == pytest.approx(1.0)  # (17 - 1) / 16


def test_a_vif_that_goes_is_forgotten_with_what_is_under_way(probing: Probing) -> None:
    probing.send(1.0)
    probing.rounds.keep([8])
    assert probing.end(9.0) is None


def test_a_round_that_could_not_be_sent_tells_nothing(probing: Probing) -> None:
    probing.send(1.0)
    (own,) = probing.rounds._open.values()
    probing.rounds.drop(own)
    assert probing.end(9.0) is None


def test_numbers_begin_again_and_leave_out_that_of_answers_without_one() -> None:
    rounds = Rounds()
    numbers = [rounds.number() for _ in range(0x10000)]
    assert UNNUMBERED not in numbers
    assert numbers[-1] == numbers[0] == 1


def test_what_was_asked_before_the_first_answer_is_not_lost_after_it() -> None:
    """An instance that starts is not told to have lost what it was not there for."""
    starting = Probing()
    (early,) = starting.send(0.0)
    starting.passes(early, 0, 1)
    (first,) = starting.send(1.0)
    starting.passes(first, 0, 1)
    starting.stamp(first, ANSWERED, 2, "wv7")
    sample = starting.end(1.1)
    assert sample is not None and (sample.sent, sample.lost) == (1, 0)
    assert starting.end(PATIENCE_S) == PathSample(1, 0, sample.jitter_ms)
    (late,) = starting.send(3.0)
    starting.passes(late, 0, 1)
    sample = starting.end(3.0 + PATIENCE_S)
    assert sample is not None and (sample.lost, sample.unanswered) == (1, 1)
