"""What holds a vhost-user port in DPDK, which has no queues: numbers of its policers, from a VIF's limits. Pure.

What goes to the VIF (egress of the port): one bucket at the limit; with traffic classes one for each class, at its part
of the limit, and whatever no class is promised for all of them, first come first served. Within RFC 4115 nothing more
can be had: what a class leaves of its part is not given to others, or the sum would pass the limit.

What comes from the VIF: far above its meter, which holds the limit and counts what is offered, a policer that ends a
flood before it costs a flow look-up.

The policers count a packet without its Ethernet header, and limits count it with: the rate is right for full frames.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from controller.dataplane.entries import MeterBody
from controller.host.class_queues import ClassShare
from controller.host.desired import Limits
from controller.host.queue_sizes import FRAME_BYTES
from ovsdb.switch import Policing, QosConfig
from policies.classes import queue_of

EGRESS_POLICER, TRTCM_POLICER = "egress-policer", "trtcm-policer"
HEADER_BYTES = 14  # of Ethernet
GUARD = 2  # times the limit
_LEAST_FRAMES = 3
_TCP_MS, _TCP_FRAMES = 200, 10  # what TCP needs through a policer; its first window
_LEAST_GUARD_KBIT = 8000  # Open vSwitch's own choice for a burst


def bucket(limits: Limits, classes: Sequence[ClassShare], mtu: int) -> MeterBody | None:
    """What all that reaches the VIF shall have to pass; None without an ingress limit. mtu: bytes of the largest IP
    packet. The burst is as deep as TCP needs through a policer, unless the policy chooses."""
    if limits.ingress_kbps is None:
        return None
    chosen = limits.ingress_burst_bytes
    tcp_kbit = max(limits.ingress_kbps * _TCP_MS // 1000, _TCP_FRAMES * FRAME_BYTES * 8 // 1000)
    burst_kbit = tcp_kbit if chosen is None else chosen * 8 // 1000
    return MeterBody(limits.ingress_kbps, max(burst_kbit, least_burst_kbit(classes, mtu)))


def least_burst_kbit(classes: Sequence[ClassShare], mtu: int) -> int:
    """The smallest burst with which every frame passes. With classes there are two buckets, one above the other."""
    return math.ceil((2 if classes else 1) * _least_bytes(mtu) * 8 / 1000)


def to_vif(body: MeterBody, classes: Sequence[ClassShare], mtu: int) -> QosConfig:
    """body: as `bucket` says, or with a smaller burst that `least_burst_kbit` allows."""
    rate, burst = _bytes_per_s(body.rate_kbps, mtu), body.burst_kbit * 125
    if not classes:
        return QosConfig(EGRESS_POLICER, {"cir": str(rate), "cbs": str(burst)})
    total = max(1.0, sum(own.share for own in classes))
    promised = {queue_of(own.code_points): own.share / total for own in classes}
    promised.setdefault(0, 0.0)  # Open vSwitch drops what has no queue where there is no queue 0
    free, least = max(0.0, round(1 - sum(promised.values()), 6)), _least_bytes(mtu)
    shared = min(_part(burst, free, least), burst - least)
    queues = {
        queue: _trtcm(int(rate * share), _part(burst, share, least), int(rate * free), shared)
        for queue, share in sorted(promised.items())
    }
    kept = sum(int(one["cir"]) for one in queues.values())
    return QosConfig(TRTCM_POLICER, _trtcm(kept, burst - shared, max(0, rate - kept), shared), queues)


def from_vif(limits: Limits) -> Policing | None:
    """None without an egress limit."""
    if limits.egress_kbps is None:
        return None
    rate_kbps = GUARD * limits.egress_kbps
    burst_kbit = GUARD * max(limits.egress_kbps * _TCP_MS // 1000, (limits.egress_burst_bytes or 0) * 8 // 1000)
    return Policing(rate_kbps, max(_LEAST_GUARD_KBIT, burst_kbit))


def _trtcm(promised: int, promised_burst: int, free: int, free_burst: int) -> dict[str, str]:
    """Bytes a second and bytes. With a burst of 0 DPDK refuses all of the policer, and nothing is held."""
    return {"cir": str(promised), "cbs": str(promised_burst), "eir": str(free), "ebs": str(free_burst)}


def _part(burst: int, share: float, least: int) -> int:
    return max(least, round(burst * share))


def _least_bytes(mtu: int) -> int:
    return _LEAST_FRAMES * (mtu + HEADER_BYTES)


def _bytes_per_s(limit_kbps: int, mtu: int) -> int:
    return max(1, round(limit_kbps * 125 * mtu / (mtu + HEADER_BYTES)))
