"""Virtual functions taken for VIFs, and given back as they were found."""

from __future__ import annotations

import logging
from contextlib import suppress
from pathlib import Path

from pyroute2.netlink.exceptions import NetlinkError

from controller.host import links, offloads
from controller.host.errors import HostError
from controller.host.links import Netlink
from controller.host.sriov import drivers, settings, vf_devices
from controller.host.sriov.choice import Chosen
from controller.host.sriov.functions import (
    NO_MAC,
    Inventory,
    NetDevice,
    PhysicalFunction,
    VfSettings,
    VirtualFunction,
    representor,
)
from controller.host.sriov.ledger import Former, Ledger, Taken, boot_id
from controller.host.sriov.vf_devices import NotYet, Renewal

log = logging.getLogger("weir.agent")


def take(ledger: Ledger, vif: str, chosen: Chosen, inventory: Inventory, port: NetDevice | None) -> Taken:
    """Notes on disk that the VIF has this VF from now on, and how that is before anything is done. Raises HostError."""
    physical, function = chosen.physical, chosen.function
    device = next((inventory.devices[name] for name in function.devices if name in inventory.devices), None)
    former = Former(
        settings=read_settings(physical, function.index),
        driver=function.driver,
        device=device.name if device else None,
        mac=device.mac if device else "",
        mtu=device.mtu if device else 0,
        port_up=port is not None and port.up,
        port_offloads=tuple(sorted(offloads.active(port.name, offloads.RECEIVED))) if port else (),
    )
    taken = Taken(vif, physical.address, function.index, function.address, former, boot_id())
    ledger.put(taken)
    log.info("VF %s/%d is VIF %s's", physical.text, function.index, vif)
    return taken


def read_settings(physical: PhysicalFunction, index: int) -> VfSettings:
    """Raises HostError when the NIC does not know the VF."""
    with links.netlink(None) as socket:
        return _present(socket, physical, index)[1]


def write_settings(physical: PhysicalFunction, index: int, wanted: VfSettings) -> dict[str, str]:
    """Sets what differs. Returns what the NIC refuses, with its words. Raises HostError."""
    with links.netlink(None) as socket:
        link, present = _present(socket, physical, index)
        return settings.write(socket, link, index, wanted, present)


def give_back(root: Path, inventory: Inventory, taken: Taken, renewal: Renewal) -> None:
    """Makes the VF what it was before, wherever its device is. Done twice it changes nothing. Raises NotYet, HostError.

    What the machine's restart, or that of the NIC, has undone needs nothing.
    """
    physical = inventory.physical.get(taken.physical)
    function = physical.function(taken.index) if physical else None
    if physical is None or function is None or taken.boot != boot_id():
        return
    fetch_home(root, function, taken, renewal)
    refused = write_settings(physical, taken.index, taken.former.settings)
    if function.address is not None and taken.former.device is not None:
        _put_back_device(root, function.address, taken.former, renewal)
    _put_back_port(inventory, physical, taken)
    if refused:
        log.warning("VF %s/%d: not put back: %s", physical.text, taken.index, refused)
    log.info("VF %s/%d given back", physical.text, taken.index)


def fetch_home(root: Path, function: VirtualFunction, taken: Taken, renewal: Renewal) -> None:
    """The driver that it had, and its network device in the agent's namespace. Raises NotYet, HostError."""
    former, address = taken.former, function.address
    if address is None:
        return
    if former.driver != drivers.VFIO:
        drivers.from_vfio(root, address, former.driver)
    if former.driver is None:
        drivers.unbind(root, address)
    elif former.device is not None:
        found = renewal.device(root, address, (None, *([Path(taken.place)] if taken.place else [])))
        if found.place is not None:
            vf_devices.move(found, None, former.device)


def _put_back_device(root: Path, address: str, former: Former, renewal: Renewal) -> None:
    found = vf_devices.find(address, (None,))
    if found is None:
        return
    if former.mac and former.mac != NO_MAC and former.settings.mac in (NO_MAC, former.mac):
        try:
            found = renewal.with_mac(root, address, found, former.mac)
        except NotYet:
            raise
        except HostError as fault:  # one that its driver made up, and that it does not take from outside
            log.info("%s", fault)
    with links.netlink(None) as socket:
        socket.link("set", index=found.link.index, state="down", ifalias="", mtu=former.mtu or found.link.mtu)
        if former.device is not None and found.link.name != former.device:
            with suppress(NetlinkError):  # somebody else has that name now
                socket.link("set", index=found.link.index, ifname=former.device)


def _put_back_port(inventory: Inventory, physical: PhysicalFunction, taken: Taken) -> None:
    try:
        port = representor(inventory, physical, taken.index)
    except HostError:
        return
    if taken.former.port_offloads:
        offloads.restore(port.name, taken.former.port_offloads)
    if port.up and not taken.former.port_up:
        with links.netlink(None) as socket:
            socket.link("set", ifname=port.name, state="down")


def _present(socket: Netlink, physical: PhysicalFunction, index: int) -> tuple[int, VfSettings]:
    """The NIC's link and what it has been told of the VF."""
    link = links.find(socket, physical.device or "")
    found = settings.read(socket, link.index).get(index) if link is not None else None
    if link is None or found is None:
        raise HostError(
            f"NIC {physical.text} does not know VF {index}",
            f"See ip link show {physical.device or 'DEVICE'}, and {physical.count_file}",
        )
    return link.index, found
