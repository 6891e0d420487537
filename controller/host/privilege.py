"""What the agent may do, given up to what it needs, before it does anything. For itself and for what it starts."""

from __future__ import annotations

import ctypes
import os
from collections.abc import Collection, Mapping
from pathlib import Path

from controller.host.errors import HostError

# By its number in linux/capability.h. Each is here because something fails without it, which tests show.
NEEDED: Mapping[str, int] = {
    "cap_chown": 0,  # the group that may open a vhost-user VIF's socket
    "cap_dac_read_search": 2,  # programs and state below a directory that only its owner may enter
    "cap_net_broadcast": 11,  # hearing of changes of queues in other network namespaces
    "cap_net_admin": 12,  # links, addresses, routes, queues, offloads, tap devices
    "cap_sys_ptrace": 19,  # /proc/PID/ns/net of processes that may do more than the agent, or are somebody else's
    "cap_sys_admin": 21,  # entering, making and naming network namespaces
}

_VERSION_3 = 0x20080522
_PR_CAPBSET_READ, _PR_CAPBSET_DROP, _PR_SET_NO_NEW_PRIVS, _PR_CAP_AMBIENT = 23, 24, 38, 47
_AMBIENT_CLEAR_ALL = 4
_LAST = Path("/proc/sys/kernel/cap_last_cap")

_libc = ctypes.CDLL(None, use_errno=True)


class _Header(ctypes.Structure):
    _fields_ = (("version", ctypes.c_uint32), ("pid", ctypes.c_int))


class _Data(ctypes.Structure):
    _fields_ = (("effective", ctypes.c_uint32), ("permitted", ctypes.c_uint32), ("inheritable", ctypes.c_uint32))


def give_up(keep: Collection[int] = tuple(NEEDED.values())) -> None:
    """Keeps these capabilities alone, in every set of the calling thread and for good. To be called before any other
    thread is started. Raises HostError.
    """
    for number in range(int(_LAST.read_text()) + 1):
        if number not in keep and _libc.prctl(_PR_CAPBSET_READ, number, 0, 0, 0) == 1:
            _do("prctl", _PR_CAPBSET_DROP, number, 0, 0, 0)
    _do("prctl", _PR_CAP_AMBIENT, _AMBIENT_CLEAR_ALL, 0, 0, 0)
    header, data = _Header(_VERSION_3, 0), (_Data * 2)()
    _do("capget", ctypes.byref(header), data)
    for word in range(2):
        wanted = sum(1 << number % 32 for number in keep if number // 32 == word)
        kept = data[word].permitted & wanted
        data[word] = _Data(kept, kept, 0)
    _do("capset", ctypes.byref(header), data)
    _do("prctl", _PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)


def _do(function: str, *arguments: object) -> None:
    if getattr(_libc, function)(*arguments) != 0:
        reason = os.strerror(ctypes.get_errno())
        raise HostError(f"the agent cannot give up its privileges ({function}: {reason})", "Start it as root")
