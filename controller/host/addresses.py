"""The IP addresses of an instance's interface, usable the moment they are there."""

from __future__ import annotations

import errno
from collections.abc import Iterable
from ipaddress import ip_interface
from socket import AF_INET, AF_INET6

from pyroute2.netlink.exceptions import NetlinkError

from controller.host import link_codec, sysctl
from controller.host.errors import HostError
from controller.host.link_codec import Address, Link
from controller.host.links import Netlink

_NODAD, _TENTATIVE, _PERMANENT, _DADFAILED = 0x02, 0x40, 0x80, 0x08
_GLOBAL_SCOPE = 0

_BEFORE_UP = {
    "disable_ipv6": "0",
    "accept_dad": "0",  # anti-spoofing already makes an address unique; waiting a second would gain nothing
    "dad_transmits": "0",
    "addr_gen_mode": "0",  # the link-local address follows from the MAC: the only one that anti-spoofing lets out
    "autoconf": "0",  # likewise an address made up from a router advertisement would not get out
}


def prepare(ifname: str) -> None:
    """Before the link goes up: how IPv6 will behave on it. From inside the namespace."""
    for key, value in _BEFORE_UP.items():
        sysctl.ensure(f"ipv6/conf/{ifname}/{key}", value)


def ensure(socket: Netlink, link: Link, texts: Iterable[str]) -> None:
    """Adds what is missing and removes permanent addresses that are no longer wanted.

    Without a wanted address nothing is removed: then the instance has its addresses from somewhere else (DHCP).
    Raises HostError when the namespace cannot carry one of them.
    """
    wanted = {ip_interface(text) for text in texts}
    if any(address.version == 6 for address in wanted) and sysctl.read(f"ipv6/conf/{link.name}/disable_ipv6") is None:
        raise HostError("the instance's kernel has no IPv6", "Give the VIF IPv4 addresses only (--ip)")
    present = _present(socket, link)
    surplus = [address for address, permanent in present.items() if permanent and address not in wanted]
    if wanted and surplus:
        for address in surplus:
            _delete(socket, link, address)
        present = _present(socket, link)  # with the first IPv4 address of a subnet the kernel removes the others
    for address in sorted(wanted - present.keys(), key=str):
        socket.addr("add", index=link.index, **_fields(address), **_flags(address))


def _present(socket: Netlink, link: Link) -> dict[Address, bool]:
    """Global addresses of the link -> whether permanent. One that duplicate detection holds back is removed."""
    found: dict[Address, bool] = {}
    for one in map(link_codec.link_address, socket.lean.dump(link_codec.ask_addresses())):
        if one.link != link.index or one.scope != _GLOBAL_SCOPE:
            continue
        if one.flags & (_TENTATIVE | _DADFAILED):
            _delete(socket, link, one.address)
        else:
            found[one.address] = bool(one.flags & _PERMANENT)
    return found


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
