"""Containers: which process an id or a name stands for, asked of the runtime that runs it.

Docker and Podman answer on their Unix sockets; where Podman has no service its own program does, and so do crun, runc
and containerd's ctr: without a shell, with time limits. What a short id or a name means is the runtime's to say.
"""

from __future__ import annotations

import glob
import math
import os
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path

from controller.host import container_api, container_tools, namespace
from controller.host.container_answer import Answer, Silent
from controller.host.errors import HostError
from controller.host.process import Process, start_time
from ovsdb.rows import CONTAINER

# Where crun and runc, on behalf of all of them, have a directory for each container while it is there.
STATE_DIRS = ("/run/crun", "/run/runc", "/run/docker/runtime-*/*", "/run/containerd/runc/*")
LOOK_S = 0.2
_REST = 5  # times as long as asking took nobody is asked because of a stamp
PAUSE_S = 15.0  # a runtime that has not answered is not asked again for so long: the agent waits for each answer
_HOST = Path("/proc/1/ns/net")

Ask = Callable[[str], Answer | None]


class Containers:
    """asks: by runtime, how it says what it knows of a container; None: it knows none of that name.

    An ask raises Silent when the runtime does not run here, or does not answer; HostError for what the user got wrong.
    """

    def __init__(
        self,
        asks: Mapping[str, Ask] | None = None,
        clock: Callable[[], float] = time.monotonic,
        state_dirs: Sequence[str] = STATE_DIRS,
    ) -> None:
        self._asks = all_runtimes() if asks is None else asks
        self._clock, self._state_dirs = clock, state_dirs
        self._silent: dict[str, tuple[float, str]] = {}  # runtime -> until when it is left alone, and why
        self._stamp: object = None
        self._look_due_s, self._asked_s = -math.inf, 0.0  # asked_s: what asking has taken since the last look

    def stamp(self) -> object:
        """Something else after any container of this host was started or has ended: then asking again is worth it.

        It is looked at ever more seldom the longer asking takes: where hundreds of instances are gone, and others come
        and go, the agent still has its time for something else.
        """
        now_s = self._clock()
        if now_s >= self._look_due_s:
            self._look_due_s, self._asked_s = now_s + max(LOOK_S, self._asked_s * _REST), 0.0
            self._stamp = _times(self._state_dirs)
        return self._stamp

    def process(self, container: str, runtime: str | None) -> Process:
        """Its first one. Asks the runtime; all that there are when none is named.

        Raises HostError when there is not just one.
        """
        begun_s = self._clock()
        try:
            return self._process(container, runtime)
        finally:
            self._asked_s += self._clock() - begun_s

    def _process(self, container: str, runtime: str | None) -> Process:
        if not CONTAINER.fullmatch(container):
            raise HostError(f"'{container}' is no container", "Give its id or name as its runtime shows it")
        known = [runtime] if runtime is not None else list(self._asks)
        if runtime is not None and runtime not in self._asks:
            raise HostError(f"there is no container runtime '{runtime}'", f"Name one of {', '.join(self._asks)}")
        answers, silent = dict[str, Answer](), dict[str, str]()
        for name in known:
            try:
                answer = self._ask(name, container)
            except Silent as reason:
                silent[name] = str(reason)
            else:
                if answer is not None:
                    answers[name] = answer
        return _the_one(container, runtime, answers, silent)

    def _ask(self, runtime: str, container: str) -> Answer | None:
        until_s, reason = self._silent.get(runtime, (0.0, ""))
        if self._clock() < until_s:
            raise Silent(reason)
        try:
            return self._asks[runtime](container)
        except Silent as fault:
            if fault.lasts:
                self._silent[runtime] = self._clock() + PAUSE_S, str(fault)
            raise


def _times(patterns: Sequence[str]) -> tuple[tuple[str, int], ...]:
    found = []
    for name in sorted(name for pattern in patterns for name in glob.glob(pattern)):
        with suppress(OSError):  # it went at this moment
            found.append((name, os.stat(name).st_mtime_ns))
    return tuple(found)


def all_runtimes() -> dict[str, Ask]:
    """Those that this version asks, by name."""
    return {
        "podman": container_api.or_else(container_api.PODMAN, container_tools.podman),
        "docker": partial(container_api.ask, container_api.DOCKER),
        "crun": partial(container_tools.oci, "crun"),
        "runc": partial(container_tools.oci, "runc"),
        "containerd": container_tools.containerd,
    }


def _the_one(container: str, runtime: str | None, answers: Mapping[str, Answer], silent: Mapping[str, str]) -> Process:
    """A container of Podman or Docker is known to crun, runc or containerd as well: by the same process, then."""
    processes = {answer.pid for answer in answers.values() if answer.pid}
    if len(processes) > 1:
        raise HostError(
            f"container {container}: {' and '.join(sorted(answers))} each have one of that name",
            "Say which one is meant with --runtime, or give the whole id",
        )
    if not answers:
        who = runtime or "no container runtime of this host"
        unasked = f" ({'; '.join(silent.values())})" if silent and runtime else ""
        problem = f"{who} {'knows no' if runtime else 'knows a'} container {container}{unasked}"
        if unasked:
            raise HostError(problem, f"Start {runtime}, or name with --runtime who runs the container")
        raise HostError(problem, "Start it, or give its id or name as its runtime shows it")
    if not processes:
        state = next(iter(answers.values())).state
        raise HostError(
            f"container {container} is not running ({state})",
            "Start it: the interface is put into it as soon as it runs. Or delete the VIF",
        )
    (pid,) = processes
    started = start_time(pid)
    if started is None:
        raise HostError(f"container {container} ends at this moment", "The agent tries again by itself")
    found = Process(pid, started)
    network = namespace.identity(found.network)
    if network is not None and network == namespace.identity(_HOST):
        raise HostError(
            f"container {container} has no network namespace of its own, but the host's",
            "Start it with one, as in podman run --network none",
        )
    return found
