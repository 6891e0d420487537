"""The links of the agent's own network namespace, as they are: read whole, but only when the kernel told of a change.

The kernel's word is an optimisation: the table is read again without it now and then.
"""

from __future__ import annotations

import errno
import socket
import time
from collections.abc import Mapping
from types import TracebackType

from controller.host import link_codec
from controller.host.errors import HostError
from controller.host.link_codec import Link, Traffic
from controller.host.qdisc_frames import Request
from controller.host.qdisc_socket import KernelRefusal, QdiscSocket

REREAD_S = 10.0
_LINK_CHANGES = 1  # RTMGRP_LINK


class LinkTable:
    """Belongs to one thread, and to the namespace in which it was made. descriptor: readable after a change."""

    def __init__(self) -> None:
        self._socket = QdiscSocket()
        self._changes = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, socket.NETLINK_ROUTE)
        self._changes.setblocking(False)
        self._changes.bind((0, _LINK_CHANGES))
        self._links: Mapping[str, Link] | None = None
        self._read_s = 0.0

    @property
    def descriptor(self) -> int:
        return self._changes.fileno()

    def __enter__(self) -> LinkTable:
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        self._changes.close()
        self._socket.close()

    def changed(self) -> bool:
        """Whether the kernel has told of a change since `links` was last called."""
        if self._told():
            self._links = None
        return self._links is None

    def links(self) -> Mapping[str, Link]:
        """By name; the same object while nothing changes. Raises HostError."""
        now_s = time.monotonic()
        if self.changed() or now_s - self._read_s > REREAD_S or self._links is None:
            rows = self._dump(link_codec.ask_links())
            links = {link.name: link for link in map(link_codec.link, rows)}
            self._links, self._read_s = links if links != self._links else self._links, now_s
        return self._links

    def traffic(self) -> Mapping[int, Traffic]:
        """By the link's index. Raises HostError."""
        return dict(map(link_codec.traffic, self._dump(link_codec.ask_statistics())))

    def _told(self) -> bool:
        """Empties the queue of changes; that some were lost is a change, too."""
        told = False
        while True:
            try:
                self._changes.recv(1 << 16)
            except BlockingIOError:
                return told
            except OSError as fault:
                if fault.errno != errno.ENOBUFS:
                    raise
            told = True

    def _dump(self, request: Request) -> list[bytes]:
        try:
            return self._socket.dump(request)
        except (KernelRefusal, OSError) as fault:
            raise HostError(
                f"the agent's network namespace: {fault}",
                "The agent needs CAP_NET_ADMIN there; it tries again by itself",
            ) from fault
