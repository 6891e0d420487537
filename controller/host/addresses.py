"""The IP addresses of an instance's interface, usable the moment they are there."""

from __future__ import annotations

import errno
from collections.abc import Iterable
from ipaddress import ip_interface
from socket import AF_INET, AF_INET6

from pyroute2.netlink.exceptions import NetlinkError

from controller.dataplane.macs import link_local, mac_number
from controller.host import link_codec, sysctl
from controller.host.errors import HostError
from controller.host.instance_network import InstanceNetwork
from controller.host.link_codec import Address, Link, LinkAddress
from controller.host.links import Netlink
from controller.host.routes import PROTOCOL

_NODAD, _TENTATIVE, _PERMANENT, _DADFAILED = 0x02, 0x40, 0x80, 0x08
_GLOBAL_SCOPE = 0
_RACES = 10  # with the kernel, of which one is to be expected at most

_BEFORE_UP = {
    "ipv6/conf/{}/disable_ipv6": "0",
    "ipv6/conf/{}/accept_dad": "0",  # anti-spoofing already makes an address unique; a second's wait would gain nothing
    "ipv6/conf/{}/dad_transmits": "0",
    "ipv6/conf/{}/addr_gen_mode": "0",  # the link-local address follows from the MAC: anti-spoofing lets out no other
    "ipv4/conf/{}/promote_secondaries": "1",  # else the first address of a subnet takes the others with it
}


def prepare(ifname: str, network: InstanceNetwork) -> bool:
    """Before the link goes up: how IPv6 will behave on it. From inside the namespace.

    Returns whether it listens to routers from now on, and did not before.
    """
    for key, value in _BEFORE_UP.items():
        sysctl.ensure(key.format(ifname), value)
    hears = f"ipv6/conf/{ifname}/accept_ra"
    before = sysctl.read(hears)
    # an address made up from an advertisement gets out only where the VIF has no addresses of Weir's choice
    sysctl.ensure(f"ipv6/conf/{ifname}/autoconf", "1" if network.takes_addresses else "0")
    sysctl.ensure(hears, "1" if network.hears_routers else "0")
    return network.hears_routers and before == "0"


def ensure(socket: Netlink, link: Link, texts: Iterable[str]) -> None:
    """Adds what is missing and removes permanent addresses that are no longer wanted, in this order. The link is up.

    Without a wanted address only those are removed that were added here: the instance has others from somewhere else
    (DHCP). Raises HostError when the namespace cannot carry one of them.
    """
    wanted = {ip_interface(text) for text in texts}
    has_ipv6 = sysctl.read(f"ipv6/conf/{link.name}/disable_ipv6") is not None
    if any(address.version == 6 for address in wanted) and not has_ipv6:
        raise HostError("the instance's kernel has no IPv6", "Give the VIF IPv4 addresses only (--ip)")
    if has_ipv6 and link.running:
        _ensure_link_local(socket, link)
    present = _present(socket, link)
    _add(socket, link, wanted - present.keys())
    surplus = [
        address
        for address, one in present.items()
        if address not in wanted and (one.protocol == PROTOCOL or (wanted and one.flags & _PERMANENT))
    ]
    if surplus:
        for address in surplus:
            _delete(socket, link, address)
        # where a namespace does not promote the others of a subnet, they have gone with its first one
        _add(socket, link, wanted - _present(socket, link).keys())


def _ensure_link_local(socket: Netlink, link: Link) -> None:
    """The kernel makes it too, a moment after there is a carrier, and holds it back for another moment: neither for
    duplicate detection, but in a work queue that may be late. Without a carrier it is left to the kernel, which asks
    for routers when it makes it.
    """
    own = ip_interface((link_local(mac_number(link.mac)), 64))
    for _ in range(_RACES):
        found = next((one for one in _all(socket, link) if one.address == own), None)
        if found is not None and not found.flags & (_TENTATIVE | _DADFAILED):
            return
        if found is not None:
            _delete(socket, link, own)
        try:
            _add(socket, link, [own])
            return
        except NetlinkError as fault:
            if fault.code != errno.EEXIST:
                raise


def _add(socket: Netlink, link: Link, missing: Iterable[Address]) -> None:
    for address in sorted(missing, key=str):
        socket.addr("add", index=link.index, proto=PROTOCOL, **_fields(address), **_flags(address))


def _present(socket: Netlink, link: Link) -> dict[Address, LinkAddress]:
    """Global addresses of the link. One that duplicate detection holds back is removed."""
    found: dict[Address, LinkAddress] = {}
    for one in _all(socket, link):
        if one.scope != _GLOBAL_SCOPE:
            continue
        if one.flags & (_TENTATIVE | _DADFAILED):
            _delete(socket, link, one.address)
        else:
            found[one.address] = one
    return found


def _all(socket: Netlink, link: Link) -> list[LinkAddress]:
    found = map(link_codec.link_address, socket.lean.dump(link_codec.ask_addresses(link.index)))
    return [one for one in found if one.link == link.index]


def _delete(socket: Netlink, link: Link, address: Address) -> None:
    try:
        socket.addr("del", index=link.index, **_fields(address))
    except NetlinkError as fault:
        if fault.code != errno.EADDRNOTAVAIL:  # gone already, with another one of its subnet
            raise


def _fields(address: Address) -> dict[str, object]:
    family = AF_INET if address.version == 4 else AF_INET6
    return {"family": family, "address": str(address.ip), "prefixlen": address.network.prefixlen}


def _flags(address: Address) -> dict[str, object]:
    if address.version == 6:
        return {"flags": _NODAD}
    return {"broadcast": str(address.network.broadcast_address)} if address.network.prefixlen < 31 else {}
