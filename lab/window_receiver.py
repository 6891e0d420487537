"""Flows as their receiver sees them in short windows of time."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Sequence
from types import TracebackType

from lab.children import Child, program, wait_until
from lab.frames import TCP_PAYLOAD_BYTES
from lab.windows import BIN_S, Arrivals


class WindowReceiver:
    """Counts what arrives at ports of a namespace, by when it came; one port a flow."""

    def __init__(self, namespace: str, ports: Sequence[int], streams: bool = False) -> None:
        """streams: TCP connections instead, by when what they bring was read."""
        self.ports = {port: Arrivals() for port in ports}
        self._counted_until_s = float("-inf")
        words = (
            ["stream_counter.py", str(BIN_S), str(TCP_PAYLOAD_BYTES)] if streams else ["window_counter.py", str(BIN_S)]
        )
        argv = [sys.executable, "-I", "-S", program(words[0]), *words[1:], *map(str, ports)]
        self._child = Child(namespace, argv, self._take)

    def __enter__(self) -> WindowReceiver:
        try:
            wait_until(lambda: self._has(0.0), "the receiver counts")
        except BaseException:
            self._child.end()
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._child.end()

    def await_time(self, at_s: float) -> None:
        """Returns when everything until then (CLOCK_MONOTONIC) is counted."""
        time.sleep(max(0.0, at_s - time.monotonic()))
        wait_until(lambda: self._has(at_s), "counted until now")

    def _has(self, at_s: float) -> bool:
        if not self._child.runs:
            raise self._child.fault("ended")
        return self._counted_until_s >= at_s

    def _take(self, line: str) -> None:
        if not line.startswith("{"):
            return
        report = json.loads(line)
        for port, bins in report["ports"].items():
            for number, count in bins.items():
                self.ports[int(port)].add(int(number), *count)
        self._counted_until_s = report["at_s"]
