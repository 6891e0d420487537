"""Texts of addresses and prefixes. Pure."""

from __future__ import annotations

import ipaddress
import re

from policies.errors import BadValue
from policies.model import IPNetwork
from policies.wording import quoted

_PREFIX = re.compile(r"([0-9A-Fa-f.:]{2,45})(?:/([0-9]{1,3}))?")
_LENGTH = {4: 32, 6: 128}


def network(text: str) -> IPNetwork:
    """An address or a prefix; an address is the prefix of full length. Raises BadValue."""
    written = _PREFIX.fullmatch(text)
    try:
        address = ipaddress.ip_address(written[1] if written else "")
    except ValueError:
        raise BadValue(
            f"{quoted(text)} is not an address or prefix", "Write one such as 10.0.0.1, 10.0.0.0/8 or fd00::/64"
        ) from None
    length = int(written[2]) if written and written[2] else _LENGTH[address.version]
    if length > _LENGTH[address.version]:
        raise BadValue(
            f"{quoted(text)} has a prefix longer than {_LENGTH[address.version]} bits",
            f"Write a length from 0 to {_LENGTH[address.version]}",
        )
    found = ipaddress.ip_network((address, length), strict=False)
    if found.network_address != address:
        raise BadValue(
            f"{quoted(text)} has bits beyond its prefix length",
            f"Write '{found}' for the network or '{address}' for the one address",
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
