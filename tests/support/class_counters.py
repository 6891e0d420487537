"""What the queues of a device's traffic classes have sent, and in which ratio."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import TracebackType

from controller.host import link_codec
from controller.host import qdisc_codec as codec
from controller.host.qdisc_socket import QdiscSocket
from controller.host.queue_ids import CLASS_MAJORS, TRUNK_MINOR
from controller.stream.messages import QueueSample

DEADLINE_S = 20.0
ENOUGH_BYTES = 1_000_000  # between two readings


class ClassCounters:
    """Of one device of the network namespace at `place`."""

    def __init__(self, place: Path, device: str) -> None:
        self._socket = QdiscSocket(place)
        (answer,) = self._socket.ask([link_codec.ask_link(device)])
        assert isinstance(answer, bytes), answer
        self._index = link_codec.link_index(answer)

    def __enter__(self) -> ClassCounters:
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        self._socket.close()

    def samples(self) -> dict[int, QueueSample]:
        """By the minor of the class's id; only one of the VIFs has traffic classes."""
        return dict(self._samples())

    def _samples(self) -> Iterator[tuple[int, QueueSample]]:
        for body in self._socket.dump(codec.ask_classes(self._index)):
            place = codec.class_id(body)
            if place >> 16 in CLASS_MAJORS and place & 0xFFFF != TRUNK_MINOR:
                yield place & 0xFFFF, codec.class_sample(body)

    def sent(self) -> dict[int, int]:
        """In bytes, of all VIFs of the device together."""
        found: Counter[int] = Counter()
        for minor, sample in self._samples():
            found[minor] += sample.sent_bytes
        return found

    def assert_shares(self, expected: Mapping[int, float], tolerance: float = 0.1) -> None:
        """Of what leaves from some moment on, each within this part of itself. Who is not expected sends nothing."""
        end_s = time.monotonic() + DEADLINE_S
        before = self.sent()
        while True:
            now = self.sent()
            grown = {minor: sent - before.get(minor, 0) for minor, sent in now.items()}
            total = sum(grown.values())
            if total >= ENOUGH_BYTES:
                got = {minor: sent / total for minor, sent in grown.items() if sent}
                if got.keys() == expected.keys() and all(
                    abs(got[minor] - share) <= tolerance * share for minor, share in expected.items()
                ):
                    return
                assert time.monotonic() < end_s, f"shares {got}, expected {dict(expected)}"
                before = now
            assert time.monotonic() < end_s, f"only {total} bytes have left"
            time.sleep(0.01)
