"""The frames that measure, and what is read of those that come back. Pure.

A question (ARP, neighbour discovery) is what every host answers and remembers nothing of: its sender has no address yet
(RFC 5227), or in IPv6 one that is nobody else's. A passer-by is answered by nobody: it waits in a queue and is thrown
away behind it. The number of a probe stands in its sender's MAC, and in the packet of a passer-by.
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address

from controller.dataplane.macs import LINK_GROUP, PROBES, link_local
from controller.dataplane.protocols import ETH_ARP, ETH_IPV4, ETH_IPV6, ICMP6

BROADCAST = 0xFFFF_FFFF_FFFF
PEERS = 0x88B5  # the type of what agents say to each other: for local experiments (IEEE 802)
MOST_NUMBER = 0xFFFF
UNNUMBERED = 0  # of answers to neighbour discovery: each number would be another neighbour for the instance

_REQUEST, _REPLY = 1, 2
_ARP = struct.Struct(">HHBBH6s4s6s4s")
_HEADER4 = struct.Struct(">BBHHHBBH4s4s")
_SOLICIT, _ADVERT = 135, 136
_SOURCE_OPTION = b"\x01\x01"
_HOPS = 255
_NO_PAYLOAD, _EXPERIMENT = 59, 253  # protocols: of IPv6, and of RFC 3692
_MULTICAST6, _SOLICITED = 0x3333_0000_0000, 0xFF02_0000_0000_0000_0000_0001_FF00_0000
_MAGIC = b"weir"
_NOTE = struct.Struct(">BxHHHQ")
_NUMBER_AT = {
    ETH_ARP: 42,  # behind the question, in what fills the frame
    ETH_IPV4: 18,  # the packet's identification
    ETH_IPV6: 16,  # the end of its flow label
    PEERS: 20,
}
_ALL_HOSTS: Mapping[int, IPv4Address | IPv6Address] = {4: IPv4Address("224.0.0.1"), 6: IPv6Address("ff02::1")}
_LEAST_FRAME = 60


@dataclass(frozen=True, slots=True)
class Note:
    """A question of an agent to another's, or the answer to one. number: of the question.

    An answer tells of the one before it, `before` (0: there was none), how long it lay at the host that gave it, from
    when it came in until the answer left: that is known only after the answer has left.
    """

    is_answer: bool
    number: int
    before: int = 0
    kept_ns: int = 0


def host_macs(system_id: str, chassis: Iterable[str]) -> dict[str, int]:
    """By which each host of a system asks, and is asked, on its uplinks. chassis: the names of all, in any order.

    Each ends in a hash of the system's id and its name; where two names have the same, in the next that is free.
    """
    taken = dict[int, str]()
    for name in sorted(chassis):
        number = int.from_bytes(hashlib.sha256(f"{system_id}/{name}".encode()).digest()[:2], "big") % MOST_NUMBER + 1
        while number in taken:
            number = number % MOST_NUMBER + 1
        taken[number] = name
    return {name: PROBES[0] | number for number, name in taken.items()}


def question(number: int, address: IPv4Address | IPv6Address, mac: int = BROADCAST, asker: int | None = None) -> bytes:
    """Asks whoever has the address, and perhaps this MAC, for it. number: 1..MOST_NUMBER.

    asker: a MAC; None: the number's own in IPv4, which the answer then tells; in IPv6 that of no number.
    """
    if address.version == 4:
        sender, nobody = _mac(PROBES[0] | number if asker is None else asker), bytes(4)
        body = _ARP.pack(1, ETH_IPV4, 6, 4, _REQUEST, sender, nobody, bytes(6), address.packed)
        return _framed(mac, sender, ETH_ARP, body + number.to_bytes(2, "big"))
    own = PROBES[0] | UNNUMBERED if asker is None else asker
    sender, source = _mac(own), IPv6Address(link_local(own))
    receiver = address
    if mac == BROADCAST:
        receiver = IPv6Address(_SOLICITED | int(address) & 0xFF_FFFF)
        mac = _MULTICAST6 | int(receiver) & 0xFFFF_FFFF
    solicit = address.packed + _SOURCE_OPTION + sender
    head = struct.pack(">BBHI", _SOLICIT, 0, 0, 0)
    pseudo = source.packed + receiver.packed + struct.pack(">II", len(head + solicit), ICMP6)
    head = struct.pack(">BBHI", _SOLICIT, 0, _checksum(pseudo + head + solicit), 0)
    packet = struct.pack(">IHBB", 6 << 28 | number, len(head + solicit), ICMP6, _HOPS) + source.packed + receiver.packed
    return _framed(mac, sender, ETH_IPV6, packet + head + solicit)


def passer_by_inwards(number: int, code_point: int) -> bytes:
    """What waits in the queues of a VIF's port, and then reaches an instance that has no such MAC."""
    sender = PROBES[0] | number
    return _passer_by(number, (PROBES[0], sender), IPv4Address(0), code_point)


def passer_by_outwards(number: int, mac: int, source: IPv4Address | IPv6Address, code_point: int) -> bytes:
    """What the queues of an uplink take for a frame of the VIF with this MAC and address, and no switch passes on."""
    return _passer_by(number, (LINK_GROUP, mac), source, code_point)


def _passer_by(number: int, macs: tuple[int, int], source: IPv4Address | IPv6Address, code_point: int) -> bytes:
    everybody = _ALL_HOSTS[source.version].packed
    if source.version == 6:
        first = 6 << 28 | code_point << 22 | number
        packet = struct.pack(">IHBB", first, 0, _NO_PAYLOAD, 1) + source.packed + everybody
        return _framed(macs[0], _mac(macs[1]), ETH_IPV6, packet)
    head = 0x45, code_point << 2, _HEADER4.size, number, 0, 1, _EXPERIMENT
    checksum = _checksum(_HEADER4.pack(*head, 0, source.packed, everybody))
    return _framed(macs[0], _mac(macs[1]), ETH_IPV4, _HEADER4.pack(*head, checksum, source.packed, everybody))


def to_peer(wire: int, note: Note, own_mac: int, peer_mac: int) -> bytes:
    """What the agents of two hosts tell each other. wire: the number by which the kernel's stamps of it are known."""
    fields = note.is_answer, wire, note.number, note.before, min(note.kept_ns, (1 << 64) - 1)
    return _framed(peer_mac, _mac(own_mac), PEERS, _MAGIC + _NOTE.pack(*fields))


def from_peer(frame: bytes) -> tuple[int, Note] | None:
    """Who sent it, and what it says. None: it is none of these."""
    body = frame[14:]
    if len(frame) < _LEAST_FRAME or frame[12:14] != PEERS.to_bytes(2, "big") or not body.startswith(_MAGIC):
        return None
    is_answer, _, number, before, kept_ns = _NOTE.unpack_from(body, len(_MAGIC))
    return int.from_bytes(frame[6:12], "big"), Note(bool(is_answer), number, before, kept_ns)


def tagged(frame: bytes, vlan: int | None) -> bytes:
    return frame if vlan is None else frame[:12] + b"\x81\0" + vlan.to_bytes(2, "big") + frame[12:]


def number_sent(frame: bytes) -> int | None:
    """The number of a probe as it was sent. None: it is none, or shorter than any."""
    if frame[12:14] == b"\x81\0":
        frame = frame[:12] + frame[16:]
    at = _NUMBER_AT.get(int.from_bytes(frame[12:14], "big"))
    return None if at is None or len(frame) < _LEAST_FRAME else int.from_bytes(frame[at : at + 2], "big")


def number_answered(frame: bytes) -> int | None:
    """The number of the probe that the frame answers, UNNUMBERED in IPv6. None: it answers none."""
    number = _number(frame[:6])
    eth_type = int.from_bytes(frame[12:14], "big")
    if eth_type == ETH_ARP:
        return number if len(frame) >= 42 and frame[20:22] == b"\0\x02" else None
    is_advert = eth_type == ETH_IPV6 and len(frame) >= 78 and frame[20] == ICMP6 and frame[54] == _ADVERT
    return number if is_advert else None


def _number(mac: bytes) -> int | None:
    value = int.from_bytes(mac, "big")
    return value & MOST_NUMBER if value & PROBES[1] == PROBES[0] else None


def _framed(receiver: int, sender: bytes, eth_type: int, body: bytes) -> bytes:
    return (_mac(receiver) + sender + eth_type.to_bytes(2, "big") + body).ljust(_LEAST_FRAME, b"\0")


def _mac(value: int) -> bytes:
    return value.to_bytes(6, "big")


def _checksum(data: bytes) -> int:
    """Of the internet protocols (RFC 1071); data: of an even length."""
    total: int = sum(struct.unpack(f">{len(data) // 2}H", data))
    total = (total & 0xFFFF) + (total >> 16)
    return ~(total + (total >> 16)) & 0xFFFF
