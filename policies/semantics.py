"""The meaning of rules, said plainly: what happens to the first packet of a connection? Pure.

This is the oracle that compiled flow tables are tested against, so it shares nothing with the compiler.
"""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address

from policies.model import Action, Direction, IPNetwork, PolicySet, Rule, ServiceMatch
from policies.resolve import resolve

_ICMP, _ICMP6 = 1, 58


@dataclass(frozen=True, slots=True)
class Packet:
    """The first packet of a connection. Ports of protocols that have them, type and code of ICMP; else None."""

    source: IPv4Address | IPv6Address
    destination: IPv4Address | IPv6Address
    protocol: int
    source_port: int | None = None
    destination_port: int | None = None
    icmp_type: int | None = None
    icmp_code: int | None = None


@dataclass(frozen=True, slots=True)
class Verdict:
    action: Action
    rule: Rule | None  # None: no rule matched, `unmatched` decided


def judge(policies: PolicySet, leaf_path: str, direction: Direction, packet: Packet) -> Verdict:
    """What the leaf's rules say about the packet in this direction: the first rule that matches, else `unmatched`.

    Raises KeyError when no node has this path.
    """
    resolved = resolve(policies, leaf_path)
    for rule in resolved.rules:
        if matches(rule, direction, packet):
            return Verdict(rule.action, rule)
    return Verdict(resolved.unmatched, None)


def matches(rule: Rule, direction: Direction, packet: Packet) -> bool:
    return (
        direction in rule.directions
        and _within(packet.source, rule.sources)
        and _within(packet.destination, rule.destinations)
        and any(_is_service(service, packet) for service in rule.services)
    )


def _within(address: IPv4Address | IPv6Address, networks: tuple[IPNetwork, ...] | None) -> bool:
    return networks is None or any(address.version == n.version and address in n for n in networks)


def _is_service(service: ServiceMatch, packet: Packet) -> bool:
    if service.protocol is None:
        return True
    if service.protocol != packet.protocol:
        return False
    version = packet.source.version
    if (service.protocol == _ICMP and version != 4) or (service.protocol == _ICMP6 and version != 6):
        return False
    return (
        _in_range(packet.destination_port, service.ports)
        and _in_range(packet.source_port, service.source_ports)
        and service.icmp_type in (None, packet.icmp_type)
        and service.icmp_code in (None, packet.icmp_code)
    )


def _in_range(port: int | None, ports: tuple[int, int] | None) -> bool:
    return ports is None or (port is not None and ports[0] <= port <= ports[1])
