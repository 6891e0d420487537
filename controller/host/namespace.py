"""Network namespaces: acting inside one, making and removing named ones. Compatible with `ip netns`.

A thread enters a namespace, opens its sockets there, and comes back: no child process, and no socket that outlives the
visit (an open socket would keep a deleted namespace alive).
"""

from __future__ import annotations

import ctypes
import errno
import functools
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from controller.host.errors import HostError

NETNS_DIR = Path("/run/netns")
_OWN = "/proc/thread-self/ns/net"
_MACHINES = Path("/proc/1/ns/net")
_CLONE_NEWNET = 0x40000000
_MS_BIND, _MS_REC, _MS_SHARED = 4096, 16384, 1 << 20
_MNT_DETACH = 2

_libc = ctypes.CDLL(None, use_errno=True)

Identity = tuple[int, int]  # device and inode of the namespace itself, whatever path leads to it


def named(name: str) -> Path:
    """The path of the namespace that `ip netns` calls `name`."""
    return NETNS_DIR / name


def identity(path: Path) -> Identity | None:
    """Which namespace the path leads to; None when it leads to none (an interrupted creation leaves a plain file)."""
    try:
        found = os.stat(path)
    except OSError:
        return None
    return (found.st_dev, found.st_ino) if found.st_dev == _device() else None


def is_hosts(path: Path, system: str, home_inode: int) -> bool:
    """Whether the path leads to the machine's own namespace, to the one that the system was started in (0: not known),
    or to that of this process, unless that was made for the system. Where one cannot see where it leads: no.
    """
    found, own = identity(path), identity(Path(_OWN))
    hosts = {identity(_MACHINES), own if own != identity(named(system)) else None}
    return found is not None and (found in hosts or found[1] == home_inode)


@functools.cache
def _device() -> int:
    """Of the file system that all namespaces are files of; it stays the same until the machine is booted again."""
    return os.stat(_OWN).st_dev


@contextmanager
def entered(path: Path | None) -> Iterator[None]:
    """The calling thread is inside the namespace for the time of the block, and back after it whatever happens.

    None: stays where it is. Raises HostError when there is no namespace at `path`.
    """
    if path is None:
        yield
        return
    home = os.open(_OWN, os.O_RDONLY | os.O_CLOEXEC)
    try:
        _enter(path)
        try:
            yield
        finally:
            _setns(home)
    finally:
        os.close(home)


@contextmanager
def throw_away() -> Iterator[None]:
    """The calling thread is inside a new namespace without a name, which is gone when the block and its sockets are.

    Raises OSError without the privilege.
    """
    home = os.open(_OWN, os.O_RDONLY | os.O_CLOEXEC)
    try:
        _call("unshare", _CLONE_NEWNET)
        try:
            yield
        finally:
            _setns(home)
    finally:
        os.close(home)


def _enter(path: Path) -> None:
    try:
        target = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError as fault:
        raise HostError(
            f"network namespace {path}: cannot be opened ({fault.strerror})",
            "Create it (ip netns add), or name one that exists",
        ) from fault
    try:
        _setns(target)
    except OSError as fault:
        raise HostError(
            f"network namespace {path}: cannot be entered ({fault.strerror})",
            "Remove the file if it is no namespace (ip netns delete); the agent needs CAP_SYS_ADMIN",
        ) from fault
    finally:
        os.close(target)


def create(name: str, prepare: Callable[[], None]) -> Path:
    """Makes a named namespace, after running `prepare` inside it: who sees the name sees it prepared.

    Raises HostError when the name is taken or the kernel refuses.
    """
    path = named(name)
    _share_netns_dir()
    try:
        os.close(os.open(path, os.O_RDONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o444))
    except FileExistsError:
        if identity(path) is not None:
            raise HostError(
                f"network namespace {name} exists and was not made by Weir", f"Remove it: ip netns delete {name}"
            ) from None  # otherwise an interrupted creation left the plain file: go on with it
    home = os.open(_OWN, os.O_RDONLY | os.O_CLOEXEC)
    try:
        _call("unshare", _CLONE_NEWNET)
        try:
            prepare()
            _mount(_OWN, str(path), _MS_BIND)
        finally:
            _setns(home)
    except OSError as fault:
        raise HostError(
            f"network namespace {name}: cannot be made ({fault.strerror})", "The agent needs CAP_SYS_ADMIN"
        ) from fault
    finally:
        os.close(home)
    return path


def remove(name: str) -> None:
    """Removes the name. Processes that still run inside keep the namespace, nameless and without our interface."""
    path = named(name)
    try:
        _detach(path)
        path.unlink(missing_ok=True)
    except OSError as fault:
        raise HostError(
            f"network namespace {name}: cannot be removed ({fault.strerror})", f"Try: ip netns delete {name}"
        ) from fault


def _detach(path: Path) -> None:
    try:
        _call("umount2", os.fsencode(path), _MNT_DETACH)
    except OSError as fault:
        if fault.errno not in (errno.EINVAL, errno.ENOENT):  # never more than a plain file, or nothing
            raise


def names(prefix: str) -> list[str]:
    """The named namespaces whose name starts with `prefix`."""
    try:
        return sorted(entry.name for entry in os.scandir(NETNS_DIR) if entry.name.startswith(prefix))
    except FileNotFoundError:
        return []


def _share_netns_dir() -> None:
    """/run/netns as `ip netns` wants it: a shared mount, so that other mount namespaces see what comes and goes."""
    NETNS_DIR.mkdir(mode=0o755, parents=True, exist_ok=True)
    directory = str(NETNS_DIR)
    try:
        _mount("", directory, _MS_SHARED | _MS_REC)
    except OSError as fault:
        if fault.errno != errno.EINVAL:
            raise
        _mount(directory, directory, _MS_BIND | _MS_REC)
        _mount("", directory, _MS_SHARED | _MS_REC)


def _setns(descriptor: int) -> None:
    _call("setns", descriptor, _CLONE_NEWNET)


def _mount(source: str, target: str, flags: int) -> None:
    _call("mount", os.fsencode(source), os.fsencode(target), b"none", ctypes.c_ulong(flags), None)


def _call(function: str, *arguments: object) -> None:
    if getattr(_libc, function)(*arguments) != 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))
