"""What a host's NICs are like, as values, and what follows from that. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from controller.host.errors import HostError
from controller.host.sriov.port_names import PortKind, PortName, parse

_PCI_ADDRESS = re.compile(r"[0-9a-f]{4,8}:[0-9a-f]{2}:[01][0-9a-f]\.[0-7]")
NO_MAC = "00:00:00:00:00:00"
SIMULATED = "netdevsim"  # a bus of switches without hardware: virtual functions that are representors and nothing else


@dataclass(frozen=True, slots=True)
class NetDevice:
    """A network device of the agent's namespace. parent: the device of a bus that it belongs to; "": none.

    switch_id, port_name: as sysfs has them; "": it is no port of a NIC's switch. master: what it is a port of.
    """

    name: str
    up: bool = False
    mac: str = ""
    mtu: int = 0
    switch_id: str = ""
    port_name: str = ""
    parent: str = ""
    master: str = ""

    @property
    def port(self) -> PortName | None:
        return parse(self.port_name)


@dataclass(frozen=True, slots=True)
class VfSettings:
    """mac: NO_MAC: the driver of the VF chooses. vlan: 0: none. rates in Mbit/s, 0: none. None: unknown to the NIC."""

    mac: str = NO_MAC
    vlan: int = 0
    trust: bool | None = None
    spoof_check: bool | None = None
    max_tx_mbps: int = 0
    min_tx_mbps: int = 0


@dataclass(frozen=True, slots=True)
class VirtualFunction:
    """address: on the PCI bus; None: it is not there. devices: its network devices in the agent's namespace."""

    index: int
    address: str | None = None
    driver: str | None = None
    devices: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class PhysicalFunction:
    """address: its name on its bus. devices: those of its network devices that are not representors, uplinks first.

    total: how many VFs it can have.
    """

    address: str
    bus: str = "pci"
    devices: tuple[str, ...] = ()
    total: int = 0
    functions: tuple[VirtualFunction, ...] = ()

    @property
    def device(self) -> str | None:
        return next(iter(self.devices), None)

    @property
    def text(self) -> str:
        return self.device or self.address

    @property
    def devlink(self) -> str:
        return f"{self.bus}/{self.address}"

    @property
    def count_file(self) -> str:
        return f"/sys/bus/{self.bus}/devices/{self.address}/sriov_numvfs"

    @property
    def number(self) -> int | None:
        """Of several on one NIC; None: its name does not say."""
        return int(self.address[-1]) if is_pci_address(self.address) else None

    def function(self, index: int) -> VirtualFunction | None:
        return next((one for one in self.functions if one.index == index), None)


@dataclass(frozen=True, slots=True)
class Inventory:
    """All NICs that can have VFs, by address, and all network devices by name."""

    physical: Mapping[str, PhysicalFunction] = field(default_factory=dict)
    devices: Mapping[str, NetDevice] = field(default_factory=dict)


def is_pci_address(text: str) -> bool:
    """Whether it has the form domain:bus:slot.function, and so cannot lead out of a directory."""
    return _PCI_ADDRESS.fullmatch(text) is not None


def asked_for(inventory: Inventory, device: str | None) -> list[PhysicalFunction]:
    """The physical functions that an operator may mean: one by its address or a network device of it, or all.

    One whose network devices are in another namespace is on the bus here, too. Raises HostError when there is none.
    """
    here = [one for one in inventory.physical.values() if one.devices]
    found = [one for one in here if device is None or device in (one.address, *one.devices)]
    if found:
        return found
    known = ", ".join(one.text for one in here)
    if not known:
        where = "the agent's network namespace has no NIC" if device is None else f"there is no NIC {device}"
        raise HostError(
            f"{where} that can have virtual functions",
            "See /sys/bus/pci/devices/*/sriov_totalvfs; with an embedded Open vSwitch NICs stay in the host's own "
            "namespace: use weir up --ovs system",
        )
    raise HostError(f"{device} is no NIC that can have virtual functions", f"There are: {known}")


def is_switchdev(inventory: Inventory, physical: PhysicalFunction) -> bool:
    """Whether any VF of it has a representor."""
    return bool(_representors(inventory, physical))


def representor(inventory: Inventory, physical: PhysicalFunction, index: int) -> NetDevice:
    """The network device that stands on the host for VF `index` of `physical`. Raises HostError.

    Several physical functions may share one switch: then the parent device or the number in the name tells them apart.
    """
    here = _representors(inventory, physical)
    if not here:
        raise HostError(
            f"NIC {physical.text} is in legacy mode: its virtual functions have no representors to put on a bridge",
            f"Run: devlink dev eswitch set {physical.devlink} mode switchdev. If it cannot: --without-representor",
        )
    found = [one for one, name in here if name.number == index]
    if len(found) != 1:
        among = ", ".join(f"{one.name} ({one.port_name})" for one in found or [one for one, _ in here][:4])
        problem = "no representor among" if not found else "several representors:"
        raise HostError(
            f"VF {index} of {physical.text}: {problem} {among}",
            f"See devlink port show, and whether {physical.count_file} counts this VF",
        )
    return found[0]


def _representors(inventory: Inventory, physical: PhysicalFunction) -> list[tuple[NetDevice, PortName]]:
    switches = {inventory.devices[name].switch_id for name in physical.devices if name in inventory.devices} - {""}
    named = [
        (one, name)
        for one in inventory.devices.values()
        if (one.switch_id in switches if switches else one.switch_id and one.parent == physical.address)
        and one.name not in physical.devices
        and (name := one.port) is not None
        and name.kind is PortKind.VF
    ]
    others = [one for one in inventory.physical.values() if one.address != physical.address]
    named = [(one, name) for one, name in named if one.parent not in {other.address for other in others}]
    shared = any(inventory.devices[name].switch_id in switches for other in others for name in other.devices)
    if shared or len({name.pf for _, name in named}) > 1:
        named = [(one, name) for one, name in named if name.pf in (None, physical.number)]
    return _of_this_host(named)


def _of_this_host(named: list[tuple[NetDevice, PortName]]) -> list[tuple[NetDevice, PortName]]:
    """A VF of another controller is another host's, unless the driver gives every name a controller, and the same."""
    own = [(one, name) for one, name in named if not name.controller]
    if own or len({name.controller for _, name in named}) > 1:
        return own
    return named
