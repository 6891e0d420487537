"""UDP flows, as their sender and their receiver see them."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import TracebackType

from lab.children import Child, LabError, program, wait_until
from lab.frames import UDP_PAYLOAD_BYTES
from lab.series import Count, Series

_PYTHON = [sys.executable, "-I", "-S"]  # without site packages it starts in 20 ms
_PATIENCE_S = 30.0


class UdpReceiver:
    """Counts what arrives at ports of a namespace; one port a flow, so that what is missing can be told."""

    def __init__(self, namespace: str, ports: Sequence[int]) -> None:
        self.ports = {port: Series() for port in ports}
        self._child = Child(namespace, [*_PYTHON, program("udp_receiver.py"), *map(str, ports)], self._take)

    def __enter__(self) -> UdpReceiver:
        try:
            wait_until(self._has_begun, "the UDP receiver counts")
        except BaseException:
            self._child.end()
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._child.end()

    def series(self, port: int) -> Series:
        return self.ports[port]

    def await_time(self, at_s: float) -> None:
        """Returns when everything until then (CLOCK_MONOTONIC) is counted."""
        time.sleep(max(0.0, at_s - time.monotonic()))
        wait_until(lambda: self._alive() and min(one.end_s for one in self.ports.values()) >= at_s, "counted until now")

    def measure(self, duration_s: float) -> dict[int, float]:
        """Frame rate in kbit/s of each port, from now on for so long."""
        from_s = time.monotonic()
        self.await_time(from_s + duration_s)
        return {port: series.kbps(from_s, from_s + duration_s) for port, series in self.ports.items()}

    def await_rates(
        self, is_right: Callable[[Mapping[int, float]], bool], window_s: float, deadline_s: float = _PATIENCE_S
    ) -> Mapping[int, float]:
        """What `measure` finds in the first window that is right: others use this machine too. Raises LabError."""
        end_s = time.monotonic() + deadline_s
        while not is_right(found := self.measure(window_s)):
            if time.monotonic() > end_s:
                raise LabError(f"no window of {window_s:g} s is right, the last one: {found} kbit/s by port")
        return found

    def lost(self, port: int, sent: Sent, patience_s: float = 2.0) -> int:
        """How many of the datagrams that a sender, now quiet, has sent did not come; what is under way is awaited."""
        end_s = time.monotonic() + patience_s
        while self.ports[port].frames < sent.sent and time.monotonic() < end_s:
            self.await_time(time.monotonic())
        return sent.sent - self.ports[port].frames

    def _has_begun(self) -> bool:
        return self._alive() and all(series.counts for series in self.ports.values())

    def _alive(self) -> bool:
        if not self._child.runs:
            raise self._child.fault("ended")
        return True

    def _take(self, line: str) -> None:
        if not line.startswith("{"):
            return
        report = json.loads(line)
        for port, figures in report["ports"].items():
            self.ports[int(port)].counts.append(Count(report["at_s"], *figures))


@dataclass(frozen=True, slots=True)
class Sent:
    """What a sender had done at a time. refused: what its socket did not take."""

    at_s: float
    sent: int
    refused: int


class UdpSender:
    """Sends to a port at a frame rate that may be changed at any time. source: address to send from, None: its own."""

    def __init__(
        self,
        namespace: str,
        destination: str,
        port: int,
        payload_bytes: int = UDP_PAYLOAD_BYTES,
        source: str | None = None,
    ) -> None:
        self.offered_kbps = 0.0
        self._answers: list[Sent] = []
        argv = [*_PYTHON, program("udp_sender.py"), source or "-", destination, str(port), str(payload_bytes)]
        self._child = Child(namespace, argv, self._take)

    def __enter__(self) -> UdpSender:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._child.end()

    def offer(self, rate_kbps: float) -> Sent:
        """From now on, which is the time of the answer. 0: nothing."""
        expected = len(self._answers) + 1
        self._child.tell(str(rate_kbps))
        self.offered_kbps = rate_kbps
        wait_until(lambda: len(self._answers) >= expected or not self._child.runs, "the sender takes its rate")
        if len(self._answers) < expected:
            raise self._child.fault("ended")
        return self._answers[expected - 1]

    def _take(self, line: str) -> None:
        if line.startswith("{"):
            self._answers.append(Sent(**json.loads(line)))
