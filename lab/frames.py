"""From what a receiver counts to what the policy language speaks of: bytes of the whole frame without FCS. Pure."""

from __future__ import annotations

from collections.abc import Iterable

UDP_HEADERS_BYTES = 42  # Ethernet 14, IPv4 20, UDP 8
IPV6_MORE_BYTES = 20  # of IPv6 the header has so many more
UDP_PAYLOAD_BYTES = 1472  # fills a frame of MTU 1500
TCP_FRAME_BYTES, TCP_PAYLOAD_BYTES = 1514, 1448  # a full segment with the timestamp option


def frame_kbps(frames: float, payload_bytes: float, duration_s: float) -> float:
    """Rate of the frames that so many UDP datagrams and bytes of payload came in."""
    return (payload_bytes + frames * UDP_HEADERS_BYTES) * 8e-3 / duration_s


def tcp_frame_kbps(goodput_kbps: float) -> float:
    """Rate of the frames that carry a bulk TCP connection of this goodput over IPv4."""
    return goodput_kbps * TCP_FRAME_BYTES / TCP_PAYLOAD_BYTES


def jain(shares: Iterable[float]) -> float:
    """Jain's index of fairness: 1 when all are equal, 1/n when one has everything. At least one must be positive."""
    shares = list(shares)
    return sum(shares) ** 2 / (len(shares) * sum(share * share for share in shares))
