"""Who a frame is from and to, for people to read: its addresses, protocol and ports. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from ipaddress import ip_address
from typing import Any

_ETHERNET = 14
_IPV4, _IPV6 = b"\x08\x00", b"\x86\xdd"
_WITH_PORTS = {6: "tcp", 17: "udp", 132: "sctp"}
_ICMP = {1: "icmp", 58: "icmp6"}
_EXTENSIONS = {0, 43, 60, 135, 139, 140}  # IPv6 headers of a length in units of 8 bytes that others follow
_FRAGMENT, _AUTHENTICATION = 44, 51


def describe(frame: bytes) -> Mapping[str, Any]:
    """{"protocol", "source", "destination"} and ports, or ICMP type and code, as far as the frame shows them.

    frame: untagged, from its MACs on, any bytes. Empty when it is not IP, or cut short before its addresses end.
    """
    data = frame[_ETHERNET:]
    if frame[12:_ETHERNET] == _IPV4 and len(data) >= 20:
        is_later = bool(int.from_bytes(data[6:8], "big") & 0x1FFF)
        return _described(data[9], (data[12:16], data[16:20]), b"" if is_later else data[(data[0] & 0xF) * 4 :])
    if frame[12:_ETHERNET] == _IPV6 and len(data) >= 40:
        protocol, payload = _upper_layer(data[6], data[40:])
        return _described(protocol, (data[8:24], data[24:40]), payload)
    return {}


def _upper_layer(protocol: int, data: bytes) -> tuple[int, bytes]:
    """Past extension headers; nothing of a fragment after the first."""
    while len(data) >= 8:
        if protocol in _EXTENSIONS:
            protocol, data = data[0], data[(data[1] + 1) * 8 :]
        elif protocol == _AUTHENTICATION:  # its length is in units of 4 bytes
            protocol, data = data[0], data[(data[1] + 2) * 4 :]
        elif protocol == _FRAGMENT:
            is_later = bool(int.from_bytes(data[2:4], "big") & 0xFFF8)
            protocol, data = data[0], b"" if is_later else data[8:]
        else:
            break
    return protocol, data


def _described(protocol: int, ends: tuple[bytes, bytes], payload: bytes) -> Mapping[str, Any]:
    name = _WITH_PORTS.get(protocol) or _ICMP.get(protocol) or f"ip/{protocol}"
    found: dict[str, Any] = {"protocol": name}
    found["source"], found["destination"] = (str(ip_address(end)) for end in ends)
    if protocol in _WITH_PORTS and len(payload) >= 4:
        found["source_port"] = int.from_bytes(payload[:2], "big")
        found["destination_port"] = int.from_bytes(payload[2:4], "big")
    elif protocol in _ICMP and len(payload) >= 2:
        found["icmp_type"], found["icmp_code"] = payload[0], payload[1]
    return found
