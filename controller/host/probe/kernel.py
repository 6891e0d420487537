"""Which queueing disciplines, filters and actions the kernel has: found by trying, not by its name."""

from __future__ import annotations

import os

from controller.host import namespace
from controller.host.errors import HostError
from controller.host.probe.trials import Trial, forget, trials
from controller.host.qdisc_socket import KernelRefusal, QdiscSocket
from policies.enforcement import YES


def abilities() -> dict[str, str]:
    """By ability: YES, or "no: REASON". Empty when there is no trying, for want of privilege.

    The namespace has no name, and is gone when the thread that tries has left it: also when that is killed.
    """
    try:
        with namespace.throw_away(), QdiscSocket() as socket:
            return _tried(socket)
    except (HostError, OSError):
        return {}


def _tried(socket: QdiscSocket) -> dict[str, str]:
    found: dict[str, str] = {}
    for trial in trials():
        said = _said(socket, trial)
        for name in trial.abilities:
            if found.get(name) != YES:  # one way to have it is enough
                found[name] = said
        socket.ask([forget()])
    return found


def _said(socket: QdiscSocket, trial: Trial) -> str:
    for answer in socket.ask(trial.requests):
        if isinstance(answer, KernelRefusal):
            return f"no: the kernel says {os.strerror(answer.code)}" + (f" ({answer.text})" if answer.text else "")
    return YES
