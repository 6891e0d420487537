"""VIFs as rules see them, who is where, and first packets, from short texts."""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import ip_address

from policies.identity import Identities, Party
from policies.model import Direction
from policies.semantics import Packet
from tests.support.frames import ICMP, ICMP6, SCTP, TCP, UDP

IN, OUT = Direction.INGRESS, Direction.EGRESS


def party(name: str, policy: str, *addresses: str, users: Iterable[str] = (), **labels: str) -> Party:
    """In segment "lab"."""
    found = frozenset(map(ip_address, addresses))
    return Party(name, 1, policy, "lab", found, frozenset(users), tuple(sorted(labels.items())))


def identities(*parties: Party, **at: str) -> Identities:
    """at: an address of each user who is bound to one."""
    addresses = {user: frozenset({ip_address(address)}) for user, address in at.items()}
    return Identities({one.name: one for one in parties}, addresses)


def packet(source: str, destination: str, protocol: int) -> Packet:
    return Packet(ip_address(source), ip_address(destination), protocol)


def tcp(source: str, destination: str, port: int = 80, source_port: int = 40000) -> Packet:
    return Packet(ip_address(source), ip_address(destination), TCP, source_port, port)


def udp(source: str, destination: str, port: int = 53, source_port: int = 40000) -> Packet:
    return Packet(ip_address(source), ip_address(destination), UDP, source_port, port)


def sctp(source: str, destination: str, port: int) -> Packet:
    return Packet(ip_address(source), ip_address(destination), SCTP, 40000, port)


def icmp(source: str, destination: str, kind: int, code: int = 0) -> Packet:
    """ICMP or ICMPv6, as the addresses are."""
    ends = ip_address(source), ip_address(destination)
    return Packet(*ends, ICMP if ends[0].version == 4 else ICMP6, icmp_type=kind, icmp_code=code)
