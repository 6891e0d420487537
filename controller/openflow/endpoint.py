"""Where switches connect: the Unix socket that WEIR_OPENFLOW names; without it TCP, as Ryu is told.

On TCP whoever is on the host may take the port while the controller is away, or connect as any switch. Ryu 4.34 by
itself ends every connection on a Unix socket, by setting an option of TCP, and with TLS takes one connection only.
"""

from __future__ import annotations

import atexit
import os
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import ryu.base.app_manager  # noqa: F401  (before ryu.controller.controller, which cannot be imported first)
from eventlet.green import socket
from ryu import cfg
from ryu.controller import controller
from ryu.lib import hub
from ryu.ofproto.ofproto_common import OFP_TCP_PORT

VARIABLE = "WEIR_OPENFLOW"
_BACKLOG = 64

Handle = Callable[[Any, str], None]  # a connection and where it came in


def listen_where_told(environ: Mapping[str, str]) -> None:
    """Takes the place of Ryu's listener when WEIR_OPENFLOW is unix:PATH: then nothing listens on TCP, nor with TLS.

    Raises ValueError for what is no such address.
    """
    target = environ.get(VARIABLE, "")
    if not target:
        return
    path = Path(target.removeprefix("unix:"))
    if not target.startswith("unix:") or not path.is_absolute():
        raise ValueError(f"{VARIABLE}={target!r} is no Unix socket. Write unix:/PATH, or unset it to listen on TCP.")
    cfg.CONF.set_default("ofp_tcp_listen_port", OFP_TCP_PORT)  # told no port, Ryu would listen a second time
    controller.StreamServer = lambda _address, handle, **_tls: UnixServer(path, handle)


class UnixServer:
    """Ryu's StreamServer on a Unix socket that opens to its owner alone; one that was left there is replaced."""

    def __init__(self, path: Path, handle: Handle) -> None:
        """Raises OSError when the path cannot be bound: then the thread in which Ryu listens ends, and the process."""
        self._path, self._handle = path, handle
        if path.is_socket():
            path.unlink()
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._listener.bind(os.fspath(path))
        os.chmod(path, 0o600)  # nobody connects to it before it listens
        self._listener.listen(_BACKLOG)
        self._inode = path.stat().st_ino
        atexit.register(self._remove)

    def serve_forever(self) -> None:
        while True:
            connection, _ = self._listener.accept()
            hub.spawn(self._handle, _Connection(connection), str(self._path))

    def _remove(self) -> None:
        """Not if it is another's by now."""
        with suppress(OSError):
            if self._path.stat().st_ino == self._inode:
                self._path.unlink()


class _Connection:
    """A socket on which Ryu's Datapath may set TCP's options, to no effect: a Unix socket refuses them."""

    def __init__(self, connection: Any) -> None:
        self._connection = connection

    def setsockopt(self, level: int, *option: Any) -> None:
        if level != socket.IPPROTO_TCP:
            self._connection.setsockopt(level, *option)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._connection, name)
