"""From the options of `weir vif create` to a request. Raises WrongRequest for what no system could make of them."""

from __future__ import annotations

from collections.abc import Sequence

from controller.host.process import start_time
from controller.intent.vif_checks import VifRequest
from controller.system.errors import SystemFault, WrongRequest

__all__ = ["VifRequest", "binding", "kind", "labels"]

_OTHER_KINDS = ("tap", "vhost-user", "vf")


def kind(name: str) -> str:
    if name in _OTHER_KINDS:
        raise WrongRequest(
            f"--kind {name}: this version does not make it", "Use veth, or make it yourself and use port"
        )
    return name


def binding(netns: str | None, pid: int | None) -> dict[str, str]:
    """With a process comes when it was started: its number alone may be another's tomorrow."""
    if netns is not None and pid is not None:
        raise WrongRequest("--netns and --pid: a VIF has one place", "Give one of them, or none")
    if netns is not None:
        return {"netns": netns}
    if pid is None:
        return {}
    started = start_time(pid)
    if started is None:
        raise SystemFault(f"--pid {pid}: there is no such process", "Give the number of one that runs")
    return {"pid": str(pid), "started": str(started)}


def labels(texts: Sequence[str]) -> dict[str, str]:
    """Each KEY=VALUE."""
    found: dict[str, str] = {}
    for text in texts:
        key, separator, value = text.partition("=")
        if not key or not separator:
            raise WrongRequest(f"--label '{text}': a label has a key and a value", "Write --label KEY=VALUE")
        if key in found:
            raise WrongRequest(f"--label {key}: given twice", "Give each key once")
        found[key] = value
    return found
