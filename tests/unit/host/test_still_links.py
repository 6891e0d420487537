"""Whether links carry no more than probes do, by the time from one sample to the next."""

from __future__ import annotations

import pytest

from controller.host.link_codec import Link, Traffic
from controller.host.queue_samples import STILL_BYTES_PER_S, QueueSamples
from controller.host.wish import Wishes

PACKET_BYTES = 100


class NoTrees:
    """Traffic control of a host without a queue of ours."""

    def root_counters(self, indexes: list[int]) -> list[None]:
        return [None for _ in indexes]


class Links:
    """One link, which has received this."""

    packets = 0

    def links(self) -> dict[str, Link]:
        return {}

    def traffic(self) -> dict[int, Traffic]:
        return {7: Traffic(self.packets, 0, self.packets * PACKET_BYTES, 0)}


@pytest.mark.parametrize("interval_s", [0.2, 1.0, 5.0])
def test_a_link_is_still_by_what_it_carries_in_a_second_whatever_the_pace(interval_s: float) -> None:
    samples, links, now_s = QueueSamples(NoTrees()), Links(), 100.0  # type: ignore[arg-type]
    for part, is_still in ((0.0, True), (0.8, True), (1.2, False), (0.8, True)):
        links.packets += round(part * STILL_BYTES_PER_S * interval_s / PACKET_BYTES)
        taken = samples.take(Wishes(), links, now_s)  # type: ignore[arg-type]
        now_s += interval_s
        if part:
            assert taken.still == is_still, part
