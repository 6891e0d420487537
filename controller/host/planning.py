"""The trees of this host, planned anew only when something that they follow from has changed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from controller.dataplane.macs import mac_number, router_mac
from controller.host.latency.surroundings import Aims, neighbours
from controller.host.latency.targets import Target, targets
from controller.host.link_codec import Link
from controller.host.send_buffer import new_socket_bytes
from controller.host.settings import AgentConfig
from controller.host.wishes import HeldVif, Known, Planned, plan
from ovsdb.rows import Snapshot
from policies.model import PolicySet


class Planner:
    """Remembers one plan and what it was made from."""

    def __init__(self, config: AgentConfig) -> None:
        self._config = config
        self._targets: Mapping[int, Target] = {}  # of the last plan
        self._made: tuple[Sequence[HeldVif], PolicySet, Known, int, Planned] | None = None

    def plan(
        self, held: Sequence[HeldVif], policies: PolicySet, snapshot: Snapshot, buffer_bytes: int | None = None
    ) -> Planned:
        """buffer_bytes: what vswitchd may have on its way to devices; None: as much as a new socket."""
        nodes = {path: number for (kind, path), number in snapshot.numbers.items() if kind == "node"}
        own_mac = mac_number(router_mac(snapshot.system_id, self._config.chassis))
        known = Known(nodes, own_mac)
        buffer_bytes = new_socket_bytes() if buffer_bytes is None else buffer_bytes
        if self._made is None or self._made[:-1] != (held, policies, known, buffer_bytes):
            planned = plan(held, policies, known, self._config, buffer_bytes)
            self._made = held, policies, known, buffer_bytes, planned
            self._targets = targets(held, policies, planned.wishes, self._config.uplinks, own_mac)
        return self._made[-1]

    def aims(self, policies: PolicySet, snapshot: Snapshot, links: Mapping[str, Link]) -> Aims:
        """Whom to probe, by the last plan. links: of this host, by name."""
        config, devices = self._config, (target.device for target in self._targets.values())
        down = frozenset(device for device in devices if device in links and not links[device].running)
        hosts, system = snapshot.chassis.values(), snapshot.system_id
        return Aims(self._targets, *neighbours(policies, config.uplinks, config.chassis, hosts, system), down)
