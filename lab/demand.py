"""Flows that follow a schedule by themselves, and what they really offered, by when they did."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from types import TracebackType

from lab.children import Child, program, wait_until
from lab.frames import TCP_PAYLOAD_BYTES, UDP_PAYLOAD_BYTES
from lab.windows import BIN_S, Arrivals


class DemandSender:
    """Sends from a namespace to an address and port. How late its process was is in `offered`, too."""

    def __init__(self, namespace: str, destination: str, port: int, congestion: str | None = None) -> None:
        """congestion: of one TCP connection, whose receiver listens already; its rates are those of its frames. None:
        UDP."""
        self.offered = Arrivals()
        self._has_ended = False
        way = ("udp", UDP_PAYLOAD_BYTES) if congestion is None else (congestion, TCP_PAYLOAD_BYTES)
        words = [way[0], destination, str(port), str(way[1]), str(BIN_S)]
        self._child = Child(namespace, [sys.executable, "-I", "-S", program("demand_sender.py"), *words], self._take)

    def __enter__(self) -> DemandSender:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._child.end()

    def follow(self, begin_s: float, steps: Sequence[tuple[float, float]]) -> None:
        """steps: (seconds, kbit/s), one after the other from begin_s (CLOCK_MONOTONIC) on. Once; it does not wait."""
        self._child.tell(json.dumps({"begin_s": begin_s, "steps": list(steps)}))

    def await_end(self) -> None:
        """Returns when the last step is over, and what was offered is known. Raises LabError when it failed."""
        wait_until(lambda: self._has_ended or not self._child.runs, "the sender has done its steps")
        self._child.finish()

    def _take(self, line: str) -> None:
        if line.startswith("{"):
            for number, count in json.loads(line).items():
                self.offered.add(int(number), *count)
            self._has_ended = True
