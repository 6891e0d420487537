"""Green threads without which the process is of no use: when one ends, the process has to, so that it is restarted."""

from __future__ import annotations

from collections.abc import Callable

import eventlet
from eventlet.greenthread import GreenThread
from eventlet.support.greenlets import GreenletExit


class Vital:
    """give_up is told what has ended and why; it is expected to end the process."""

    def __init__(self, give_up: Callable[[str], None]) -> None:
        self._give_up = give_up

    def spawn(self, name: str, function: Callable[..., None], *args: object) -> GreenThread:
        """A green thread that must run until it is killed."""
        thread = eventlet.spawn(function, *args)
        thread.link(self._ended, name)
        return thread

    def _ended(self, thread: GreenThread, name: str) -> None:
        try:
            thread.wait()
        except GreenletExit:
            return
        except BaseException as fault:
            self._give_up(f"{name}: {type(fault).__name__}: {fault}")
        else:
            self._give_up(f"{name}: it has ended, and should not")
