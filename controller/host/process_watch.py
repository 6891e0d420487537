"""Processes of which the agent wants to know at once when they end. An optimisation: each pass looks for itself."""

from __future__ import annotations

import os
import select
from collections.abc import Collection, Iterator
from contextlib import suppress

from controller.host.process import Process

MOST = 400  # descriptors: many machines let a process have 1,024; those beyond are noticed in the next pass


class ProcessWatch:
    """Belongs to one thread."""

    def __init__(self) -> None:
        self._descriptors: dict[Process, int] = {}

    @property
    def descriptors(self) -> Collection[int]:
        """Each is readable once its process has ended."""
        return self._descriptors.values()

    def follow(self, processes: Collection[Process]) -> None:
        """These, up to MOST, and no others. One that has ended is passed over."""
        for process in self._descriptors.keys() - set(processes):
            os.close(self._descriptors.pop(process))
        for process in processes:
            if process not in self._descriptors and len(self._descriptors) < MOST and process.runs:
                with suppress(OSError):  # it ends at this moment; or Linux before 5.3, or too many files are open
                    self._descriptors[process] = os.pidfd_open(process.pid)

    def ended(self) -> bool:
        """Whether one of them has ended. Says so of each once."""
        found = list(self._ready())
        for process in found:
            os.close(self._descriptors.pop(process))
        return bool(found)

    def close(self) -> None:
        self.follow(())

    def _ready(self) -> Iterator[Process]:
        if not self._descriptors:
            return
        waiting, of = select.poll(), {descriptor: process for process, descriptor in self._descriptors.items()}
        for descriptor in of:
            waiting.register(descriptor, select.POLLIN)
        for descriptor, _ in waiting.poll(0):
            yield of[descriptor]
