"""Queues that tell senders before they are full: RED and fq_codel, with figures from how much may wait and how fast it
leaves. Pure.

Source: Floyd and Jacobson, Random Early Detection Gateways; RFC 8290. Thresholds as tc-red(8) advises.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

MOST_PROBABILITY = 0.02  # of a drop, where the average is just below its highest
_MOST_LOG = 31
_HALVINGS = 31  # after which any average is 0
_CELLS = 255
_MOST_RED_BYTES = 32 << 20  # beyond twice that, the slope has no place in the kernel's 32 bits
_STEP_US = 128  # the kernel keeps times in units of 1024 ns: multiples of this read back as written
_TARGET_US, _TARGET_FRAMES, _TARGET_PART = 5000, 1.5, 4
_INTERVAL_US, _TARGETS = 100_000, 20  # an interval is so many targets, and the usual one at least


@dataclass(frozen=True, slots=True)
class RedPlan:
    """Drops, or marks with ecn, some frames once more than least_bytes wait on average, and all from most_bytes on.

    weight_log: one part in 2^n of the average is the newest frame. probability_log: what is dropped grows by one part
    in 2^n a byte. cell_log: an average of any size is forgotten after 255 times 2^n us without a frame.
    """

    limit_bytes: int
    least_bytes: int
    most_bytes: int
    weight_log: int
    probability_log: int
    cell_log: int
    ecn: bool = False


@dataclass(frozen=True, slots=True)
class FqCodelPlan:
    """One queue a flow; drops, or marks with ecn, what has waited longer than the target for an interval.

    memory_bytes: as the kernel charges for frames. Times are multiples of 128 us: others do not read back as written.
    """

    limit_packets: int
    memory_bytes: int
    target_us: int
    interval_us: int
    quantum_bytes: int
    ecn: bool = False


def red(size_bytes: int, frame_bytes: int, rate_kbps: int, ecn: bool) -> RedPlan:
    """For a queue of at most size_bytes: none is dropped while a sixth of it waits on average, all from half of it, or
    from 32 MiB on."""
    most_bytes = min(_MOST_RED_BYTES, max(3 * frame_bytes, size_bytes // 2))
    least_bytes = max(frame_bytes, most_bytes // 3)
    weight_log = min(_weight_log(least_bytes, most_bytes, frame_bytes), _MOST_LOG - most_bytes.bit_length())
    drops_log = math.ceil(math.log2((most_bytes - least_bytes) / MOST_PROBABILITY))
    idle_us = _HALVINGS / -math.log2(1 - 0.5**weight_log) * frame_bytes * 8000 / rate_kbps
    cell_log = max(0, math.ceil(math.log2(idle_us / _CELLS)))
    limit_bytes = max(size_bytes, most_bytes)
    return RedPlan(limit_bytes, least_bytes, most_bytes, weight_log, drops_log, min(_MOST_LOG, cell_log), ecn)


def _weight_log(least_bytes: int, most_bytes: int, frame_bytes: int) -> int:
    """So that a burst that fills the queue to the middle between both thresholds, from nothing, passes whole."""
    burst = 1 + (2 * least_bytes + most_bytes) // (3 * frame_bytes)
    wanted = burst + 1 - least_bytes / frame_bytes
    for log in range(1, _MOST_LOG):
        weight = 0.5**log
        if wanted <= (1 - (1 - weight) ** burst) / weight:
            return log
    return _MOST_LOG


def fq_codel(frames: int, memory_bytes: int, frame_bytes: int, rate_kbps: int, ecn: bool) -> FqCodelPlan:
    """For a queue of so many frames of the largest size. Frames may wait for a quarter of what a full one takes, for
    5 ms at most, but for one and a half frames at least: where the rate is slow, one alone takes longer."""
    frame_us = frame_bytes * 8000 / rate_kbps
    target_us = max(_TARGET_FRAMES * frame_us, min(_TARGET_US, frames * frame_us / _TARGET_PART))
    target_us = _stepped(target_us)
    return FqCodelPlan(
        frames, memory_bytes, target_us, _stepped(max(_INTERVAL_US, _TARGETS * target_us)), frame_bytes, ecn
    )


def _stepped(time_us: float) -> int:
    return _STEP_US * math.ceil(time_us / _STEP_US)
