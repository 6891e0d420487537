"""One TCP connection that goes on for as long as one likes, and when what came of it came."""

from __future__ import annotations

import json
import sys
from contextlib import ExitStack
from types import TracebackType
from typing import Any

from lab.children import Child, program, wait_until

_PYTHON = [sys.executable, "-I", "-S"]


class Stream:
    """From namespace `sender` to (namespace, address, port), at this rate of payload. It never connects again."""

    def __init__(self, sender: str, receiver: tuple[str, str, int], rate_kbps: int = 2_000) -> None:
        self._sender, self._receiver, self._rate_kbps = sender, receiver, rate_kbps
        self._came: dict[str, Any] = {}
        self._ends = ExitStack()

    def __enter__(self) -> Stream:
        namespace, address, port = self._receiver
        path = program("stream_ends.py")
        with ExitStack() as ends:
            there = [*_PYTHON, path, "receive", str(port)]
            self._in = ends.enter_context(Child(namespace, there, self._take))
            wait_until(lambda: self._came or not self._in.runs, "the receiver of the stream listens")
            here = [*_PYTHON, path, "send", address, str(port), str(self._rate_kbps)]
            self._out = ends.enter_context(Child(self._sender, here, lambda _: None))
            self._ends = ends.pop_all()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._ends.close()

    @property
    def runs(self) -> bool:
        """Whether the connection is there still."""
        return self._in.runs and self._out.runs

    @property
    def received_bytes(self) -> int:
        """So far. Raises LabError when the connection has ended."""
        for end in (self._in, self._out):
            if not end.runs:
                raise end.fault("the connection has ended")
        received: int = self._came["bytes"]
        return received

    @property
    def last_s(self) -> float | None:
        """When the last of it came; None: nothing did."""
        last_s: float | None = self._came["last_s"]
        return last_s

    def await_more(self, least_bytes: int = 20_000) -> None:
        """Returns when so much more has come."""
        before = self.received_bytes
        wait_until(lambda: self.received_bytes >= before + least_bytes, "the stream goes on")

    def await_time(self, at_s: float) -> None:
        """Returns when everything until then (CLOCK_MONOTONIC) is counted."""
        wait_until(lambda: self.received_bytes >= 0 and self._came["at_s"] >= at_s, "the stream is counted until now")

    def _take(self, line: str) -> None:
        if line.startswith("{"):
            self._came = json.loads(line)
