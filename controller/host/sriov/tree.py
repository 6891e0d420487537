"""NICs and their virtual functions as sysfs shows them, below a root that the caller names."""

from __future__ import annotations

import ctypes
import os
from collections.abc import Iterator
from pathlib import Path

from controller.host.sriov.functions import (
    SIMULATED,
    Inventory,
    NetDevice,
    PhysicalFunction,
    VirtualFunction,
    is_pci_address,
)
from controller.host.sriov.port_names import PortKind

_FSOPEN, _FSCONFIG, _FSMOUNT = 430, 431, 432  # the same on every architecture
_CREATE, _CLOEXEC = 6, 1


def own_root() -> Path:
    """sysfs of the calling thread's network namespace, mounted nowhere and open for as long as the process lives.

    /sys shows the network devices of the namespace that it was mounted from, which need not be this one. It is what
    remains where the kernel refuses another.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    opened = libc.syscall(_FSOPEN, b"sysfs", _CLOEXEC)
    if opened < 0:
        return Path("/sys")
    try:
        mount = -1
        if libc.syscall(_FSCONFIG, opened, _CREATE, None, None, 0) == 0:
            mount = libc.syscall(_FSMOUNT, opened, _CLOEXEC, 0)
    finally:
        os.close(opened)
    return Path("/sys") if mount < 0 else Path(f"/proc/self/fd/{mount}")


def read(root: Path) -> Inventory:
    """What cannot be read is not there: devices come and go meanwhile."""
    devices = {one.name: one for one in map(_device, _entries(root / "class" / "net"))}
    physical = [*_on_pci(root, devices), *_simulated(root, devices)]
    return Inventory({one.address: one for one in physical}, devices)


def has_nics(root: Path) -> bool:
    """Whether one that can have VFs is in the root's namespace; without reading the devices of all others there."""
    found = (*_on_pci(root, {}), *_simulated(root, {}))
    return any(_entries(root / "bus" / one.bus / "devices" / one.address / "net") for one in found)


def _on_pci(root: Path, devices: dict[str, NetDevice]) -> Iterator[PhysicalFunction]:
    bus = root / "bus" / "pci" / "devices"
    for path in _entries(bus):
        total = _number(path / "sriov_totalvfs")
        if total and (path / "net").is_dir():
            links = [entry for entry in _entries(path) if entry.name.startswith("virtfn")]
            functions = [_function(bus, int(entry.name[6:]), entry) for entry in links if entry.name[6:].isdecimal()]
            functions.sort(key=lambda one: one.index)
            yield PhysicalFunction(path.name, "pci", _uplinks(path, devices), total, tuple(functions))


def _simulated(root: Path, devices: dict[str, NetDevice]) -> Iterator[PhysicalFunction]:
    for path in _entries(root / "bus" / SIMULATED / "devices"):
        functions = tuple(VirtualFunction(index) for index in range(_number(path / "sriov_numvfs")))
        yield PhysicalFunction(path.name, SIMULATED, _uplinks(path, devices), len(functions), functions)


def _function(bus: Path, index: int, link: Path) -> VirtualFunction:
    """By its name on the bus: the root may be a mount without a place, through which no path can be resolved."""
    address = _target(link)
    path = bus / address
    if not is_pci_address(address) or not path.is_dir():
        return VirtualFunction(index)
    return VirtualFunction(index, address, driver_of(path), tuple(entry.name for entry in _entries(path / "net")))


def driver_of(path: Path) -> str | None:
    """The driver that a device is bound to."""
    try:
        return os.path.basename(os.readlink(path / "driver"))
    except OSError:
        return None


def _uplinks(path: Path, devices: dict[str, NetDevice]) -> tuple[str, ...]:
    """The function's own devices: some drivers show the representors beside them."""
    found = [devices[entry.name] for entry in _entries(path / "net") if entry.name in devices]
    own = [one for one in found if one.port is None or one.port.kind in (PortKind.UPLINK, PortKind.PF)]
    return tuple(one.name for one in sorted(own, key=lambda one: (one.port is not None and _rank(one), one.name)))


def _rank(device: NetDevice) -> bool:
    return device.port is not None and device.port.kind is PortKind.PF


def _device(path: Path) -> NetDevice:
    return NetDevice(
        name=path.name,
        up=bool(int(text_of(path / "flags") or "0", 16) & 1),
        mac=text_of(path / "address"),
        mtu=_number(path / "mtu"),
        switch_id=text_of(path / "phys_switch_id"),
        port_name=text_of(path / "phys_port_name"),
        parent=_target(path / "device"),
        master=_target(path / "master"),
    )


def _target(link: Path) -> str:
    try:
        return os.path.basename(os.readlink(link))
    except OSError:
        return ""


def _entries(directory: Path) -> list[Path]:
    try:
        return sorted(Path(entry.path) for entry in os.scandir(directory) if entry.is_dir())
    except OSError:
        return []


def _number(path: Path) -> int:
    text = text_of(path)
    return int(text) if text.isdecimal() else 0


def text_of(path: Path) -> str:
    """ "" where the device has no such property (reading it is then refused)."""
    try:
        return path.read_text().strip()
    except OSError:
        return ""
