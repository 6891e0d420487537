"""From rates of counters to what each VIF offers, what got through, and what it wants. Pure.

What counts as demand is what would come if we let it: a VIF that is held back (its packets are dropped, its queue
stands, or it runs at its rate) wants as much as possible; TCP that adapts to our limit must not look satisfied.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np

from controller.allocation.counters import CounterState, aligned
from controller.allocation.samples import (
    BACKLOG_BYTES,
    FIRST_COLUMN,
    INGRESS,
    METER_DROPPED,
    METER_IN,
    PORT_RX,
    PORT_RX_CUT,
    PORT_RX_PACKETS,
    PORT_TX,
    PORT_TX_CUT,
    PORT_TX_PACKETS,
    SHAPER,
    UPLINK,
)
from controller.allocation.settings import Settings
from controller.allocation.tree import BoolArray, FloatArray, IntArray

_KBIT_PER_BYTE = 8 / 1000
_FULL_FRAME_BYTES = 1514.0  # taken for the mean size while nothing is sent that would show it


@dataclass(frozen=True, slots=True)
class Bounds:
    """What holds for each VIF in one direction: float64[n], linked: bool[n]."""

    guarantee_kbps: FloatArray
    rate_kbps: FloatArray  # enforced on the VIF itself: its own limit, or less; inf: none
    linked: BoolArray  # its traffic may cross a link


@dataclass(frozen=True, slots=True)
class Memory:
    """What the estimate of one direction remembers of each VIF. keys: ascending; the rest float64[n]."""

    keys: IntArray
    held_s: FloatArray  # when there was last a sign that it is held back; -inf: never
    held_kbps: FloatArray  # what it offered then
    local_kbps: FloatArray  # traffic that crossed no link by the last tick's figures alone


@dataclass(frozen=True, slots=True)
class Estimate:
    """float64[n]; NaN in offered, passed, dropped and local: no statistics.

    local_kbps is the part of what passed that crossed no link; local_demand_kbps + link_demand_kbps = demand_kbps.
    recalled_kbps: what it offered when something last held it back, where only the memory of that makes it limited; inf
    elsewhere. That is as much as it has shown to want. only_at_link: its link holds it back, and nothing else.
    """

    offered_kbps: FloatArray
    passed_kbps: FloatArray
    dropped_kbps: FloatArray
    local_kbps: FloatArray
    limited: BoolArray
    demand_kbps: FloatArray
    local_demand_kbps: FloatArray
    link_demand_kbps: FloatArray
    recalled_kbps: FloatArray
    only_at_link: BoolArray

    def of(self, order: IntArray) -> Estimate:
        """The same for the VIFs at these positions."""
        return Estimate(*(getattr(self, column.name)[order] for column in fields(self)))


@dataclass(frozen=True, slots=True)
class _Seen:
    """What one tick's rates say of each VIF, before memory and judgement."""

    offered: FloatArray
    passed: FloatArray
    dropped: FloatArray
    local: FloatArray
    unjudged_local: FloatArray
    wanted: FloatArray  # offered, less what policy denies
    held_itself: BoolArray  # by its shaper, its meter or its own rate
    held_at_link: BoolArray  # by its leaf at the uplink


@dataclass(frozen=True, slots=True)
class _Queue:
    """A queue's rates in kbit/s; NaN: no such queue, or no statistics."""

    sent: FloatArray
    dropped: FloatArray
    growth: FloatArray
    stands: BoolArray


def no_memory(keys: IntArray) -> Memory:
    never = np.full(len(keys), -np.inf)
    return Memory(keys, never, never, np.zeros(len(keys)))


def carried(memory: Memory, keys: IntArray) -> Memory:
    """The memory of those VIFs that stay, none of those that are new."""
    new = no_memory(keys)
    held_s = aligned(memory.keys, keys, memory.held_s, new.held_s)
    held_kbps = aligned(memory.keys, keys, memory.held_kbps, new.held_kbps)
    return Memory(keys, held_s, held_kbps, aligned(memory.keys, keys, memory.local_kbps, new.local_kbps))


def estimate_egress(
    counters: CounterState, bounds: Bounds, memory: Memory, now_s: float, settings: Settings
) -> tuple[Memory, Estimate]:
    """Shaper, meter, uplink leaf in the order of the packet's way; where one is missing, the next tells what came."""
    seen = _seen_leaving(counters, bounds, memory, settings)
    return _estimate(seen, bounds, memory, now_s, settings)


def estimate_ingress(
    counters: CounterState, bounds: Bounds, memory: Memory, now_s: float, settings: Settings
) -> tuple[Memory, Estimate]:
    """The queue on the VIF's own port; without one, what the port sent and its policers dropped."""
    queue = _queue(counters, INGRESS, settings)
    port = counters.rate[:, PORT_TX] * _KBIT_PER_BYTE
    cut = np.where(port > 0, _cut(counters, (PORT_TX, PORT_TX_PACKETS, PORT_TX_CUT)), 0.0)  # none: nobody is behind it
    offered = _known(queue.sent + queue.dropped + queue.growth, port + cut)
    passed = _known(queue.sent, port)
    dropped = _zero(_known(queue.dropped, cut))
    wanted = _zero(offered)
    held = (dropped > 0) | queue.stands | (wanted >= settings.near_limit * bounds.rate_kbps)
    seen = _Seen(
        offered=offered,
        passed=passed,
        dropped=np.where(np.isnan(offered), np.nan, dropped),
        local=passed,
        unjudged_local=_zero(passed),
        wanted=wanted,
        held_itself=held,
        held_at_link=np.zeros_like(held),
    )
    return _estimate(seen, bounds, memory, now_s, settings)


def _seen_leaving(counters: CounterState, bounds: Bounds, memory: Memory, settings: Settings) -> _Seen:
    shaper, leaf = _queue(counters, SHAPER, settings), _queue(counters, UPLINK, settings)
    metered = counters.rate[:, METER_IN] * _KBIT_PER_BYTE
    cut = _zero(counters.rate[:, METER_DROPPED] * _KBIT_PER_BYTE)
    port = counters.rate[:, PORT_RX] * _KBIT_PER_BYTE
    guarded = _zero(_cut(counters, (PORT_RX, PORT_RX_PACKETS, PORT_RX_CUT)))  # before it reached the meter
    offered = _known(shaper.sent + shaper.dropped + np.maximum(shaper.growth, 0.0), metered + guarded, port + guarded)
    # A meter that was changed has no figures for a tick: then what came in, as far as its rate let it through.
    to_leaf = np.maximum(_known(metered - cut, shaper.sent, np.minimum(port, bounds.rate_kbps)), 0.0)
    # vswitchd offers a frame that the leaf refused once more, so the leaf counts more drops than there are losses.
    passed = np.maximum(to_leaf - _zero(leaf.dropped), _zero(leaf.sent))
    lost = np.minimum(_zero(leaf.dropped), np.maximum(to_leaf - passed, 0.0))
    unjudged = _zero(np.maximum(to_leaf - leaf.sent - leaf.dropped - leaf.growth, 0.0))
    local = np.minimum(unjudged, memory.local_kbps)  # what one tick alone shows may be the skew of two clocks
    local = np.where(local < settings.noise * _zero(passed), 0.0, local)
    # What policy denies passes the shaper and never the meter: it is offered, but is no wish for bandwidth.
    admitted = _ratio(metered, shaper.sent, unknown=1.0)
    admitted = np.where(admitted < 0.5, admitted, 1.0)
    wanted = _zero(offered) * admitted
    held = (_zero(shaper.dropped) > 0) | shaper.stands | (wanted >= settings.near_limit * bounds.rate_kbps)
    return _Seen(
        offered=offered,
        passed=passed,
        dropped=np.where(np.isnan(offered), np.nan, _zero(shaper.dropped) + guarded + cut + lost),
        local=np.where(bounds.linked, local, passed),
        unjudged_local=unjudged,
        wanted=wanted,
        held_itself=(held & (admitted == 1.0)) | (cut > 0),
        held_at_link=bounds.linked & ((_zero(leaf.dropped) > 0) | leaf.stands),
    )


def _estimate(seen: _Seen, bounds: Bounds, memory: Memory, now_s: float, settings: Settings) -> tuple[Memory, Estimate]:
    evident = seen.held_itself | seen.held_at_link
    held_s = np.where(evident, now_s, np.minimum(memory.held_s, now_s))
    held_kbps = np.where(evident, seen.wanted, memory.held_kbps)
    recent = now_s - held_s <= settings.hold_ticks * settings.interval_s
    limited = evident | (recent & (seen.wanted > 0) & (seen.wanted >= settings.hold_level * held_kbps))

    local_part = np.where(bounds.linked, np.minimum(_ratio(seen.local, seen.passed, unknown=0.0), 1.0), 1.0)
    only_at_link = seen.held_at_link & ~seen.held_itself  # then its local part is as large as it wants to be
    mixed = bounds.linked & (local_part > 0)
    local_more = limited & (local_part > 0) & ~only_at_link
    link_more = limited & bounds.linked & (seen.held_at_link | ~mixed)
    wanted = seen.wanted * settings.headroom
    # Held by its own rate, a VIF on two paths wants more, but nothing says that its link is where it wants it.
    on_link = np.where(mixed & limited, settings.growth, 1.0) * wanted * (1 - local_part)
    unknown = np.isnan(seen.offered)
    fallback = np.maximum(bounds.guarantee_kbps, settings.unknown_kbps)
    local = np.where(unknown, np.where(bounds.linked, 0.0, fallback), np.where(local_more, np.inf, wanted * local_part))
    link = np.where(unknown, np.where(bounds.linked, fallback, 0.0), np.where(link_more, np.inf, on_link))
    recalled = np.where(limited & ~evident, np.maximum(held_kbps, seen.wanted), np.inf)
    estimate = Estimate(
        offered_kbps=seen.offered,
        passed_kbps=seen.passed,
        dropped_kbps=seen.dropped,
        local_kbps=seen.local,
        limited=limited & ~unknown,
        demand_kbps=local + link,
        local_demand_kbps=local,
        link_demand_kbps=link,
        recalled_kbps=recalled,
        only_at_link=only_at_link,
    )
    return Memory(memory.keys, held_s, held_kbps, seen.unjudged_local), estimate


def _queue(counters: CounterState, block: int, settings: Settings) -> _Queue:
    first = FIRST_COLUMN[block]
    sent, packets, drops, growth = (counters.rate[:, first + column] for column in range(4))
    mean_bytes = _ratio(sent, packets, unknown=_FULL_FRAME_BYTES)
    stands = counters.standing[:, first + BACKLOG_BYTES] >= settings.standing_bytes
    return _Queue(
        sent=sent * _KBIT_PER_BYTE,
        dropped=drops * mean_bytes * _KBIT_PER_BYTE,
        growth=growth * _KBIT_PER_BYTE,
        stands=stands & ~np.isnan(sent),
    )


def _cut(counters: CounterState, columns: tuple[int, int, int]) -> FloatArray:
    """kbit/s that a port dropped. columns: of its bytes and packets that passed, and of packets that did not."""
    passed, packets, dropped = (counters.rate[:, column] for column in columns)
    return dropped * _ratio(passed, packets, unknown=_FULL_FRAME_BYTES) * _KBIT_PER_BYTE


def _known(*figures: FloatArray) -> FloatArray:
    """The first of the figures that is known, for each VIF; NaN where none is."""
    known = figures[-1]
    for figure in figures[-2::-1]:
        known = np.where(np.isnan(figure), known, figure)
    return known


def _zero(figure: FloatArray) -> FloatArray:
    return np.where(np.isnan(figure), 0.0, figure)


def _ratio(part: FloatArray, whole: FloatArray, unknown: float) -> FloatArray:
    """part / whole; `unknown` where either is not known or there is no whole."""
    with np.errstate(invalid="ignore"):
        defined = (whole > 0) & ~np.isnan(part)
    return np.divide(part, whole, out=np.full_like(part, unknown), where=defined)
