"""Texts of addresses and prefixes. Pure."""

from __future__ import annotations

import ipaddress
import re

from policies.errors import BadValue
from policies.model import IPAddress, IPInterface, IPNetwork
from policies.wording import quoted

_PREFIX = re.compile(r"([0-9A-Fa-f.:]{2,45})(?:/([0-9]{1,3}))?")
_LENGTH = {4: 32, 6: 128}


def network(text: str) -> IPNetwork:
    """An address or a prefix; an address is the prefix of full length. Raises BadValue."""
    at, length = _written(text, "an address or prefix", "10.0.0.1, 10.0.0.0/8 or fd00::/64")
    found = ipaddress.ip_network((at, _LENGTH[at.version] if length is None else length), strict=False)
    if found.network_address != at:
        raise BadValue(
            f"{quoted(text)} has bits beyond its prefix length",
            f"Write '{found}' for the network or '{at}' for the one address",
        )
    return found


def subnet(text: str) -> IPNetwork:
    """A prefix that instances can have addresses of. Raises BadValue."""
    found = network(text)
    if "/" not in text:
        raise BadValue(f"{quoted(text)} is an address, not a subnet", "Write it with its prefix length, as 10.0.0.0/24")
    link_local_6 = found.version == 6 and found.is_link_local
    if found.is_multicast or found.is_loopback or link_local_6 or found.prefixlen == 0:
        raise BadValue(
            f"{quoted(text)} has no addresses for instances", "Write a unicast subnet, as 10.0.0.0/24 or fd00::/64"
        )
    return found


def address(text: str) -> IPAddress:
    """One address, without a prefix length. Raises BadValue."""
    at, length = _written(text, "an address", "10.0.0.1 or fd00::1")
    if length is not None:
        raise BadValue(f"{quoted(text)} is a prefix, not an address", f"Write '{at}'")
    return at


def interface(text: str) -> IPInterface:
    """The address of an interface, with the length of its prefix. Raises BadValue."""
    at, length = _written(text, "an address with its prefix length", "192.0.2.2/24 or 2001:db8::2/64")
    if length is None:
        raise BadValue(f"{quoted(text)} has no prefix length", f"Write it, as '{at}/{24 if at.version == 4 else 64}'")
    found = ipaddress.ip_interface((at, length))
    if at.is_multicast or at.is_loopback or at.is_unspecified or not is_of_host(found.network, at):
        raise BadValue(f"{quoted(text)} is not the address of a host", "Write a unicast address of the network")
    return found


def is_of_host(network: IPNetwork, address: IPAddress) -> bool:
    """Whether an interface can have this address of the network: not its first (network, any router), not broadcast."""
    if address.version != network.version or address not in network:
        return False
    if network.num_addresses <= 2:
        return True  # point-to-point (RFC 3021, RFC 6164), or the one address
    return address != network[0] and (network.version == 6 or address != network[-1])


def first_host(network: IPNetwork) -> IPAddress:
    return network[0] if is_of_host(network, network[0]) else network[1]


def _written(text: str, what: str, examples: str) -> tuple[IPAddress, int | None]:
    """The address, and the prefix length where one is written."""
    written = _PREFIX.fullmatch(text)
    try:
        at = ipaddress.ip_address(written[1] if written else "")
    except ValueError:
        raise BadValue(f"{quoted(text)} is not {what}", f"Write one such as {examples}") from None
    length = int(written[2]) if written and written[2] else None
    if length is not None and length > _LENGTH[at.version]:
        raise BadValue(
            f"{quoted(text)} has a prefix longer than {_LENGTH[at.version]} bits",
            f"Write a length from 0 to {_LENGTH[at.version]}",
        )
    return at, length
