"""What is probed of what is aimed at, without a network: the wire is played."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from ipaddress import ip_address

import pytest

from controller.host.latency.pace import LONG_STEP_S
from controller.host.latency.prober import DOWN_EVERY_S, Prober
from controller.host.latency.rounds import REFUSED_S
from controller.host.latency.stamps import Moment, Stamp
from controller.host.latency.surroundings import Aims
from controller.host.latency.targets import Target
from controller.host.latency.wire import Sent
from controller.stream.messages import PathSample

AIMS = Aims({7: Target(7, "wv7", 7, ip_address("10.9.0.7"))})
OFF = replace(AIMS, down=frozenset({"wv7"}))


class Played:
    """A wire whose frames are all taken, and answered within a millisecond; or refused."""

    def __init__(self) -> None:
        self.outcome = Sent.QUEUED
        self.sent, self.spared = 0, list[str]()
        self.is_silent = self.is_full = False  # full: no answer has room, as the next `has_lost` says
        self._is_told = True
        self._stamps: list[Stamp] = []

    def send(self, device: str, frame: bytes) -> Sent:
        self.sent += 1
        if self.outcome is Sent.QUEUED:
            number = int.from_bytes(frame[10:12], "big")
            moments = [(Moment.QUEUED, ""), (Moment.SENT, "")]
            if not self.is_silent and not self.is_full:
                moments.append((Moment.ANSWERED, device))
            self._is_told &= not self.is_full
            self._stamps += [Stamp(moment, number, at * 500_000, place) for at, (moment, place) in enumerate(moments)]
        return self.outcome

    def heard(self) -> Iterator[Stamp]:
        stamps, self._stamps = self._stamps, []
        return iter(stamps)

    def has_lost(self) -> bool:
        told, self._is_told = self._is_told, True
        return not told

    def spare(self, devices: Iterable[str]) -> None:
        self.spared = list(devices)


class Probing:
    def __init__(self) -> None:
        self.wire, self.now_s = Played(), 0.0
        self.prober = Prober(self.wire)  # type: ignore[arg-type]
        self.prober.aim(AIMS, 0.0)

    def go(self, seconds: float) -> list[PathSample]:
        """A sample a second."""
        found = []
        for _ in range(round(seconds / LONG_STEP_S)):
            self.now_s += LONG_STEP_S
            self.prober.step(self.now_s)
            if self.now_s % 1.0 < LONG_STEP_S:
                found += [one for classes in self.prober.samples(self.now_s).values() for one in classes.values()]
        return found


@pytest.fixture
def probing() -> Probing:
    one = Probing()
    found = one.go(10.0)
    assert sum(sample.sent for sample in found) >= 5 and {sample.lost for sample in found} == {0}
    return one


def test_what_is_off_is_not_probed_and_that_is_told_now_and_then(probing: Probing) -> None:
    probing.prober.aim(OFF, probing.now_s)
    before = probing.wire.sent
    assert probing.go(2.5 * DOWN_EVERY_S) == [PathSample(0, 0, every_s=DOWN_EVERY_S)] * 3
    assert probing.wire.sent == before
    probing.prober.aim(AIMS, probing.now_s)
    assert all(sample.sent and not sample.lost for sample in probing.go(5.0))


def test_what_was_refused_because_the_link_went_down_is_not_lost(probing: Probing) -> None:
    probing.wire.outcome = Sent.REFUSED
    before = probing.wire.sent
    while probing.wire.sent == before:
        probing.go(LONG_STEP_S)
    assert not any(sample.lost for sample in probing.go(REFUSED_S / 2))
    probing.prober.aim(OFF, probing.now_s)
    assert {(sample.sent, sample.lost) for sample in probing.go(5.0)} == {(0, 0)}


def test_what_a_full_queue_refuses_is_lost(probing: Probing) -> None:
    probing.wire.outcome = Sent.REFUSED
    assert sum(sample.lost for sample in probing.go(10.0)) >= 5


def test_what_a_silent_instance_does_not_answer_is_lost(probing: Probing) -> None:
    probing.wire.is_silent = True
    assert sum(sample.lost for sample in probing.go(10.0)) >= 5


def test_what_may_have_been_answered_while_our_own_buffer_was_full_is_not_lost(probing: Probing) -> None:
    """It is seen at once that something came too fast, and settled only seconds later what is missing."""
    probing.wire.is_full = True
    found = probing.go(3.0)
    probing.wire.is_full = False
    found += probing.go(10.0)
    assert sum(sample.sent for sample in found) >= 5 and not any(sample.lost for sample in found)
    probing.wire.is_silent = True
    assert sum(sample.lost for sample in probing.go(10.0)) >= 5


def test_uplinks_are_heard_whatever_comes_from_there(probing: Probing) -> None:
    probing.prober.aim(replace(AIMS, vlans={"up0": None}), probing.now_s)
    assert probing.wire.spared == ["up0"]


def test_a_sample_says_how_far_apart_they_are(probing: Probing) -> None:
    assert {sample.every_s for sample in probing.go(5.0)} == {1.0}
