"""The trees of this host, planned anew only when something that they follow from has changed."""

from __future__ import annotations

import socket
from collections.abc import Mapping, Sequence

from controller.host.settings import AgentConfig
from controller.host.wishes import HeldVif, Planned, plan
from ovsdb.rows import Snapshot
from policies.model import PolicySet


class Planner:
    """Remembers one plan and what it was made from."""

    def __init__(self, config: AgentConfig) -> None:
        self._config = config
        self._made: tuple[Sequence[HeldVif], PolicySet, Mapping[str, int], int, Planned] | None = None

    def plan(self, held: Sequence[HeldVif], policies: PolicySet, snapshot: Snapshot) -> Planned:
        nodes = {path: number for (kind, path), number in snapshot.numbers.items() if kind == "node"}
        buffer_bytes = send_buffer_bytes()
        if self._made is None or self._made[:-1] != (held, policies, nodes, buffer_bytes):
            planned = plan(held, policies, nodes, self._config, buffer_bytes)
            self._made = held, policies, nodes, buffer_bytes, planned
        return self._made[-1]


def send_buffer_bytes() -> int:
    """What a socket made now may have on its way: net.core.wmem_default, which not every namespace shows."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as new:
        return new.getsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF)
