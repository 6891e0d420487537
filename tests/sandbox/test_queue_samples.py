"""Queues on real links, read only where something has moved, and with the same figures as when all are read."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from controller.host import queue_samples
from controller.host.queue_samples import WHOLE_S
from controller.host.tc_counters import CounterReader
from controller.stream.messages import VifSample
from lab.sampled_host import BULK, GOLD, SampledHost, sampled_host

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")

VIFS, DIVIDED = 12, 4  # each fourth has traffic classes


class Sampled:
    """`look` samples a second after the last time; read: how many queues' counters that took."""

    now_s = 0.0  # never begins anew, as the host does not

    def __init__(self, host: SampledHost, reads: list[int]) -> None:
        self._host, self._reads = host, reads
        self.read = 0

    def look(self, after_s: float = 1.0) -> dict[int, VifSample]:
        self._reads.clear()
        Sampled.now_s += after_s
        table = self._host.trees.sample(self.now_s)
        self.read = len(self._reads)
        return dict(table)

    def still(self) -> None:
        """Until nothing that was sent before shows any more."""
        for _ in range(3):
            self.look()


@pytest.fixture(scope="module")
def host() -> Iterator[SampledHost]:
    with sampled_host(VIFS) as made:
        assert not made.faults.uplinks and not made.faults.vifs
        yield made


@pytest.fixture
def sampled(host: SampledHost, monkeypatch: pytest.MonkeyPatch) -> Iterator[Sampled]:
    reads: list[int] = []

    class Counting(CounterReader):
        def row(self, body: bytes) -> tuple[int, ...]:
            reads.append(len(body))
            return super().row(body)

    monkeypatch.setattr(host.trees._samples, "_reader", Counting())
    yield Sampled(host, reads)


def test_every_vif_has_its_three_queues_and_some_have_classes(sampled: Sampled) -> None:
    found = sampled.look(2 * WHOLE_S)
    assert found.keys() == set(range(1, VIFS + 1))
    for number, sample in found.items():
        assert sample.shaper and sample.uplink and sample.ingress
        names = {GOLD, BULK} if number % DIVIDED == 0 else set()
        assert sample.uplink_classes.keys() == sample.ingress_classes.keys() == names


def test_only_what_has_sent_or_received_is_read_and_nothing_is_missed(host: SampledHost, sampled: Sampled) -> None:
    sampled.still()
    before = sampled.look(WHOLE_S)
    whole = sampled.read
    assert sampled.look() == before and sampled.read == 0 and host.trees.still
    host.send([5, DIVIDED])
    found = sampled.look()
    assert 0 < sampled.read < whole and host.trees.still, "three frames are no more than probes"
    moved = {number for number in found if found[number] != before[number]}
    assert moved == {5, DIVIDED}
    for number in moved:
        for name in ("shaper", "uplink", "ingress"):
            assert getattr(found[number], name).sent_packets == getattr(before[number], name).sent_packets + 1
    assert found[DIVIDED].uplink_classes[BULK].sent_packets == before[DIVIDED].uplink_classes[BULK].sent_packets + 1
    assert found[DIVIDED].ingress_classes[BULK].sent_packets == before[DIVIDED].ingress_classes[BULK].sent_packets + 1
    sampled.still()
    assert sampled.look() == found and sampled.read == 0
    assert sampled.look(WHOLE_S) == found and sampled.read == whole


def test_a_flood_is_not_still(host: SampledHost, sampled: Sampled) -> None:
    sampled.still()
    host.send([7] * (queue_samples.STILL_BYTES_PER_S // 60 + 1))
    sampled.look()
    assert not host.trees.still
    sampled.look()
    assert host.trees.still
