"""The uplinks' devices: there, up, and known to the switch as the devices that they are now."""

from __future__ import annotations

import logging
from collections.abc import Collection, Mapping
from functools import partial

from controller.host import links
from controller.host.attempts import Attempts
from controller.host.errors import HostError
from controller.host.link_table import LinkTable
from controller.host.settings import AgentConfig
from ovsdb.switch import PortConfig, PortStatus

AUDIT_S = 5.0

log = logging.getLogger("weir.agent")


class Uplinks:
    """A device that vanishes and returns under its name is another one: vswitchd goes on reading from the one that is
    gone, and never notices. So a port stands for one device, by its index, and goes and comes with it, its number kept.
    """

    def __init__(self, config: AgentConfig, links: LinkTable) -> None:
        self._config, self._links = config, links
        self._attempts: Attempts[tuple[str, int | None, bool]] = Attempts("uplink", AUDIT_S)
        self._numbers: dict[str, int] = {}  # OpenFlow ports by device

    def check(self, now_s: float) -> list[str]:
        """Brings up what is down. Returns what is wrong. Raises HostError."""
        present = self._links.links()
        checks = []
        for name, device in self._config.uplinks.items():
            link = present.get(device)
            wanted = (device, link.index if link else None, link is not None and link.up)
            checks.append(self._attempts.attempt(name, wanted, partial(_bring_up, name, device), now_s))
        return [fault for fault in checks if fault]

    def ports(self, ports: Mapping[str, PortStatus], held_open: Collection[str]) -> dict[str, PortConfig]:
        """Those that the bridge shall have now. held_open: devices that vswitchd may have open. Raises HostError."""
        found = {}
        for device in self._config.uplinks.values():
            port = ports.get(device)
            if port is not None and port.ofport is not None:
                self._numbers[device] = port.ofport
            if port is not None and port.owner != self._config.owner:  # somebody else takes it off and on
                found[device] = PortConfig(device, noop_qos=True)
            elif (index := self._index(device, port, device in held_open)) is not None:
                found[device] = PortConfig(
                    device, noop_qos=True, device_index=index, ofport_request=self._numbers.get(device)
                )
        return found

    def _index(self, device: str, port: PortStatus | None, held_open: bool) -> int | None:
        """None: the port has to be off for the moment."""
        link = self._links.links().get(device)
        if link is None or (port is None and held_open):
            return None
        if port is not None and port.device_index not in (None, link.index):
            log.warning("uplink device %s was replaced: its port is taken off the bridge and put on again", device)
            return None
        return link.index


def _bring_up(name: str, device: str) -> None:
    with links.netlink(None) as netlink:
        link = links.find(netlink, device)
        if link is None:
            raise HostError(
                f"uplink {name}: there is no device {device} in the agent's network namespace",
                f"Bring it there, or start the agent with --uplink {name}=DEVICE for one that is there",
            )
        links.set_up(netlink, link)
