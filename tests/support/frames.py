"""Ethernet frames for tests, whole and with right checksums, from addresses as text."""

from __future__ import annotations

import struct
from ipaddress import ip_address

BROADCAST = "ff:ff:ff:ff:ff:ff"
ICMP, TCP, UDP, ICMP6, SCTP = 1, 6, 17, 58, 132
SYN = 2


def ether(source: str, destination: str, eth_type: int, payload: bytes, vlan: int | None = None) -> bytes:
    tag = b"" if vlan is None else struct.pack("!HH", 0x8100, vlan)
    return (mac_bytes(destination) + mac_bytes(source) + tag + struct.pack("!H", eth_type) + payload).ljust(60, b"\0")


def arp(op: int, sha: str, spa: str, tpa: str, tha: str = "00:00:00:00:00:00") -> bytes:
    head = struct.pack("!HHBBH", 1, 0x0800, 6, 4, op)
    return head + mac_bytes(sha) + ip_address(spa).packed + mac_bytes(tha) + ip_address(tpa).packed


def ipv4(source: str, destination: str, protocol: int, payload: bytes, fragment: int = 0) -> bytes:
    """fragment: the flags and offset field."""
    ends = ip_address(source).packed + ip_address(destination).packed
    head = struct.pack("!BBHHHBB", 0x45, 0, 20 + len(payload), 7, fragment, 64, protocol)
    return head + struct.pack("!H", checksum(head + b"\0\0" + ends)) + ends + payload


def ipv6(source: str, destination: str, protocol: int, payload: bytes) -> bytes:
    head = struct.pack("!IHBB", 6 << 28, len(payload), protocol, 255)
    return head + ip_address(source).packed + ip_address(destination).packed + payload


def udp(source_port: int, destination_port: int, payload: bytes = b"weir") -> bytes:
    """Without a checksum, which IPv4 allows."""
    return struct.pack("!HHHH", source_port, destination_port, 8 + len(payload), 0) + payload


def transport(source: str, destination: str, protocol: int, ports: tuple[int, int], payload: bytes) -> bytes:
    """A UDP datagram or a TCP SYN, of either family, with its checksum. ports: source, destination."""
    if protocol == UDP:
        head, at = struct.pack("!HHHH", *ports, 8 + len(payload), 0), 6
    else:
        head, at = struct.pack("!HHIIBBHHH", *ports, 1, 0, 5 << 4, SYN, 65535, 0, 0), 16
    body = head + payload
    pseudo = ip_address(source).packed + ip_address(destination).packed + struct.pack("!II", len(body), protocol)
    return body[:at] + struct.pack("!H", checksum(pseudo + body)) + body[at + 2 :]


def icmp(kind: int, code: int, rest: bytes) -> bytes:
    body = struct.pack("!BBH", kind, code, 0) + rest
    return body[:2] + struct.pack("!H", checksum(body)) + rest


def icmp6(source: str, destination: str, kind: int, rest: bytes) -> bytes:
    body = struct.pack("!BBH", kind, 0, 0) + rest
    pseudo = ip_address(source).packed + ip_address(destination).packed + struct.pack("!II", len(body), ICMP6)
    return body[:2] + struct.pack("!H", checksum(pseudo + body)) + rest


def solicit(source: str, destination: str, target: str, sll: str | None, times: int = 1) -> bytes:
    """A neighbour solicitation as an IPv6 packet. times: how often it carries the option."""
    option = b"" if sll is None else (b"\x01\x01" + mac_bytes(sll)) * times
    body = icmp6(source, destination, 135, bytes(4) + ip_address(target).packed + option)
    return ipv6(source, destination, ICMP6, body)


def advert(source: str, destination: str, target: str, tll: str | None) -> bytes:
    """An unsolicited neighbour advertisement that overrides."""
    option = b"" if tll is None else b"\x02\x01" + mac_bytes(tll)
    body = icmp6(source, destination, 136, b"\x20\0\0\0" + ip_address(target).packed + option)
    return ipv6(source, destination, ICMP6, body)


def mac_bytes(text: str) -> bytes:
    return bytes.fromhex(text.replace(":", ""))


def checksum(data: bytes) -> int:
    data += b"\0" * (len(data) % 2)
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF
