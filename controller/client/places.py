"""What only this machine can tell about a request: which process a number is, which number a user has."""

from __future__ import annotations

import grp
import pwd
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeVar

from controller.host.process import start_time
from controller.intent.kind_options import OWNER, SOCKET_GROUP
from controller.system.errors import SystemFault, WrongRequest


@dataclass(frozen=True, slots=True)
class Place:
    """Where the instance's end of a VIF shall be: at most one of the first three. All None: a namespace is made for it.

    netns: name, or absolute path. pid: of a process in it. container: id or name, of podman, Docker or containerd;
    runtime: which of them; None: whichever knows it.
    """

    netns: str | None = None
    pid: int | None = None
    container: str | None = None
    runtime: str | None = None


ITS_OWN = Place()
_Text = TypeVar("_Text", str, str | None)


def binding_of(place: Place) -> dict[str, str]:
    """As it stands in the Weir DB. With a process comes when it was started: its number may be another's tomorrow.

    Raises WrongRequest, SystemFault when there is no such process.
    """
    if sum(one is not None for one in (place.netns, place.pid, place.container)) > 1:
        raise WrongRequest("--netns, --pid and --container: a VIF has one place", "Give one of them, or none")
    if place.runtime is not None and place.container is None:
        raise WrongRequest("--runtime: it says whose a container is", "Give the container with --container")
    if place.netns is not None:
        return {"netns": place.netns} if place.netns else {}
    if place.container is not None:
        return {"container": place.container, **({"runtime": place.runtime} if place.runtime else {})}
    if place.pid is None:
        return {}
    started = start_time(place.pid)
    if started is None:
        raise SystemFault(f"--pid {place.pid}: there is no such process", "Give the number of one that runs")
    return {"pid": str(place.pid), "started": str(started)}


def numbered(options: Mapping[str, _Text]) -> dict[str, _Text]:
    """Options of a kind, with the number of a user and a group that is named. Raises WrongRequest."""
    found = dict(options)
    for key, number_of in ((OWNER, user_id), (SOCKET_GROUP, group_id)):
        text = found.get(key)
        if text is not None:
            found[key] = number_of(text)
    return found


def user_id(text: str) -> str:
    """A user's number, from its name or number. Raises WrongRequest."""
    return _id(text, "user", lambda name: pwd.getpwnam(name).pw_uid)


def group_id(text: str) -> str:
    """A group's number, from its name or number. Raises WrongRequest."""
    return _id(text, "group", lambda name: grp.getgrnam(name).gr_gid)


def _id(text: str, what: str, number_of: Callable[[str], int]) -> str:
    if text.isascii() and text.isdecimal():
        return str(int(text))
    try:
        return str(number_of(text))
    except KeyError:
        raise WrongRequest(f"there is no {what} '{text}' on this machine", "Give its name or number") from None
