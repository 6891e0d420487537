"""One agent a chassis: two would each undo what the other one does."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager

from controller.host.errors import HostError
from controller.host.settings import AgentConfig


@contextmanager
def alone(config: AgentConfig) -> Iterator[None]:
    """No other process is an agent of this chassis, nor tears it down, for the time of the block. Raises HostError.

    The file stays (another one may be waiting to open it); the lock ends with the process, however that ends.
    """
    path = config.state.run / f"agent.{config.chassis}.lock"
    try:
        lock = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except FileNotFoundError:  # nothing runs here: there is no directory for it
        yield
        return
    except OSError as fault:
        raise HostError(f"{path}: cannot be opened ({fault.strerror})", "The agent needs to own it") from fault
    try:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise HostError(
                f"another agent of {config.chassis} is at work with {config.state.path}",
                "Stop that one first, or give this one another --chassis",
            ) from None
        yield
    finally:
        os.close(lock)
