"""What servers and routers outside tell an instance about its addresses. Pure.

What comes from outside is believed: whoever is on that network may send such packets to the instance all the same.
"""

from __future__ import annotations

import enum
from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import IPv4Interface, IPv4Network, IPv6Interface

from controller.dataplane.macs import link_local
from controller.services import adverts, dhcp4_message, dhcp6_message, ip
from controller.services.ip import Datagram
from policies.model import IPInterface

_ALL_ONES4 = (1 << 32) - 1
_INTERFACE_BITS = (1 << 64) - 1
_GROUP_BIT = 1


class Source(enum.Enum):
    """Who tells addresses; each speaks for its own alone."""

    DHCP4 = "DHCPv4"
    DHCP6 = "DHCPv6"
    ADVERT = "router advertisement"


@dataclass(frozen=True, slots=True)
class Told:
    """address: None: the instance shall forget all it has from this source. valid_s: 0: forget this address."""

    source: Source
    address: IPInterface | None
    valid_s: int = 0


def read_told(frame: bytes, mac: int) -> list[Told]:
    """What a frame tells the instance with this MAC, if it is for that; in order."""
    if not frame[:1] or not (frame[0] & _GROUP_BIT or frame[:6] == mac.to_bytes(6, "big")):
        return []
    prefixes = adverts.read_prefixes(frame)
    if prefixes is not None:
        return [_made_of(prefix, mac) for prefix in prefixes]
    datagram = ip.read_datagram(frame)
    if datagram is None:
        return []
    if datagram.ports == (dhcp4_message.SERVER_PORT, dhcp4_message.CLIENT_PORT):
        return list(_from_dhcp4(datagram, mac))
    if datagram.ports == (dhcp6_message.SERVER_PORT, dhcp6_message.CLIENT_PORT):
        return list(_from_dhcp6(datagram, mac))
    return []


def read_given_up(frame: bytes) -> list[Told]:
    """What an instance, by this frame of its own, tells a server outside that it no longer has."""
    datagram = ip.read_datagram(frame)
    if datagram is None:
        return []
    if datagram.ports[1] == dhcp4_message.SERVER_PORT:
        given = dhcp4_message.read(datagram.data)
        ends = given is not None and given.kind in (dhcp4_message.Kind.RELEASE, dhcp4_message.Kind.DECLINE)
        return [Told(Source.DHCP4, None)] if ends else []
    if datagram.ports[1] == dhcp6_message.SERVER_PORT:
        message = dhcp6_message.read(datagram.data)
        if message is not None and message.kind in (dhcp6_message.Kind.RELEASE, dhcp6_message.Kind.DECLINE):
            return [Told(told.source, told.address) for told in _associated(message)]
    return []


def _made_of(prefix: adverts.Prefix, mac: int) -> Told:
    """The address that a host makes of a prefix and its MAC (RFC 4862, modified EUI-64)."""
    number = int(prefix.network.network_address) | link_local(mac) & _INTERFACE_BITS
    return Told(Source.ADVERT, IPv6Interface((number, 64)), prefix.valid_s)


def _from_dhcp4(datagram: Datagram, mac: int) -> Iterator[Told]:
    told = dhcp4_message.read(datagram.data)
    if told is None or (told.op, told.mac) != (2, mac):
        return
    if told.kind == dhcp4_message.Kind.NAK:
        yield Told(Source.DHCP4, None)
    valid_s = told.seconds(dhcp4_message.Option.LEASE)
    if told.kind != dhcp4_message.Kind.ACK or not valid_s:
        return
    mask = told.address(dhcp4_message.Option.MASK)
    if ip.is_one_host(told.yours.packed) and not told.yours.is_link_local:
        yield Told(Source.DHCP4, IPv4Interface((told.yours, _prefix_length(mask.packed if mask else b""))), valid_s)


def _prefix_length(mask: bytes) -> int:
    """32 for what is no mask: then nothing else is on the link."""
    host_bits = _ALL_ONES4 ^ int.from_bytes(mask, "big")
    if len(mask) != 4 or host_bits & (host_bits + 1):
        return 32
    return IPv4Network((0, 0)).max_prefixlen - host_bits.bit_length()


def _from_dhcp6(datagram: Datagram, mac: int) -> Iterator[Told]:
    message = dhcp6_message.read(datagram.data)
    if message is None or message.kind != dhcp6_message.Kind.REPLY:
        return
    if datagram.ends[1] == link_local(mac).to_bytes(16, "big"):
        yield from _associated(message)


def _associated(message: dhcp6_message.Message) -> Iterator[Told]:
    for value in dhcp6_message.of(message.options, dhcp6_message.Option.IA_NA):
        association = dhcp6_message.read_association(value)
        if association is None or association.status not in (None, dhcp6_message.Status.SUCCESS):
            continue
        for address, _, valid_s in association.addresses:
            if ip.is_one_host(address.packed) and not address.is_link_local:
                yield Told(Source.DHCP6, IPv6Interface((address, 128)), valid_s)
