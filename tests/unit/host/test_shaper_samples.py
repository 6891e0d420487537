"""Namespaces of instances are visited only when their instance has sent."""

from __future__ import annotations

from pathlib import Path

from controller.host.queue_plan import shaper_plan
from controller.host.shaper_samples import ShaperSamples
from controller.host.wish import Wish
from controller.stream.messages import QueueSample


class Shapers:
    """Counts visits. Every shaper's sample is `sample`; None: it cannot be read."""

    def __init__(self) -> None:
        self.sample: QueueSample | None = QueueSample(1000, 1, 0, 0)
        self.visits: list[str] = []
        self.samples = ShaperSamples(self._read)

    def _read(self, wish: Wish) -> QueueSample | None:
        self.visits.append(wish.device)
        return self.sample

    def take(self, received: dict[int, int], limit_kbps: int = 1000) -> dict[int, QueueSample]:
        self.visits.clear()
        wishes = {number: Wish(f"eth{number}", shaper_plan(limit_kbps, 60_000), Path("/n")) for number in (1, 2)}
        return self.samples.take(wishes, received)


def test_who_has_sent_nothing_keeps_the_last_sample() -> None:
    shapers = Shapers()
    first = shapers.take({1: 5, 2: 0})
    assert shapers.visits == ["eth1", "eth2"] and first.keys() == {1, 2}
    shapers.sample = QueueSample(2000, 2, 0, 0)
    assert shapers.take({1: 5, 2: 0}) == first and not shapers.visits
    assert shapers.take({1: 6, 2: 0}) == {1: shapers.sample, 2: first[2]} and shapers.visits == ["eth1"]


def test_what_waits_is_looked_at_until_it_is_gone() -> None:
    shapers = Shapers()
    shapers.sample = QueueSample(1000, 1, 0, 500)
    shapers.take({1: 5, 2: 0})
    shapers.sample = QueueSample(1500, 2, 3, 0)
    assert shapers.take({1: 5, 2: 0})[1] == shapers.sample and shapers.visits == ["eth1", "eth2"]
    shapers.take({1: 5, 2: 0})
    assert not shapers.visits


def test_another_shaper_a_missing_link_and_a_failed_visit_are_looked_at_again() -> None:
    shapers = Shapers()
    shapers.take({1: 5, 2: 0})
    shapers.take({1: 5, 2: 0}, limit_kbps=2000)
    assert shapers.visits == ["eth1", "eth2"]
    shapers.take({2: 0}, limit_kbps=2000)
    shapers.take({2: 0}, limit_kbps=2000)
    assert shapers.visits == ["eth1"]
    shapers.sample = None
    assert shapers.take({1: 6, 2: 0}, limit_kbps=2000).keys() == {2}
    shapers.take({1: 6, 2: 0}, limit_kbps=2000)
    assert shapers.visits == ["eth1"]
