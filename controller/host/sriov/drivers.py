"""Binding of a virtual function's PCI device: to vfio-pci for a VM or a DPDK application, and back to what it had.

Each step looks first, so that one who was interrupted is taken up where he stopped. Below `root`, which is sysfs, only
files of the device itself and of the driver that it is bound to are written.
"""

from __future__ import annotations

import errno
import os
from pathlib import Path

from controller.host.errors import HostError
from controller.host.sriov.functions import is_pci_address
from controller.host.sriov.tree import driver_of, text_of

VFIO = "vfio-pci"
GROUPS = Path("/dev/vfio")
_OVERRIDE, _NONE = "driver_override", "(null)"


def device(root: Path, address: str) -> Path:
    """The directory of a PCI device. Raises HostError when there is none."""
    path = root / "bus" / "pci" / "devices" / address
    if not is_pci_address(address) or not path.is_dir():
        raise HostError(f"PCI device {address} is not there", "See lspci")
    return path


def to_vfio(root: Path, address: str) -> str:
    """Binds the device to vfio-pci. Returns its IOMMU group. Raises HostError."""
    path = device(root, address)
    if not (root / "bus" / "pci" / "drivers" / VFIO).is_dir():
        raise HostError(f"PCI device {address}: there is no driver {VFIO}", f"Load it: modprobe {VFIO}")
    group = iommu_group(path)
    if group is None:
        raise HostError(
            f"PCI device {address} is behind no IOMMU, so nothing would keep its owner out of the host's memory",
            "Boot with intel_iommu=on (or amd_iommu=on), and turn it on in the firmware",
        )
    _check_group(path, address)
    if _override(path) != VFIO:
        _write(path / _OVERRIDE, VFIO)
    if driver_of(path) not in (VFIO, None):
        _write(path / "driver" / "unbind", address)
    if driver_of(path) is None:
        _write(root / "bus" / "pci" / "drivers_probe", address)
    if driver_of(path) != VFIO:
        raise HostError(f"PCI device {address} could not be bound to {VFIO}", "See the kernel's log (dmesg)")
    return group


def from_vfio(root: Path, address: str, former: str | None) -> None:
    """Back to the driver that it had before; None: to none. Raises HostError, also while somebody uses it."""
    path = device(root, address)
    if driver_of(path) == VFIO:
        _check_idle(path, address)  # the kernel would wait for its user, and this process with it
    if _override(path) == VFIO:
        _write(path / _OVERRIDE, "\n")
    if driver_of(path) == VFIO:
        unbind(root, address)
    if former is not None and driver_of(path) is None:
        probe(root, address)


def probe(root: Path, address: str) -> None:
    """Lets the kernel find a driver for a device without one."""
    _write(root / "bus" / "pci" / "drivers_probe", address)


def rebind(root: Path, address: str) -> None:
    """Takes the device from its driver and gives it back: its network device is made anew, where the first one was.

    Raises HostError.
    """
    unbind(root, address)
    probe(root, address)


def unbind(root: Path, address: str) -> None:
    """Leaves the device without a driver. Raises HostError."""
    path = device(root, address)
    if driver_of(path) is not None:
        _write(path / "driver" / "unbind", address)


def iommu_group(path: Path) -> str | None:
    try:
        return os.path.basename(os.readlink(path / "iommu_group"))
    except OSError:
        return None


def _check_group(path: Path, address: str) -> None:
    """Whoever is given one device of a group reaches them all. Raises HostError when the host needs another one."""
    for entry in sorted((path / "iommu_group" / "devices").iterdir()):
        is_bridge = text_of(entry / "class").startswith("0x0604")
        if entry.name != address and not is_bridge and driver_of(entry) not in (None, VFIO, "pci-stub"):
            raise HostError(
                f"PCI device {address} shares an IOMMU group with {entry.name}, which {driver_of(entry)} uses",
                "Put the NIC into another slot (one with access control), or bind that device to vfio-pci as well",
            )


def _check_idle(path: Path, address: str) -> None:
    """Raises HostError. To read will do, which the agent may whoever owns the group's file; the kernel lets in one."""
    group = GROUPS / (iommu_group(path) or "none")
    try:
        os.close(os.open(group, os.O_RDONLY | os.O_CLOEXEC))
    except FileNotFoundError:
        return
    except OSError as fault:
        how = "" if fault.errno == errno.EBUSY else f", as far as one can see ({fault.strerror})"
        raise HostError(
            f"PCI device {address} is still in use by a process that has {group} open{how}",
            "Stop that VM or application: the device is given back then",
        ) from fault


def _override(path: Path) -> str:
    text = text_of(path / _OVERRIDE)
    return "" if text == _NONE else text


def _write(path: Path, text: str) -> None:
    try:
        path.write_text(text)
    except OSError as fault:
        raise HostError(
            f"{text.strip() or 'nothing'} cannot be written to {path} ({fault.strerror})",
            "The agent needs to write below /sys/bus/pci; see the kernel's log (dmesg)",
        ) from fault
