"""Addresses of VIFs: what may be asked for on a segment, and what is given when nothing is asked for. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from ipaddress import IPv4Address, IPv4Interface, IPv6Address, IPv6Interface, ip_interface

from policies.model import IPNetwork, Segment

IPAddress = IPv4Address | IPv6Address
IPInterface = IPv4Interface | IPv6Interface


class BadAddress(ValueError):
    """Reads `problem. Remedy.`"""


class AddressBook:
    """Which addresses of each segment are taken, and by whom. Grows as VIFs are added."""

    def __init__(self, taken: Iterable[tuple[str, str, str]]) -> None:
        """taken: segment, address with or without prefix length, whose it is in words."""
        self._owner: dict[tuple[str, IPAddress], str] = {
            (segment, ip_interface(address).ip): owner for segment, address, owner in taken
        }
        self._lowest: dict[tuple[str, IPNetwork], int] = {}  # below it nothing is free

    def claim(self, segment: Segment, text: str, name: str) -> str:
        """An address that was asked for, in the form in which it is kept. Raises BadAddress when it cannot be had."""
        address = _parsed(text)
        subnet = _subnet_of(segment, address, text)
        if subnet is not None:
            address = _in_subnet(segment, subnet, address, text)
        elif "/" not in text:
            example = f"{address.ip}/{24 if address.version == 4 else 64}"
            raise BadAddress(
                f"segment '{segment.name}' has no subnets to tell the prefix length of {text}. Add it, as in {example}."
            )
        owner = self._owner.get((segment.name, address.ip))
        if owner is not None:
            raise BadAddress(f"address {address.ip} is that of {owner} on segment '{segment.name}'. Choose another.")
        self._owner[segment.name, address.ip] = vif_words(name)
        return str(address)

    def assign(self, segment: Segment, name: str) -> list[str]:
        """The lowest free address of each subnet. Raises BadAddress when a subnet has none left."""
        return [str(self._assign(segment, subnet, name)) for subnet in segment.subnets]

    def _assign(self, segment: Segment, subnet: IPNetwork, name: str) -> IPInterface:
        first, last = _assignable(segment, subnet)
        number = self._lowest.get((segment.name, subnet), first)
        while number <= last:
            address = ip_interface(
                f"{subnet.network_address + (number - int(subnet.network_address))}/{subnet.prefixlen}"
            )
            number += 1
            if (segment.name, address.ip) not in self._owner:
                self._owner[segment.name, address.ip] = vif_words(name)
                self._lowest[segment.name, subnet] = number
                return address
        raise BadAddress(
            f"subnet {subnet} of segment '{segment.name}' has no free address left. "
            "Delete VIFs that are not needed, or give the segment a larger subnet."
        )


def _parsed(text: str) -> IPInterface:
    try:
        if "%" in text or ("/" in text and not text.rpartition("/")[2].isdecimal()):
            raise ValueError
        address = ip_interface(text)
    except ValueError:
        raise BadAddress(
            f"'{text}' is not an IP address. Write it as in 10.0.0.5, 10.0.0.5/24 or fd00::5/64."
        ) from None
    for what, is_so in (
        ("a multicast address", address.ip.is_multicast),
        ("the unspecified address", address.ip.is_unspecified),
        ("a loopback address", address.ip.is_loopback),
        (
            "a link-local address, which every interface has by itself",
            address.version == 6 and address.ip.is_link_local,
        ),
    ):
        if is_so:
            raise BadAddress(f"{address.ip} is {what}. Choose a unicast address.")
    return address


def _subnet_of(segment: Segment, address: IPInterface, text: str) -> IPNetwork | None:
    """None: the segment has no subnets, and any address goes."""
    if not segment.subnets:
        return None
    for subnet in segment.subnets:
        if address.ip in subnet:
            return subnet
    subnets = " or ".join(map(str, segment.subnets))
    raise BadAddress(f"address {text} is outside segment '{segment.name}'. Choose one in {subnets}.")


def _in_subnet(segment: Segment, subnet: IPNetwork, address: IPInterface, text: str) -> IPInterface:
    if "/" in text and address.network.prefixlen != subnet.prefixlen:
        raise BadAddress(
            f"{text} has not the prefix length of its subnet. Write {address.ip}/{subnet.prefixlen}, or leave it out."
        )
    if address.ip in _reserved(subnet):
        raise BadAddress(
            f"{address.ip} is the network or broadcast address of subnet {subnet} of segment '{segment.name}'. "
            "Choose another."
        )
    return ip_interface(f"{address.ip}/{subnet.prefixlen}")


def _reserved(subnet: IPNetwork) -> tuple[IPAddress, ...]:
    """IPv6 has no broadcast, and its network address is the routers' anycast."""
    if subnet.max_prefixlen - subnet.prefixlen <= 1:
        return ()
    return (subnet.network_address, subnet.broadcast_address) if subnet.version == 4 else (subnet.network_address,)


def _assignable(segment: Segment, subnet: IPNetwork) -> tuple[int, int]:
    """First and last, as numbers. Where the segment does not say its gateway, the first usable address is left to one
    if there is another."""
    reserved = _reserved(subnet)
    first = int(subnet.network_address) + (subnet.network_address in reserved)
    last = int(subnet.broadcast_address) - (subnet.broadcast_address in reserved)
    return first if segment.gateways else min(first + 1, last), last


def gateways(segments: Iterable[Segment]) -> Iterator[tuple[str, str, str]]:
    """What Weir's own router has: segment, address, whose it is in words."""
    for segment in segments:
        yield from ((segment.name, str(gateway), "the gateway") for gateway in segment.gateways)


def vif_words(name: str) -> str:
    return f"VIF '{name}'"
