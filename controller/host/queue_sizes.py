"""How deep, how large and how fast the parts of a queueing tree are made. Pure.

Rates are kbit/s, sizes bytes of whole frames without FCS, depths of buckets microseconds at their rate.
"""

from __future__ import annotations

from collections.abc import Iterable

FRAME_BYTES = 1518  # largest frame on the wire, with a VLAN tag, without FCS
LEAST_KBPS = 1  # no rate may be 0
MOST_TOKEN_KBPS = 128  # rate of a class without a guarantee, see `token_kbps`
TOKEN_SHARE = 2000  # one part in so many of the level's width, and
TOKENS_SHARE = 25  # one part in so many for all siblings together
PASS_KBPS = 1_000_000_000  # never in the way
BURST_US = 2000  # depth of a bucket: two milliseconds at its rate,
LEAST_BURST_BYTES = 6000  # but four frames at least, so that a timer some milliseconds late loses nothing
MOST_BURST_US = 200_000_000  # the kernel's field ends at 274 s
LEAST_QUEUE_BYTES = 3 * FRAME_BYTES
MOST_LEAF_BYTES = 60_000
MOST_QUANTUM_BYTES = 200_000  # ratios of weights beyond 131 flatten out


def leaf_budget(send_buffer_bytes: int, leaves: int) -> int:
    """The most that each of so many leaves may queue so that all of them fill at most half of a send buffer.

    leaves: a VIF whose traffic is divided into classes has one for each class. OVS's userspace datapath sends through
    one socket, which is charged with about twice the bytes of what is queued; a full buffer would stop every port.
    Three frames at least, 60 kB at most.
    """
    return max(LEAST_QUEUE_BYTES, min(MOST_LEAF_BYTES, send_buffer_bytes // (2 * max(1, leaves))))


def token_kbps(width_kbps: int, siblings: int) -> int:
    """Rate of a class without a guarantee: little enough that all siblings' together hardly count.

    But not the least possible: one frame at its own rate leaves a class in debt for as long as that frame takes, and
    the debt outlives a change of rate. At 1 kbit/s a guarantee given later would be of no effect for 12 s. A power of
    two, so that another sibling seldom changes it.
    """
    bound_kbps = min(MOST_TOKEN_KBPS, width_kbps // TOKEN_SHARE, width_kbps // TOKENS_SHARE // max(1, siblings))
    return 1 << max(LEAST_KBPS, bound_kbps).bit_length() - 1


def quanta(weights: Iterable[float]) -> list[int]:
    """Bytes that siblings send in turn: in the ratio of their weights, the smallest one frame (with less HTB errs)."""
    weights = list(weights)
    return [min(MOST_QUANTUM_BYTES, round(FRAME_BYTES * weight / min(weights))) for weight in weights]


def burst_us(rate_kbps: int) -> int:
    return min(MOST_BURST_US, max(BURST_US, time_us(LEAST_BURST_BYTES, rate_kbps)))


def time_us(size_bytes: int, rate_kbps: int) -> int:
    return -(-size_bytes * 8000 // rate_kbps)


def size_bytes(time_us: int, rate_kbps: int) -> int:
    return time_us * rate_kbps // 8000
