"""What is told of a frame."""

from __future__ import annotations

import json
import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from controller.openflow.packets import describe
from tests.support import frames
from tests.support.frames import ICMP, ICMP6, SCTP, TCP, UDP, ether, ipv4, ipv6, transport

A_MAC, B_MAC = "02:00:00:00:00:0a", "02:00:00:00:00:0b"
A4, B4, A6, B6 = "10.0.0.1", "10.0.0.2", "fd00::1", "fd00::2"
UDP4, UDP6 = transport(A4, B4, UDP, (1024, 53), b"weir"), transport(A6, B6, UDP, (1024, 53), b"weir")
PORTS = {"source_port": 1024, "destination_port": 53}


def four(protocol: int, payload: bytes, fragment: int = 0) -> bytes:
    return ether(A_MAC, B_MAC, 0x0800, ipv4(A4, B4, protocol, payload, fragment))


def six(protocol: int, payload: bytes) -> bytes:
    return ether(A_MAC, B_MAC, 0x86DD, ipv6(A6, B6, protocol, payload))


def option(following: int, units: int) -> bytes:
    """An extension header of 8 bytes and `units` more of 8."""
    return bytes([following, units]) + bytes(6 + 8 * units)


def authentication(following: int, units: int) -> bytes:
    """Of 8 bytes and `units` more of 4 (RFC 4302, 2.2)."""
    return bytes([following, units]) + bytes(6 + 4 * units)


def fragment(following: int, offset: int) -> bytes:
    return struct.pack("!BBHI", following, 0, offset << 3 | 1, 7)


def told(protocol: str, version: int = 4, **more: int) -> dict[str, object]:
    source, destination = (A4, B4) if version == 4 else (A6, B6)
    return {"protocol": protocol, "source": source, "destination": destination, **more}


@pytest.mark.parametrize(
    ("frame", "description"),
    [
        (four(TCP, transport(A4, B4, TCP, (1024, 53), b"")), told("tcp", **PORTS)),
        (four(UDP, UDP4), told("udp", **PORTS)),
        (six(UDP, UDP6), told("udp", 6, **PORTS)),
        (four(SCTP, struct.pack("!HHII", 5, 6, 0, 0)), told("sctp", source_port=5, destination_port=6)),
        (four(ICMP, frames.icmp(8, 0, bytes(4))), told("icmp", icmp_type=8, icmp_code=0)),
        (six(ICMP6, frames.icmp6(A6, B6, 128, bytes(4))), told("icmp6", 6, icmp_type=128, icmp_code=0)),
        (four(47, bytes(8)), told("ip/47")),
        (six(59, b""), told("ip/59", 6)),
        (four(UDP, UDP4, fragment=0x2000), told("udp", **PORTS)),
        (four(UDP, UDP4, fragment=0x2001), told("udp")),
        (six(0, option(60, 0) + option(43, 2) + option(UDP, 1) + UDP6), told("udp", 6, **PORTS)),
        (six(51, authentication(UDP, 4) + UDP6), told("udp", 6, **PORTS)),
        (six(51, authentication(0, 0) + option(51, 1) + authentication(UDP, 1) + UDP6), told("udp", 6, **PORTS)),
        (six(44, fragment(UDP, 0) + UDP6), told("udp", 6, **PORTS)),
        (six(44, fragment(UDP, 5) + UDP6), told("udp", 6)),
        (six(50, bytes(16)), told("ip/50", 6)),  # encrypted from here on
        (six(0, option(UDP, 200)), told("udp", 6)),  # cut short
        (ether(A_MAC, B_MAC, 0x0806, frames.arp(1, A_MAC, A4, B4)), {}),
        (ether(A_MAC, B_MAC, 0x0800, ipv4(A4, B4, UDP, UDP4), vlan=5), {}),
        (b"", {}),
    ],
)
def test_what_is_told(frame: bytes, description: dict[str, object]) -> None:
    assert describe(frame) == description


def test_ports_behind_options_of_ipv4() -> None:
    packet = ipv4(A4, B4, UDP, UDP4)
    with_options = b"\x47" + packet[1:20] + b"\x01" * 8 + packet[20:]
    assert describe(ether(A_MAC, B_MAC, 0x0800, with_options)) == told("udp", **PORTS)


WHOLE = [four(UDP, UDP4), six(UDP, UDP6), six(51, authentication(0, 3) + option(44, 1) + fragment(UDP, 0) + UDP6)]


@pytest.mark.parametrize("frame", WHOLE)
def test_a_frame_cut_anywhere_tells_as_much_as_is_there(frame: bytes) -> None:
    whole = describe(frame)
    for size in range(len(frame)):
        cut = describe(frame[:size])
        assert cut == {} or {**cut, "protocol": ""}.items() <= {**whole, "protocol": ""}.items()


@st.composite
def damaged(draw: st.DrawFn) -> bytes:
    data = bytearray(draw(st.sampled_from(WHOLE)))
    for _ in range(draw(st.integers(0, 4))):
        data[draw(st.integers(0, len(data) - 1))] = draw(st.sampled_from([0, 1, 6, 17, 43, 44, 51, 60, 0x45, 0xFF]))
    return bytes(data[: draw(st.integers(0, len(data)))])


@settings(derandomize=True, deadline=None)
@given(st.one_of(damaged(), st.binary(max_size=120), st.binary(max_size=120).map(lambda noise: bytes(12) + noise)))
def test_noise_is_never_an_error(noise: bytes) -> None:
    described = describe(noise)
    assert json.loads(json.dumps(described)) == described
    assert described == {} or described.keys() >= {"protocol", "source", "destination"}
