"""Processes of an experiment: each in its network namespace, dead with us whatever happens, ended by pid."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import TypeVar

T = TypeVar("T")
DEADLINE_S = 20.0
_GRACE_S = 5.0
_MOST_S = 120.0  # that a command may take


class LabError(RuntimeError):
    """An experiment could not be set up or measured: what failed, and what it said."""


def wait_until(condition: Callable[[], T], what: str, deadline_s: float = DEADLINE_S) -> T:
    """The first true value of `condition`. Raises LabError naming `what` when there is none in time."""
    end_s = time.monotonic() + deadline_s
    while not (value := condition()):
        if time.monotonic() > end_s:
            raise LabError(f"{what}: not within {deadline_s:g} s; the last value was {value!r}")
        time.sleep(0.02)
    return value


def within(namespace: str, argv: Sequence[str]) -> list[str]:
    """The command line that runs `argv` in a named network namespace."""
    return ["nsenter", f"--net=/run/netns/{namespace}", "--", *argv]


def as_user(user: int) -> list[str]:
    """What begins the command line of a process of this user (an id), whom /dev/net/tun is open to."""
    change = ["setpriv", f"--reuid={user}", f"--regid={user}", "--clear-groups", "--inh-caps=-all", "--"]
    return ["unshare", "--mount", "--", sys.executable, "-I", "-S", program("open_tun.py"), *change]


def run(argv: Sequence[str], check: bool = True, environment: Mapping[str, str] | None = None) -> str:
    """Standard output of a command that ends by itself. Raises LabError with its words when it fails."""
    done = subprocess.run(
        argv, env={**os.environ, **(environment or {})}, capture_output=True, text=True, timeout=_MOST_S, check=False
    )
    if check and done.returncode != 0:
        raise LabError(f"{' '.join(argv)} ended with {done.returncode}: {(done.stderr + done.stdout).strip()}")
    return done.stdout


@contextmanager
def uninterrupted() -> Iterator[None]:
    """What is taken away is taken away whole: no ^C inside, neither for us nor for the commands that we run."""
    before = {number: signal.signal(number, signal.SIG_IGN) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


class Child:
    """A process in a namespace. Every line that it prints goes to on_line, in a thread of its own."""

    def __init__(self, namespace: str, argv: Sequence[str], on_line: Callable[[str], None]) -> None:
        self.argv = list(argv)
        self.process = subprocess.Popen(
            ["setpriv", "--pdeathsig", "KILL", *within(namespace, argv)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            bufsize=1,
            start_new_session=True,  # a ^C is ours to handle
        )
        self._said: list[str] = []
        self._on_line = on_line
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def __enter__(self) -> Child:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.end()

    def tell(self, line: str) -> None:
        """One line to its standard input."""
        assert self.process.stdin is not None
        try:
            self.process.stdin.write(line + "\n")
            self.process.stdin.flush()
        except OSError as fault:
            raise self.fault("it does not listen any more") from fault

    def finish(self, deadline_s: float = DEADLINE_S) -> None:
        """Closes its standard input and waits until it has ended by itself. Raises LabError when it failed."""
        assert self.process.stdin is not None
        self.process.stdin.close()
        try:
            status = self.process.wait(deadline_s)
        except subprocess.TimeoutExpired:
            raise self.fault(f"still runs after {deadline_s:g} s") from None
        self._reader.join()
        if status != 0:
            raise self.fault(f"ended with {status}")

    def end(self) -> None:
        """Ends it, whatever it does; returns when it is gone."""
        if self.process.poll() is None:
            self.process.terminate()
        try:
            self.process.wait(_GRACE_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self._reader.join(_GRACE_S)

    def fault(self, what: str) -> LabError:
        return LabError(f"{' '.join(self.argv)}: {what}: {' '.join(self._said[-5:])}")

    @property
    def runs(self) -> bool:
        return self.process.poll() is None

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self._said[:-20] = []
            self._said.append(line.strip())
            self._on_line(line)


class Hosted:
    """A child that keeps its files in a directory of its own, for use in a `with` block: then both are gone."""

    _child: Child
    _directory: Path

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.end()

    @property
    def pid(self) -> int:
        """Of the program."""
        return self._child.process.pid

    def end(self) -> None:
        """At once, whatever the program does."""
        self._child.end()
        shutil.rmtree(self._directory, ignore_errors=True)


def program(name: str) -> str:
    """Path of one of the small programs beside this file."""
    return str(Path(__file__).with_name(name))
