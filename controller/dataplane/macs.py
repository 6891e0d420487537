"""The MAC addresses that Weir gives. Pure.

All are locally administered and carry the system's id (6 hex digits), so that two systems on one outside network do
not meet. A VIF's ends in its number, by which hosts classify; the router's in every routed segment in number 0, which
no VIF has, and it is the same on every host, so an instance that moves keeps its neighbour.

Probes, which measure how long frames take, are the exception: what they are answered with ends where it arrives. Hosts
that ask across an outside network have numbers of these, made of the system's id and their names.
"""

from __future__ import annotations

import hashlib

PROBES = 0x0A77_6569_0000, 0xFFFF_FFFF_0000  # value and mask of the senders of probes; the rest is a number
LINK_GROUP = 0x0180_C200_000E  # what is for it no bridge passes on (IEEE 802.1Q, nearest bridge)
_GATEWAY = 0
_LINK_LOCAL = 0xFE80 << 112


def vif_mac(system_id: str, number: int) -> str:
    """02:SS:SS:SS:NN:NN"""
    return _text("02", system_id, number)


def gateway_mac(system_id: str) -> str:
    """Of the router towards the instances of every routed segment."""
    return vif_mac(system_id, _GATEWAY)


def router_mac(system_id: str, chassis: str) -> str:
    """Of one host's router on its uplinks: 06:SS:SS:SS:HH:HH, the last two a hash of the host's name."""
    return _text("06", system_id, int.from_bytes(hashlib.sha256(chassis.encode()).digest()[:2], "big"))


def mac_number(mac: str) -> int:
    """The 48 bits of a MAC written with colons."""
    return int(mac.replace(":", ""), 16)


def link_local(mac: int) -> int:
    """The IPv6 address that an interface with this MAC gives itself (RFC 4291, modified EUI-64)."""
    return _LINK_LOCAL | (mac >> 24 ^ 0x020000) << 40 | 0xFFFE << 24 | mac & 0xFFFFFF


def _text(first: str, system_id: str, number: int) -> str:
    return ":".join((first, *(f"{system_id}{number:04x}"[at : at + 2] for at in range(0, 10, 2))))
