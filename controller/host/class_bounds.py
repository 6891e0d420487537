"""How much one class of an uplink's tree is sure of, and how much it may take at most. Pure."""

from __future__ import annotations

from dataclasses import replace

from controller.dataplane.backstop import LUMP_MS, backstop_kbps
from controller.host.queue_sizes import LEAST_KBPS, MOST_BURST_US, PASS_KBPS, burst_us, time_us
from controller.host.queue_tree import ClassPlan
from policies.hierarchy import Branch, Leaf


def class_of(child: Branch | Leaf, trunk: int, rate_kbps: int, quantum_bytes: int) -> ClassPlan:
    """As the policy has it."""
    ceil_kbps = PASS_KBPS if child.limit_kbps is None else max(LEAST_KBPS, child.limit_kbps)
    rate_kbps = min(rate_kbps, ceil_kbps)
    depth_us = max(burst_us(ceil_kbps), _own_burst_us(child))
    return ClassPlan(trunk, rate_kbps, ceil_kbps, burst_us(rate_kbps), depth_us, quantum_bytes)


def held(body: ClassPlan, is_shaped: bool, most_kbps: int | None) -> ClassPlan:
    """That of a VIF: a backstop behind its shaper, and at most `most_kbps`, but never below what it is sure of."""
    if is_shaped and body.ceil_kbps < PASS_KBPS:
        depth_us = min(MOST_BURST_US, body.cburst_us + LUMP_MS * 1000)
        body = replace(body, ceil_kbps=backstop_kbps(body.ceil_kbps), cburst_us=depth_us)
    if most_kbps is None or most_kbps >= body.ceil_kbps:
        return body
    most_kbps = max(body.rate_kbps, most_kbps)
    return replace(body, ceil_kbps=most_kbps, cburst_us=burst_us(most_kbps))


def _own_burst_us(child: Branch | Leaf) -> int:
    """What the policy lets a VIF send at once, as time at its limit; 0 where it does not say."""
    if isinstance(child, Branch) or not child.limit_kbps:
        return 0
    if child.burst_s is not None:
        return min(MOST_BURST_US, round(child.burst_s * 1_000_000))
    return min(MOST_BURST_US, time_us(child.burst_bytes or 0, child.limit_kbps))
