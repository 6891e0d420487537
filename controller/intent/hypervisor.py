"""What a hypervisor is told so that a VM gets a VIF: arguments of QEMU, an <interface> or <hostdev> of libvirt. Pure.

A tap behind the userspace datapath must leave checksums and segmentation to the guest: nothing on the way does them.
A vhost-user VIF is a socket that QEMU serves; the switch comes to it and reads the guest's memory: that must be shared.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from controller.intent.kind_options import DESCRIPTORS, PCI, PORT, QUEUES, TAP, VF, VHOST_USER
from ovsdb.rows import VirtualInterface

NEEDS_SHARED_MEMORY = (
    "The guest's memory must be shared: QEMU -object memory-backend-memfd,id=mem,size=SIZE,share=on with "
    "-machine memory-backend=mem (SIZE that of -m); libvirt <memoryBacking><source type='memfd'/>"
    "<access mode='shared'/></memoryBacking> in the domain."
)


@dataclass(frozen=True, slots=True)
class Attachment:
    """libvirt: None where it cannot say it. qemu: arguments; empty where libvirt alone makes the interface.

    needs: what else the VM must have.
    """

    libvirt: str | None
    qemu: tuple[str, ...] = ()
    needs: str | None = None


def attachment(vif: VirtualInterface, mtu: int, bridge: str, is_userspace: bool) -> Attachment | None:
    """None: nothing of a hypervisor's, or the agent has not made it yet. mtu: of its segment, in bytes.

    bridge: of its host; is_userspace: whether that is one of the userspace datapath.
    """
    queues = int(vif.details.get("queues") or vif.options.get(QUEUES) or 1)
    device, socket, pci = (vif.details.get(key) for key in ("device", "socket", "pci"))
    if vif.kind == TAP and device:
        return _tap(vif, device, queues, mtu, is_userspace)
    if vif.kind == VHOST_USER and socket:
        return _vhost_user(vif, socket, queues, mtu)
    if vif.kind == VF and vif.binding.get(PCI) and pci:
        return _function(vif, pci)
    return _libvirt_port(vif, bridge) if vif.kind == PORT and _UUID.fullmatch(vif.name) else None


def _tap(vif: VirtualInterface, device: str, queues: int, mtu: int, is_userspace: bool) -> Attachment:
    name = f"vif{vif.number}"
    netdev = ["tap", f"id={name}", f"ifname={_escaped(device)}", "script=no", "downscript=no"]
    netdev += ["vhost=off", "vnet_hdr=off"] if is_userspace else []
    netdev += [f"queues={queues}"] if queues > 1 else []
    driver = _element("driver", name="qemu" if is_userspace else None, queues=queues if queues > 1 else None)
    if is_userspace:
        off = {"tso4": "off", "tso6": "off", "ecn": "off", "ufo": "off"}
        host, guest = _element("host", csum="off", gso="off", **off), _element("guest", csum="off", **off)
        driver = f"{driver[:-2]}>\n    {host}\n    {guest}\n  </driver>"
    elif queues == 1:
        driver = ""
    return Attachment(
        _interface("ethernet", vif, [_element("target", dev=device, managed="no"), _VIRTIO, driver, _mtu(mtu)]),
        ("-netdev", ",".join(netdev), "-device", _virtio(name, vif, queues, mtu)),
    )


def _vhost_user(vif: VirtualInterface, socket: str, queues: int, mtu: int) -> Attachment:
    chardev, netdev = f"vif{vif.number}c", f"vif{vif.number}"
    length = vif.options.get(DESCRIPTORS)
    rings = f",rx_queue_size={length},tx_queue_size={length}" if length else ""
    driver = _element(
        "driver", queues=queues if queues > 1 else None, rx_queue_size=length, tx_queue_size=length
    )  # without any of them it says nothing
    return Attachment(
        _interface(
            "vhostuser",
            vif,
            [
                _element("source", type="unix", path=socket, mode="server"),
                _VIRTIO,
                driver if queues > 1 or length else "",
                _mtu(mtu),
            ],
        ),
        (
            "-chardev",
            f"socket,id={chardev},path={_escaped(socket)},server=on,wait=off",
            "-netdev",
            f"vhost-user,id={netdev},chardev={chardev}" + (f",queues={queues}" if queues > 1 else ""),
            "-device",
            _virtio(netdev, vif, queues, mtu) + rings,
        ),
        NEEDS_SHARED_MEMORY,
    )


def _function(vif: VirtualInterface, pci: str) -> Attachment:
    domain, bus, rest = pci.split(":")
    slot, function = rest.split(".")
    address = _element("address", domain=f"0x{domain}", bus=f"0x{bus}", slot=f"0x{slot}", function=f"0x{function}")
    source = f"<source>\n    {address}\n  </source>"
    lines = ["<hostdev mode='subsystem' type='pci' managed='no'>", _element("driver", name="vfio"), source]
    return Attachment("\n  ".join(lines) + "\n</hostdev>", ("-device", f"vfio-pci,host={pci}"))


def _libvirt_port(vif: VirtualInterface, bridge: str) -> Attachment:
    """libvirt makes a tap, puts it on the bridge and marks it with `interfaceid`, which must be a UUID, as iface-id."""
    parameters = _element("parameters", interfaceid=vif.name)
    port = f"<virtualport type='openvswitch'>\n    {parameters}\n  </virtualport>"
    return Attachment(_interface("bridge", vif, [_element("source", bridge=bridge), port, _VIRTIO]))


def _virtio(netdev: str, vif: VirtualInterface, queues: int, mtu: int) -> str:
    """vectors: one each for sending and receiving on each queue, for configuration and for control."""
    several = f",mq=on,vectors={2 * queues + 2}" if queues > 1 else ""
    return f"virtio-net-pci,netdev={netdev},mac={vif.mac},host_mtu={mtu}{several}"


def _interface(type_: str, vif: VirtualInterface, lines: Sequence[str]) -> str:
    inner = [_element("mac", address=vif.mac), *(line for line in lines if line)]
    return "\n  ".join([f"<interface type='{type_}'>", *inner]) + "\n</interface>"


def _element(tag: str, /, **attributes: object) -> str:
    given = [f"{key}={_attribute(str(value))}" for key, value in attributes.items() if value is not None]
    return f"<{' '.join([tag, *given])}/>"


def _attribute(text: str) -> str:
    return f"'{text.translate(_ESCAPES)}'"


def _mtu(mtu: int) -> str:
    return _element("mtu", size=mtu)


def _escaped(text: str) -> str:
    """In an argument of QEMU a comma ends a value, and is written twice."""
    return text.replace(",", ",,")


_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)
# not xml.sax.saxutils, which brings urllib and http along
_ESCAPES = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;", "'": "&apos;"})
_VIRTIO = _element("model", type="virtio")
