"""How deep, how large and how fast the parts of a queueing tree are made. Pure.

Rates are kbit/s, sizes bytes of whole frames without FCS, depths of buckets microseconds at their rate.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

HEADER_BYTES = 18  # of Ethernet, with a VLAN tag, without FCS
FRAME_BYTES = 1500 + HEADER_BYTES  # largest frame on the wire, where a segment does not say otherwise
LEAST_KBPS = 1  # no rate may be 0
MOST_TOKEN_KBPS = 128  # rate of a class without a guarantee, see `token_kbps`
TOKEN_SHARE = 2000  # one part in so many of the level's width, and
TOKENS_SHARE = 25  # one part in so many for all siblings together
PASS_KBPS = 1_000_000_000  # never in the way
BURST_US = 2000  # depth of a bucket: two milliseconds at its rate,
LEAST_BURST_BYTES = 6000  # but four frames at least, so that a timer some milliseconds late loses nothing
MOST_BURST_US = 200_000_000  # the kernel's field ends at 274 s
LEAST_FRAMES = 3  # that a queue holds
LEAST_QUEUE_BYTES = LEAST_FRAMES * FRAME_BYTES
MOST_LEAF_BYTES = 60_000
MOST_QUANTUM_BYTES = 200_000  # ratios of weights beyond 131 flatten out


def token_kbps(width_kbps: int, siblings: int) -> int:
    """Rate of a class without a guarantee: little enough that all siblings' together hardly count.

    But not the least possible: one frame at its own rate leaves a class in debt for as long as that frame takes, and
    the debt outlives a change of rate. At 1 kbit/s a guarantee given later would be of no effect for 12 s. A power of
    two, so that another sibling seldom changes it.
    """
    bound_kbps = min(MOST_TOKEN_KBPS, width_kbps // TOKEN_SHARE, width_kbps // TOKENS_SHARE // max(1, siblings))
    return _power_of_two(bound_kbps)


def leaving_kbps(width_kbps: int, rates_kbps: Sequence[int], weights: Sequence[float]) -> list[int]:
    """At which siblings send while all of them have something to send: what each is sure of, the rest by weight.

    What goes beyond the sure rate is rounded down to a power of two, as with tokens: what follows from it would else
    change with every sibling.
    """
    spare_kbps, whole = max(0, width_kbps - sum(rates_kbps)), sum(weights)
    shares = (rate + int(spare_kbps * weight / whole) for rate, weight in zip(rates_kbps, weights, strict=True))
    return [max(rate, _power_of_two(share)) for rate, share in zip(rates_kbps, shares, strict=True)]


def _power_of_two(rate_kbps: int) -> int:
    return 1 << max(LEAST_KBPS, rate_kbps).bit_length() - 1


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
