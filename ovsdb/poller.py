"""One wait for many things: database sessions and whatever else has a file descriptor.

Takes the place of `ovs.poller.Poller` (the IDL asks for these methods by name), with two differences: descriptors
above 1,023 are fine, and it is told how long to wait. Under eventlet's monkey patching only the green thread waits.
"""

from __future__ import annotations

import math
import select
import time
from typing import Protocol

POLLIN, POLLOUT, POLLERR = 0x001, 0x004, 0x008  # as select.POLLIN and so on, which eventlet takes away


class HasFileno(Protocol):
    def fileno(self) -> int: ...


class Poller:
    """Register, then `block` once; registrations hold for one `block` only."""

    def __init__(self) -> None:
        self._events: dict[int, int] = {}
        self._deadline_s = math.inf

    def fd_wait(self, fd: int | HasFileno, events: int = POLLIN) -> None:
        """events: POLLIN and POLLOUT, or'ed."""
        number = fd if isinstance(fd, int) else fd.fileno()
        self._events[number] = self._events.get(number, 0) | events

    def timer_wait(self, milliseconds: float) -> None:
        self._deadline_s = min(self._deadline_s, time.monotonic() + milliseconds / 1000)

    def timer_wait_until(self, milliseconds: float) -> None:
        """milliseconds: on the clock of `ovs.timeval.msec`, which is the monotonic one."""
        self._deadline_s = min(self._deadline_s, milliseconds / 1000)

    def immediate_wake(self) -> None:
        self._deadline_s = -math.inf

    def block(self, timeout_s: float | None = None) -> frozenset[int]:
        """Waits until a descriptor is ready or the first timer ends. Returns the descriptors that are ready."""
        remaining_s = max(0.0, self._deadline_s - time.monotonic())
        if timeout_s is not None:
            remaining_s = min(remaining_s, max(0.0, timeout_s))
        events, self._events, self._deadline_s = self._events, {}, math.inf
        return _poll(events, remaining_s) if hasattr(select, "poll") else _green_select(events, remaining_s)


def _poll(events: dict[int, int], timeout_s: float) -> frozenset[int]:
    waiting = select.poll()
    for fd, wanted in events.items():
        waiting.register(fd, wanted)
    return frozenset(fd for fd, _ in waiting.poll(None if math.isinf(timeout_s) else math.ceil(timeout_s * 1000)))


def _green_select(events: dict[int, int], timeout_s: float) -> frozenset[int]:
    """eventlet removes `poll` and offers a `select` that lets other green threads run."""
    readable = [fd for fd, wanted in events.items() if wanted & ~POLLOUT]
    writable = [fd for fd, wanted in events.items() if wanted & POLLOUT]
    if timeout_s == 0:
        time.sleep(0)  # else a caller that never waits would never let anybody run
    ready = select.select(readable, writable, [], None if math.isinf(timeout_s) else timeout_s)
    return frozenset(ready[0]) | frozenset(ready[1])
