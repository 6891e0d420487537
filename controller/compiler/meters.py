"""Rate and burst of the meter that holds a VIF to its egress limit. Pure.

Behind a shaper (kind veth) the meter is a backstop for an instance that removes its shaper: a little above the limit,
so that it never drops what the shaper lets pass. Without one it is the limit itself; TCP then needs a deep bucket: with
100 Mbit/s, measured goodput is 8 Mbit/s for a burst of 10 ms, 31 for 50 ms, 61 for 100 ms, 93 for 200 ms.

The kernel's datapath sees a sender's segments joined into one packet of up to 64 KB, and a meter takes a packet whole
or not at all: one with a bucket that is smaller would let none of them pass, ever.
"""

from __future__ import annotations

from controller.dataplane.backstop import LUMP_MS, backstop_kbps
from controller.dataplane.entries import MeterBody

FRAME_KBIT = 13  # a full Ethernet frame without FCS is 12.1 kbit
_LEAST_FRAMES = 3
_SHAPER_MS = 4  # depth of the shaper's own bucket, unless the policy chooses one
_TCP_MS = 200
_TCP_FRAMES = 10  # a first TCP window
JOINED_KBIT = 525  # 64 KB
_MOST = 0xFFFF_FFFF  # a band's fields have 32 bits


def egress_meter(limit_kbps: int, burst_kbit: int | None, shaped: bool, largest_kbit: int = FRAME_KBIT) -> MeterBody:
    """The meter for an egress limit. burst_kbit: the policy's choice, if any. shaped: a shaper stands before it.
    largest_kbit: of a packet, as the datapath sees it.

    Raises ValueError for a limit below 1 kbit/s, which no meter can hold.
    """
    if limit_kbps < 1:
        raise ValueError(f"a meter holds at least 1 kbit/s, not {limit_kbps}")
    if not shaped:
        chosen = max(_kbit(limit_kbps, _TCP_MS), _TCP_FRAMES * FRAME_KBIT) if burst_kbit is None else burst_kbit
        return _body(limit_kbps, max(chosen, least_burst_kbit(largest_kbit)))
    shaper_kbit = max(_kbit(limit_kbps, _SHAPER_MS) if burst_kbit is None else burst_kbit, 2 * FRAME_KBIT)
    lump_kbit = max(_kbit(limit_kbps, LUMP_MS), _LEAST_FRAMES * FRAME_KBIT)
    return _body(backstop_kbps(limit_kbps), max(lump_kbit + shaper_kbit, largest_kbit))


def least_burst_kbit(largest_kbit: int = FRAME_KBIT) -> int:
    """The smallest bucket through which every packet passes, of a meter that must do with a small one."""
    return max(_LEAST_FRAMES * FRAME_KBIT, largest_kbit)


def _body(rate_kbps: int, burst_kbit: int) -> MeterBody:
    """One meter that does not fit into its message would keep the whole bridge from being brought up to date."""
    return MeterBody(min(rate_kbps, _MOST), min(burst_kbit, _MOST))


def _kbit(rate_kbps: int, time_ms: int) -> int:
    """What passes at the rate in the time, rounded up."""
    return -(-rate_kbps * time_ms // 1000)
