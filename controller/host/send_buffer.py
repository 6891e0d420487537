"""The buffers of the sockets through which ovs-vswitchd sends to and receives from Linux devices.

All that it sends leaves through one packet socket; each port receives through one of its own. Their sizes are seen, and
on request changed, on vswitchd's own sockets, so that nothing else on the machine notices.
"""

from __future__ import annotations

import ctypes
import errno
import json
import math
import os
import socket
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from controller.host.errors import HostError
from controller.host.process import Process
from controller.host.rooms import RAISED_SEND_BYTES
from controller.host.switch_control import vswitchd

RAISED_RECEIVE_BYTES = 1 << 20  # of each port
LOOK_S = 1.0
_PIDFD_GETFD = 438  # the same number on every architecture
_SO_SNDBUFFORCE, _SO_RCVBUFFORCE = 32, 33
Before = tuple[str, int]  # which kind of socket, and its size
_libc = ctypes.CDLL(None, use_errno=True)


@dataclass(frozen=True, slots=True)
class _Kind:
    """What is read, what is set, and to how much."""

    option: int
    force: int
    raised_bytes: int


_KINDS = {
    "send": _Kind(socket.SO_SNDBUF, _SO_SNDBUFFORCE, RAISED_SEND_BYTES),
    "receive": _Kind(socket.SO_RCVBUF, _SO_RCVBUFFORCE, RAISED_RECEIVE_BYTES),
}


class SendBuffer:
    """record: where the sizes before a change are kept, for `put_back`; None: nothing is changed, only seen."""

    def __init__(self, rundir: Path, record: Path | None) -> None:
        self._rundir, self._record = rundir, record
        self._process: Process | None = None
        self._known: set[str] = set()
        self._send_bytes: int | None = None
        self._looked_s = -math.inf
        self._fault: HostError | None = None  # of the last look

    def size_bytes(self, now_s: float) -> int:
        """Of the socket that vswitchd sends through; before its first frame, what a new one gets.

        Raises HostError when vswitchd's sockets cannot be reached or raised: the same until the next look.
        """
        if now_s >= self._looked_s + LOOK_S:
            self._looked_s, self._fault = now_s, None
            try:
                self._look()
            except HostError as fault:
                self._fault = fault
        if self._fault is not None:
            raise self._fault
        if self._send_bytes is not None:
            return self._send_bytes
        return RAISED_SEND_BYTES if self._record else new_socket_bytes()

    def _look(self) -> None:
        running = vswitchd(self._rundir)
        found = running.process if running else None
        if found != self._process:
            self._process, self._known, self._send_bytes = found, set(), None
        if found is None:
            return
        seen, small = set[str](), dict[str, Before]()
        for link, kind, opened in _packet_sockets(found.pid, self._known, seen):
            size_bytes = opened.getsockopt(socket.SOL_SOCKET, _KINDS[kind].option)
            if size_bytes < _KINDS[kind].raised_bytes:
                small[link] = kind, size_bytes
            if kind == "send":
                self._send_bytes = size_bytes
        if small and self._record is not None:
            self._raise(self._record, found, small, seen)
        self._known = seen

    def _raise(self, record: Path, process: Process, small: Mapping[str, Before], seen: set[str]) -> None:
        """The sizes before are on disk first, so that an agent killed in between leaves nothing that stays raised.

        A record that cannot be read is replaced: what it said is lost, but what is raised from now on is not.
        """
        try:
            whose, before = _read(record)
        except HostError:
            whose, before = None, {}
        still_open = {link: one for link, one in before.items() if link in seen} if whose == process else {}
        _write(record, process, {**still_open, **small})
        for link, kind, opened in _packet_sockets(process.pid, seen - small.keys(), set()):
            if link not in small:  # made since, so not recorded: at the next look
                continue
            _force(opened, _KINDS[kind], _KINDS[kind].raised_bytes)
            if kind == "send":
                self._send_bytes = opened.getsockopt(socket.SOL_SOCKET, _KINDS[kind].option)


def buffers_of(rundir: Path) -> dict[str, Before]:
    """Which kind of socket, and its size, by what /proc calls it; empty when vswitchd does not run."""
    running = vswitchd(rundir)
    found = _packet_sockets(running.process.pid, set(), set()) if running else ()
    return {link: (kind, opened.getsockopt(socket.SOL_SOCKET, _KINDS[kind].option)) for link, kind, opened in found}


def put_back(record: Path) -> None:
    """Gives sockets that are still there the sizes that they had. Raises HostError, and leaves the record then."""
    process, sockets = _read(record)
    if process is not None and process.runs:
        for link, kind, opened in _packet_sockets(process.pid, set(), set()):
            if link in sockets:
                _force(opened, _KINDS[kind], sockets[link][1])
    with _on_disk(record):
        record.unlink(missing_ok=True)


def new_socket_bytes() -> int:
    """What a socket made now may have on its way: net.core.wmem_default, which not every namespace shows."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as new:
        return new.getsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF)


def _packet_sockets(pid: int, known: set[str], seen: set[str]) -> Iterator[tuple[str, str, socket.socket]]:
    """Those that are not among the known: what /proc calls them, which kind, and ours to use until the next one.

    seen: filled with all sockets that it has.
    """
    with _process(pid) as process:
        if process is None:
            return
        for entry in _entries(pid):
            try:
                link = os.readlink(f"/proc/{pid}/fd/{entry}")
            except OSError:  # closed by now
                continue
            if not link.startswith("socket:"):
                continue
            if link not in known:
                with _taken(process, int(entry)) as opened:
                    if opened is not None and opened.family == socket.AF_PACKET:
                        # one that receives is told what to receive
                        yield link, "receive" if opened.getsockname()[1] else "send", opened
            seen.add(link)  # not before its user was done: one that failed is tried again


def _entries(pid: int) -> list[str]:
    try:
        return os.listdir(f"/proc/{pid}/fd")
    except FileNotFoundError:
        return []
    except PermissionError as fault:
        raise _unreachable(fault.strerror) from fault


@contextmanager
def _process(pid: int) -> Iterator[int | None]:
    """A descriptor of the process; None: it has ended."""
    try:
        process = os.pidfd_open(pid)
    except ProcessLookupError:
        yield None
        return
    try:
        yield process
    finally:
        os.close(process)


@contextmanager
def _taken(process: int, descriptor: int) -> Iterator[socket.socket | None]:
    """The process's own socket, for us, too; None: it is closed by now."""
    ours = _libc.syscall(_PIDFD_GETFD, process, descriptor, 0)
    if ours < 0:
        code = ctypes.get_errno()
        if code not in (errno.EBADF, errno.ESRCH):
            raise _unreachable(os.strerror(code))
        yield None
        return
    with socket.socket(fileno=ours) as opened:
        yield opened


def _force(opened: socket.socket, sizes: _Kind, size_bytes: int) -> None:
    try:
        opened.setsockopt(socket.SOL_SOCKET, sizes.force, size_bytes // 2)  # the kernel doubles it
    except OSError as fault:
        raise HostError(
            f"buffers of ovs-vswitchd cannot be raised ({fault.strerror})", "Give the agent CAP_NET_ADMIN"
        ) from fault


def _unreachable(reason: str | None) -> HostError:
    return HostError(
        f"the sockets of ovs-vswitchd cannot be looked at ({reason})",
        "Give the agent CAP_SYS_PTRACE, or run it as root",
    )


def _read(record: Path) -> tuple[Process | None, Mapping[str, Before]]:
    try:
        with _on_disk(record):
            body = json.loads(record.read_text()) if record.exists() else None
        if body is None:
            return None, {}
        return Process(*body["process"]), {
            link: (str(kind), int(size)) for link, (kind, size) in body["sockets"].items()
        }
    except (ValueError, KeyError, TypeError, AttributeError) as fault:
        raise HostError(f"{record}: it cannot be read ({fault})", "Restart ovs-vswitchd and delete the file") from fault


def _write(record: Path, process: Process, sockets: Mapping[str, Before]) -> None:
    fresh = record.with_suffix(".new")
    with _on_disk(record):
        with fresh.open("w") as file:
            json.dump({"process": [process.pid, process.started], "sockets": sockets}, file)
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(record)


@contextmanager
def _on_disk(record: Path) -> Iterator[None]:
    """Raises HostError for what the disk refuses."""
    try:
        yield
    except OSError as fault:
        raise HostError(
            f"{record}: sizes of buffers cannot be kept there ({fault.strerror})",
            "Make room for it, or make it writable",
        ) from fault
