"""Packets by hypothesis for the cast of tests.support.random_policies, and Ethernet frames of packets, whole and right.

Left out: what no rule can allow, as connection tracking calls it invalid (port 0, an error or a reply as a first
packet), and what skips the policy (neighbour discovery, DHCP, IGMP, MLD). ICMP that connection tracking does not follow
is drawn: `reply` knows none.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, replace
from ipaddress import ip_address

from hypothesis import strategies as st

from policies.identity import Party
from policies.model import IPAddress
from policies.semantics import Packet
from tests.support.frames import BROADCAST, ICMP, ICMP6, SCTP, SYN, TCP, UDP, checksum, ether
from tests.support.random_policies import ELSEWHERE, HERE, OFFICE, OUTSIDE, PORTS, Case

RST, ACK = 4, 16
ICMP_ID, SEQUENCE = 0x5EED, 1
QUERIES = {(ICMP, 8): 0, (ICMP, 13): 14, (ICMP6, 128): 129}  # (protocol, type) -> type of the reply
UNTRACKED = {ICMP: (9, 10, 40), ICMP6: (200, 201)}  # types that connection tracking does not follow
_ERRORS = {(ICMP, 3), (ICMP6, 1)}
WITH_PORTS = (TCP, UDP, SCTP)
OTHERS = (47, 50, 89, 253)  # of no ports, and extension headers of neither family
EXTENSIONS = (43, 44, 51, 60)  # extension headers of IPv6, mere numbers in IPv4; of 0 Open vSwitch marks no packet

_IPV6_FRAGMENT = 44
_MORE = 0x2000
_ETHERNET = 14


@dataclass(frozen=True, slots=True)
class Trip:
    """A first packet and where it goes from and to; None: outside. At most one end is outside."""

    sender: Party | None
    receiver: Party | None
    packet: Packet

    def __repr__(self) -> str:
        """To be read where a law fails."""
        return f"<{_name(self.sender)} to {_name(self.receiver)}: {_words(self.packet)}>"


@dataclass(frozen=True, slots=True)
class Flood:
    """A packet to a whole segment. receivers: everyone there but the sender; None: outside."""

    sender: Party | None
    receivers: tuple[Party | None, ...]
    packet: Packet
    mac: str  # that it is sent to

    def __repr__(self) -> str:
        return f"<{_name(self.sender)} to {', '.join(map(_name, self.receivers))} by {self.mac}: {_words(self.packet)}>"


def _name(party: Party | None) -> str:
    return "the outside" if party is None else party.name


def _words(packet: Packet) -> str:
    """protocol 6 10.0.0.1 > 10.0.0.2 80 > 443"""
    ends = f"protocol {packet.protocol} {packet.source} > {packet.destination}"
    if packet.icmp_type is not None:
        return f"{ends} type {packet.icmp_type} code {packet.icmp_code}"
    return ends if packet.source_port is None else f"{ends} {packet.source_port} > {packet.destination_port}"


@dataclass(frozen=True, slots=True)
class TcpPart:
    flags: int
    sequence: int
    acknowledged: int


# A connection from its first packet on: OPEN, ANSWER (in the reply), CONFIRM, then data of either side, or a reset.
OPEN, ANSWER, CONFIRM = TcpPart(SYN, 1000, 0), TcpPart(SYN | ACK, 5000, 1001), TcpPart(ACK, 1001, 5001)
ANSWER_DATA, RESET = TcpPart(ACK, 5001, 1001), TcpPart(RST | ACK, 1001, 5001)

_PORT = st.sampled_from([*PORTS, 68, 546])  # with those of DHCP clients
_CODE = st.sampled_from([0, 0, 0, 1])
_TO_ALL = {
    4: [*map(ip_address, ("224.0.0.251", "239.129.2.3", "255.255.255.255", "10.0.0.255", "10.1.0.255"))],
    6: [*map(ip_address, ("ff02::fb", "ff02::1", "ff0e::1234:5678"))],
}
_OUTSIDE = {version: [a for a in map(ip_address, OUTSIDE) if a.version == version] for version in (4, 6)}


@st.composite
def trips(draw: st.DrawFn, case: Case) -> Trip:
    """Between two VIFs of one segment on this host, or one of the bridged segment and the outside.

    A sender has the address that it says; what comes from outside may have that of a VIF elsewhere. One in eight is
    sent to an address that the receiver does not have.
    """
    here = [party for party in case.parties if party.name in HERE]
    party = draw(st.sampled_from(here))
    peers: list[Party | None] = [other for other in here if other.segment == party.segment and other != party]
    peer = draw(st.sampled_from([*peers, None, None] if party.segment == OFFICE else peers))
    version = draw(st.sampled_from([4, 6]))
    strangers = [*_OUTSIDE[version], *(a for p in case.parties if p.name in ELSEWHERE for a in _own(p, version))]
    own = draw(st.sampled_from(_own(party, version)))
    other = draw(st.sampled_from(strangers if peer is None else _own(peer, version)))
    if draw(st.booleans()):
        to = other if draw(st.integers(0, 7)) else draw(st.sampled_from(strangers))
        return Trip(party, peer, draw(packets(own, to)))
    to = own if draw(st.integers(0, 7)) else draw(st.sampled_from(strangers))
    return Trip(peer, party, draw(packets(other, to)))


@st.composite
def floods(draw: st.DrawFn, case: Case) -> Flood:
    """To a whole segment, from one of its VIFs or from outside; seldom to an address that is one VIF's alone."""
    here = [party for party in case.parties if party.name in HERE]
    party = draw(st.sampled_from(here))
    sender = None if party.segment == OFFICE and not draw(st.integers(0, 2)) else party
    version = draw(st.sampled_from([4, 6]))
    strangers = [*_OUTSIDE[version], *(a for p in case.parties if p.name in ELSEWHERE for a in _own(p, version))]
    source = draw(st.sampled_from(strangers if sender is None else _own(sender, version)))
    own = [draw(st.sampled_from(_own(one, version))) for one in here if one.segment == party.segment]
    to = draw(st.sampled_from([*_TO_ALL[version] * 3, own[-1]]))
    drawn = draw(packets(source, to))
    if drawn.icmp_type is not None and draw(st.booleans()):
        drawn = replace(drawn, icmp_type=draw(st.sampled_from(UNTRACKED[drawn.protocol])))
    receivers: list[Party | None] = [one for one in here if one.segment == party.segment and one != sender]
    if sender is not None and sender.segment == OFFICE:
        receivers.append(None)
    return Flood(sender, tuple(receivers), drawn, flood_mac(to))


def flood_mac(to: IPAddress) -> str:
    """What frames to a multicast address are sent to; for any other address, the broadcast."""
    if not to.is_multicast:
        return BROADCAST
    octets = to.packed[-4:] if to.version == 6 else bytes([0x5E, to.packed[1] & 0x7F, *to.packed[2:]])
    return (b"\x33\x33" if to.version == 6 else b"\x01\x00").hex(":") + ":" + octets.hex(":")


@st.composite
def packets(draw: st.DrawFn, source: IPAddress, destination: IPAddress) -> Packet:
    """Of any protocol; ports at and beside the bounds of the ranges that the random policies use."""
    icmp = ICMP if source.version == 4 else ICMP6
    others = [*OTHERS, *EXTENSIONS, 51] if source.version == 4 else OTHERS
    protocol = draw(st.sampled_from([*(TCP, UDP, icmp) * 4, *(SCTP,) * 2, *others]))
    if protocol in WITH_PORTS:
        return Packet(source, destination, protocol, draw(_PORT), draw(_PORT))
    if protocol == icmp:
        kinds = [kind for of, kind in QUERIES if of == icmp]
        kind = draw(st.sampled_from([*kinds, *kinds, *UNTRACKED[icmp]]))
        return Packet(source, destination, protocol, icmp_type=kind, icmp_code=draw(_CODE))
    return Packet(source, destination, protocol)


def reply(packet: Packet) -> Packet | None:
    """What answers it; None for ICMP that connection tracking does not follow: no query, or one of a code but 0."""
    kind = packet.icmp_type
    if kind is not None:
        kind = QUERIES.get((packet.protocol, kind)) if packet.icmp_code == 0 else None
        if kind is None:
            return None
    return replace(
        packet,
        source=packet.destination,
        destination=packet.source,
        source_port=packet.destination_port,
        destination_port=packet.source_port,
        icmp_type=kind,
    )


def frame(
    packet: Packet, source_mac: str, destination_mac: str, dscp: int = 0, tcp: TcpPart = OPEN, payload: bytes = b""
) -> bytes:
    """An untagged Ethernet frame of at least 60 bytes. SCTP is an INIT chunk, whatever the payload."""
    body = _body(packet, tcp, payload)
    ends = packet.source.packed + packet.destination.packed
    if packet.source.version == 4:
        head = struct.pack("!BBHHHBB", 0x45, dscp << 2, 20 + len(body), 0, 0, 64, packet.protocol)
        return ether(source_mac, destination_mac, 0x0800, _with_checksum4(head, ends) + body)
    head = struct.pack("!IHBB", 6 << 28 | dscp << 22, len(body), packet.protocol, 64)
    return ether(source_mac, destination_mac, 0x86DD, head + ends + body)


def error(about: bytes, source: IPAddress, dscp: int = 0) -> bytes:
    """What tells the sender of an untagged frame that it did not arrive, says `source`.

    In IPv4 it quotes the least, the header and 8 bytes; in IPv6 the packet, as Open vSwitch 3.1 wants it.
    """
    there, back, ip = about[:6].hex(":"), about[6:12].hex(":"), about[_ETHERNET:]
    if source.version == 4:  # the host, or the address, is unreachable
        told = Packet(source, ip_address(ip[12:16]), ICMP, icmp_type=3, icmp_code=1)
        return frame(told, there, back, dscp, payload=ip[:28])
    told = Packet(source, ip_address(ip[8:24]), ICMP6, icmp_type=1, icmp_code=3)
    return frame(told, there, back, dscp, payload=ip)


def tagged(whole: bytes, vlan: int | None) -> bytes:
    """The frame with a tag of that VLAN (1..4094); None: as it is."""
    return whole if vlan is None else whole[:12] + struct.pack("!HH", 0x8100, vlan) + whole[12:]


def fragments(whole: bytes, size: int, number: int = 1) -> list[bytes]:
    """An untagged frame cut so that each piece carries `size` bytes of its IP payload, the last one what is left.

    number: 1..65535, tells its fragments from those of another packet between the same addresses.
    Open vSwitch takes no IPv4 packet below 1,200 bytes and no IPv6 packet below 1,280 for a fragment, but the last.
    Raises ValueError for a size that is no multiple of 8.
    """
    if size <= 0 or size % 8:
        raise ValueError(f"{size} bytes of payload: a fragment's is a multiple of 8")
    head, ip = whole[:_ETHERNET], whole[_ETHERNET:]
    if ip[0] >> 4 == 4:
        fixed, carried, piece = ip[:20], ip[20 : struct.unpack("!H", ip[2:4])[0]], _piece4
    else:
        fixed, carried, piece = ip[:40], ip[40 : 40 + struct.unpack("!H", ip[4:6])[0]], _piece6
    pieces = []
    for start in range(0, len(carried), size):
        offset = start | (start + size < len(carried))
        pieces.append((head + piece(fixed, carried[start : start + size], offset, number)).ljust(60, b"\0"))
    return pieces


def _piece4(fixed: bytes, part: bytes, offset: int, number: int) -> bytes:
    """offset: in bytes, plus 1 when more follow."""
    more = _MORE if offset & 1 else 0
    head = fixed[:2] + struct.pack("!HHH", 20 + len(part), number, offset >> 3 | more) + fixed[8:10]
    return _with_checksum4(head, fixed[12:]) + part


def _piece6(fixed: bytes, part: bytes, offset: int, number: int) -> bytes:
    """offset: likewise."""
    head = fixed[:4] + struct.pack("!HB", 8 + len(part), _IPV6_FRAGMENT) + fixed[7:]
    return head + struct.pack("!BBHI", fixed[6], 0, offset, number) + part


def _with_checksum4(head: bytes, ends: bytes) -> bytes:
    """head: the first 10 bytes. ends: both addresses."""
    return head + struct.pack("!H", checksum(head + b"\0\0" + ends)) + ends


def _body(packet: Packet, tcp: TcpPart, payload: bytes) -> bytes:
    ports = packet.source_port, packet.destination_port
    if packet.protocol == TCP:
        head = struct.pack("!HHIIBBHHH", *ports, tcp.sequence, tcp.acknowledged, 5 << 4, tcp.flags, 65535, 0, 0)
        return _with_checksum(head + payload, 16, _pseudo(packet, len(head + payload)))
    if packet.protocol == UDP:
        datagram = struct.pack("!HHHH", *ports, 8 + len(payload), 0) + payload
        return _with_checksum(datagram, 6, _pseudo(packet, len(datagram)))
    if packet.protocol in (ICMP, ICMP6):
        rest = (0, 0) if (packet.protocol, packet.icmp_type) in _ERRORS else (ICMP_ID, SEQUENCE)
        message = struct.pack("!BBHHH", packet.icmp_type, packet.icmp_code, 0, *rest) + payload
        pseudo = _pseudo(packet, len(message)) if packet.protocol == ICMP6 else b""
        return _with_checksum(message, 2, pseudo)
    if packet.protocol == SCTP:
        return _sctp_init(packet)
    return payload


def _sctp_init(packet: Packet) -> bytes:
    """An INIT chunk: what opens an association. Its checksum is the one number here with the low byte first."""
    head = struct.pack("!HHI", packet.source_port, packet.destination_port, 0)
    chunk = struct.pack("!BBHIIHHI", 1, 0, 20, 0x5EED, 65535, 1, 1, 1)
    return head + struct.pack("<I", crc32c(head + bytes(4) + chunk)) + chunk


def _pseudo(packet: Packet, length: int) -> bytes:
    """What the checksum covers beside the message: of both families, as it comes to the same sum."""
    return packet.source.packed + packet.destination.packed + struct.pack("!II", length, packet.protocol)


def _with_checksum(message: bytes, at: int, pseudo: bytes) -> bytes:
    """The message with the checksum put into its two bytes at `at`; 0, which means none in UDP, as its other form."""
    return message[:at] + struct.pack("!H", checksum(pseudo + message) or 0xFFFF) + message[at + 2 :]


def _own(party: Party, version: int) -> list[IPAddress]:
    return sorted(address for address in party.addresses if address.version == version)


def crc32c(data: bytes) -> int:
    """The Castagnoli checksum of SCTP (RFC 9260, appendix A)."""
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82F63B78 if crc & 1 else 0)
    return crc ^ 0xFFFFFFFF
