"""Who is answered when a packet is rejected, with what, and that nothing that arrives does harm."""

from __future__ import annotations

import struct
from ipaddress import ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ryu.lib.packet import icmp, icmpv6, tcp
from ryu.lib.packet.packet import Packet

from controller.services.rejects import answer_to
from tests.support import frames
from tests.support.frames import BROADCAST, ICMP, ICMP6, SCTP, TCP, UDP, ether, ipv4, ipv6, transport

A_MAC, B_MAC = "02:00:00:00:00:0a", "02:00:00:00:00:0b"
A4, B4, A6, B6 = "10.0.0.1", "10.0.0.2", "fd00::1", "fd00::2"
IPV4, IPV6 = 0x0800, 0x86DD
FIN, SYN, RST, ACK = 1, 2, 4, 16
MORE_FRAGMENTS = 0x2000
EXTENSIONS = {  # next header, bytes after the two of next header and length
    "hop-by-hop": (0, bytes([0]) + bytes(6)),
    "routing": (43, bytes([1]) + bytes(14)),
    "first fragment": (44, bytes([0]) + b"\0\1" + bytes(4)),
    "authentication": (51, bytes([2]) + bytes(14)),
    "destination": (60, bytes([2]) + bytes(22)),
}


def frame4(protocol: int, payload: bytes, source: str = A4, destination: str = B4, fragment: int = 0) -> bytes:
    return ether(A_MAC, B_MAC, IPV4, ipv4(source, destination, protocol, payload, fragment))


def frame6(protocol: int, payload: bytes, source: str = A6, destination: str = B6) -> bytes:
    return ether(A_MAC, B_MAC, IPV6, ipv6(source, destination, protocol, payload))


def frame(family: int, protocol: int, payload: bytes) -> bytes:
    return frame4(protocol, payload) if family == 4 else frame6(protocol, payload)


def segment(
    flags: int, sequence: int = 1000, acknowledged: int = 2000, data: bytes = b"", options: bytes = b""
) -> bytes:
    header = struct.pack("!HHIIBBHHH", 1234, 80, sequence, acknowledged, (20 + len(options)) << 2, flags, 100, 0, 0)
    return header + options + data


def extended(protocol: int, payload: bytes, *names: str) -> bytes:
    """An IPv6 frame with extension headers."""
    for name in reversed(names):
        number, rest = EXTENSIONS[name]
        payload, protocol = bytes([protocol]) + rest + payload, number
    return frame6(protocol, payload)


def summed(data: bytes) -> int:
    """The sum of RFC 1071, 0xFFFF over what holds its right checksum."""
    data += b"\0" * (len(data) % 2)
    total = sum(int.from_bytes(data[at : at + 2], "big") for at in range(0, len(data), 2))
    return total % 0xFFFF or 0xFFFF


def checked(answer: bytes | None) -> tuple[int, bytes]:
    """Protocol and payload of an answer that is well-formed and goes from B to A."""
    assert answer is not None
    assert answer[:12] == frames.mac_bytes(A_MAC) + frames.mac_bytes(B_MAC)
    packet = answer[14:]
    if answer[12:14] == b"\x08\x00":
        size, hops, protocol, source, destination = struct.unpack("!2xH4xBB2x4s4s", packet[:20])
        body, covers = packet[20:], b""
        assert packet[0] == 0x45 and summed(packet[:20]) == 0xFFFF and size == len(packet)
    else:
        size, protocol, hops, source, destination = struct.unpack("!4xHBB16s16s", packet[:40])
        body, covers = packet[40:], b"6"
        assert answer[12:14] == b"\x86\xdd" and packet[0] == 0x60 and size == len(packet) - 40
    ends = (A4, B4) if len(source) == 4 else (A6, B6)
    assert (destination, source) == tuple(ip_address(end).packed for end in ends) and hops == 64
    pseudo_header = source + destination + struct.pack("!II", len(body), protocol)
    assert summed((pseudo_header if protocol == TCP or covers else b"") + body) == 0xFFFF
    return protocol, body


@pytest.mark.parametrize("family", [4, 6])
@pytest.mark.parametrize(
    ("rejected", "expected"),
    [
        (segment(SYN), (0, 1001, RST | ACK)),
        (segment(SYN, data=b"early"), (0, 1006, RST | ACK)),
        (segment(SYN, options=b"\2\4\5\xb4" + b"\1" * 8), (0, 1001, RST | ACK)),
        (segment(SYN, sequence=0xFFFFFFFF), (0, 0, RST | ACK)),
        (segment(FIN, data=b"last"), (0, 1005, RST | ACK)),
        (segment(0), (0, 1000, RST | ACK)),
        (segment(ACK), (2000, 0, RST)),
        (segment(SYN | ACK), (2000, 0, RST)),
        (segment(ACK | FIN, data=b"data"), (2000, 0, RST)),
    ],
)
def test_a_segment_is_reset_as_by_a_closed_port(family: int, rejected: bytes, expected: tuple[int, int, int]) -> None:
    protocol, body = checked(answer_to(frame(family, TCP, rejected)))
    assert protocol == TCP and len(body) == 20
    source, destination, sequence, acknowledged, offset, flags = struct.unpack("!HHIIBB", body[:14])
    assert (source, destination, offset) == (80, 1234, 5 << 4)
    assert (sequence, acknowledged, flags) == expected


@pytest.mark.parametrize(
    ("protocol", "payload"),
    [
        (UDP, frames.udp(1234, 53)),
        (UDP, frames.udp(1234, 53, b"odd")),
        (ICMP, frames.icmp(8, 0, bytes(4) + b"ping")),
        (ICMP, frames.icmp(13, 0, bytes(16))),
        (SCTP, bytes(12)),
        (47, b"\0\0\0\0"),
        (99, b""),
    ],
)
def test_other_ipv4_packets_are_unreachable(protocol: int, payload: bytes) -> None:
    kind, body = checked(answer_to(frame4(protocol, payload)))
    assert kind == ICMP and body[:2] == bytes([3, 13]) and body[4:8] == bytes(4)
    assert body[8:] == ipv4(A4, B4, protocol, payload)  # without the padding of the frame


@pytest.mark.parametrize(
    ("protocol", "payload"),
    [
        (UDP, frames.udp(1234, 53)),
        (ICMP6, frames.icmp6(A6, B6, 128, bytes(4) + b"ping")),
        (ICMP6, frames.icmp6(A6, B6, 139, bytes(12))),
        (SCTP, bytes(12)),
        (50, bytes(20)),
        (59, b""),
    ],
)
def test_other_ipv6_packets_are_unreachable(protocol: int, payload: bytes) -> None:
    kind, body = checked(answer_to(frame6(protocol, payload)))
    assert kind == ICMP6 and body[:2] == bytes([1, 1]) and body[4:8] == bytes(4)
    assert body[8:] == ipv6(A6, B6, protocol, payload)


def test_long_packets_are_quoted_in_part() -> None:
    long = frames.udp(1, 2, b"x" * 1400)
    _, body4 = checked(answer_to(frame4(UDP, long)))
    _, body6 = checked(answer_to(frame6(UDP, long)))
    assert (len(body4), len(body6)) == (576 - 20, 1280 - 40)
    assert body4[8:] == ipv4(A4, B4, UDP, long)[: 576 - 28] and body6[8:] == ipv6(A6, B6, UDP, long)[: 1280 - 48]


@pytest.mark.parametrize("family", [4, 6])
def test_a_frame_whose_payload_is_cut_is_answered_by_its_headers(family: int) -> None:
    header = 14 + (20 if family == 4 else 40)
    cut = frame(family, TCP, segment(SYN, data=b"x" * 1000))[: header + 20]
    _, body = checked(answer_to(cut))
    assert struct.unpack("!II", body[4:12]) == (0, 2001)
    cut = frame(family, UDP, frames.udp(1, 2, b"x" * 1000))[: header + 8]
    _, body = checked(answer_to(cut))
    assert body[8:] == cut[14:]


@pytest.mark.parametrize("names", [(name,) for name in EXTENSIONS] + [tuple(EXTENSIONS)], ids="+".join)
def test_extension_headers_are_walked(names: tuple[str, ...]) -> None:
    protocol, body = checked(answer_to(extended(TCP, segment(SYN, data=b"abc"), *names)))
    assert protocol == TCP and struct.unpack("!II", body[4:12]) == (0, 1004)
    rejected = extended(UDP, frames.udp(1, 2), *names)
    protocol, body = checked(answer_to(rejected))
    assert protocol == ICMP6 and rejected[14:].startswith(body[8:]) and body.endswith(b"weir")
    assert answer_to(extended(ICMP6, frames.icmp6(A6, B6, 1, bytes(48)), *names)) is None


def test_a_first_fragment_is_answered_and_the_others_are_not() -> None:
    payload = frames.udp(1, 2, bytes(64))
    assert answer_to(frame4(UDP, payload, fragment=MORE_FRAGMENTS)) is not None
    assert answer_to(frame4(UDP, payload, fragment=MORE_FRAGMENTS | 8)) is None
    assert answer_to(frame4(TCP, segment(SYN), fragment=8)) is None
    assert answer_to(frame6(44, bytes([UDP, 0]) + b"\0\x08" + bytes(4) + payload)) is None
    assert (
        answer_to(frame6(60, bytes([44, 0]) + bytes(6) + bytes([TCP, 0]) + b"\1\0" + bytes(4) + segment(SYN))) is None
    )


def with_options(options: bytes, payload: bytes) -> bytes:
    packet = ipv4(A4, B4, TCP, options + payload)
    return ether(A_MAC, B_MAC, IPV4, bytes([0x40 | 5 + len(options) // 4]) + packet[1:])


def test_ipv4_options_are_passed_over() -> None:
    _, body = checked(answer_to(with_options(b"\1" * 8, segment(SYN, data=b"abc"))))
    assert struct.unpack("!II", body[4:12]) == (0, 1004)


UDP4, UDP6 = transport(A4, B4, UDP, (1, 2), b"weir"), transport(A6, B6, UDP, (1, 2), b"weir")
UNANSWERED = {
    "ARP": ether(A_MAC, B_MAC, 0x0806, frames.arp(1, A_MAC, A4, B4)),
    "tagged": ether(A_MAC, B_MAC, IPV4, ipv4(A4, B4, UDP, UDP4), vlan=5),
    "to a broadcast MAC": ether(A_MAC, BROADCAST, IPV4, ipv4(A4, B4, UDP, UDP4)),
    "to a multicast MAC": ether(A_MAC, "33:33:00:00:00:01", IPV6, ipv6(A6, B6, UDP, UDP6)),
    "from a multicast MAC": ether("03:00:00:00:00:01", B_MAC, IPV4, ipv4(A4, B4, UDP, UDP4)),
    "reset": frame4(TCP, segment(RST)),
    "reset with ACK": frame6(TCP, segment(RST | ACK)),
    "wrong version in IPv4": ether(A_MAC, B_MAC, IPV4, ipv6(A6, B6, UDP, UDP6)),
    "wrong version in IPv6": ether(A_MAC, B_MAC, IPV6, ipv4(A4, B4, UDP, UDP4).ljust(60, b"\0")),
    "short IPv4 header": ether(A_MAC, B_MAC, IPV4, b"\x44" + ipv4(A4, B4, UDP, UDP4)[1:]),
    "IPv4 shorter than its header": ether(A_MAC, B_MAC, IPV4, b"\x45\0\0\x13" + ipv4(A4, B4, UDP, UDP4)[4:]),
    "IPv4 options beyond the end": ether(A_MAC, B_MAC, IPV4, b"\x4f" + ipv4(A4, B4, UDP, UDP4)[1:]),
    "TCP header of 16 bytes": frame4(TCP, segment(SYN)[:12] + b"\x40" + segment(SYN)[13:]),
    "TCP header beyond the end": frame4(TCP, segment(SYN)[:12] + b"\xf0" + segment(SYN)[13:]),
    "TCP header cut short": frame4(TCP, segment(SYN)[:19]),
    "UDP header cut short": frame4(UDP, UDP4[:7]),
    "echo request cut short": frame6(ICMP6, frames.icmp6(A6, B6, 128, b"")),
    "extension header cut short": frame6(0, bytes([60, 9]) + bytes(6)),
    "extension header without end": frame6(0, bytes([0, 0]) + bytes(6)),
    **{f"ICMP error {kind}": frame4(ICMP, frames.icmp(kind, 0, bytes(32))) for kind in (3, 4, 5, 11, 12)},
    **{f"ICMPv6 error {kind}": frame6(ICMP6, frames.icmp6(A6, B6, kind, bytes(52))) for kind in (1, 2, 3, 4, 127, 137)},
    **{
        f"IPv4 from {end}": frame4(UDP, UDP4, source=end)
        for end in ("0.0.0.0", "0.0.0.1", "127.0.0.1", "224.0.0.1", "240.0.0.1", "255.255.255.255")
    },
    **{
        f"IPv4 to {end}": frame4(UDP, UDP4, destination=end)
        for end in ("0.0.0.0", "127.0.0.1", "239.1.1.1", "255.255.255.255")
    },
    **{f"IPv6 from {end}": frame6(UDP, UDP6, source=end) for end in ("::", "::1", "ff02::1")},
    **{f"IPv6 to {end}": frame6(UDP, UDP6, destination=end) for end in ("::", "::1", "ff0e::1")},
}


@pytest.mark.parametrize("why", UNANSWERED)
def test_what_is_not_answered(why: str) -> None:
    assert answer_to(UNANSWERED[why]) is None


ANSWERED = [
    frame(family, protocol, payload)
    for family in (4, 6)
    for protocol, payload in ((TCP, segment(SYN, data=b"x")), (UDP, frames.udp(1, 2)), (SCTP, bytes(12)))
] + [extended(TCP, segment(ACK), *EXTENSIONS), with_options(b"\1" * 8, segment(SYN))]


@pytest.mark.parametrize("rejected", ANSWERED)
def test_headers_that_are_cut_are_not_answered(rejected: bytes) -> None:
    """At no length is there an error; and an answer never gets one."""
    answers = [answer_to(rejected[:size]) for size in range(len(rejected) + 1)]
    assert not any(answers[: 14 + 20 + 8]) and answers[-1] is not None
    assert answer_to(answers[-1]) is None


@pytest.mark.parametrize("rejected", ANSWERED)
def test_ryu_reads_the_answer(rejected: bytes) -> None:
    packet = Packet(answer_to(rejected))
    assert any(packet.get_protocol(known) for known in (tcp.tcp, icmp.icmp, icmpv6.icmpv6))


@st.composite
def damaged(draw: st.DrawFn) -> bytes:
    """A frame that would be answered, with some bytes changed and its end lost."""
    data = bytearray(draw(st.sampled_from(ANSWERED)))
    for _ in range(draw(st.integers(0, 4))):
        data[draw(st.integers(0, len(data) - 1))] = draw(st.sampled_from([0, 1, 6, 17, 43, 44, 51, 60, 0x45, 0xFF]))
    return bytes(data[: draw(st.integers(0, len(data)))])


@given(st.one_of(damaged(), st.binary(max_size=120), st.binary(max_size=120).map(lambda noise: bytes(12) + noise)))
def test_noise_is_answered_or_not_and_never_an_error(noise: bytes) -> None:
    answer = answer_to(noise)
    if answer is not None:
        assert answer[:14] == noise[6:12] + noise[:6] + noise[12:14]
        assert len(answer) <= 14 + 1280 and answer_to(answer) is None
