"""The tree of HTB classes that a good engineer sets on the uplink with `tc`: what Weir's is measured against.

One qdisc: the link, tenants, VIFs, classes below each other. `rate` is what is guaranteed, the quantum of a leaf is in
the ratio of what the policy gives it beyond that when all flood (it is right for that alone; HTB looks at leaves only).
Leaves are short and drop at the head, since the switch gives up the rest of a batch when a queue refuses a frame.
"""

from __future__ import annotations

from collections.abc import Sequence

from lab.by_hand import UPLINK, ByHand
from lab.tenants import CAPACITY_KBPS, PORTS, QUIET, QUIET_GUARANTEE_KBPS, QUIET_LIMIT_KBPS, Flow

FRAME_BYTES = 1514
LIMITED_FRAMES = 30  # where TCP waits at a limit
LEAF_FRAMES = 6  # all leaves together stay within what the socket of the switch may have on its way
BURST_S, LEAST_BURST_BYTES = 0.002, 6000  # a timer may be late by so much


def shape(hand: ByHand, flows: Sequence[Flow]) -> None:
    """Makes it, and steers each flow into its class by source MAC and port. Raises LabError."""
    hand.ovs.vsctl("set", "port", UPLINK, "qos=@q", "--", "--id=@q", "create", "qos", "type=linux-noop")
    hand.tc("qdisc", "add", "dev", UPLINK, "root", "handle", "1:", "htb", "default", "fff")
    _add_class(hand, "1:", "1:1", CAPACITY_KBPS)
    _add_class(hand, "1:1", "1:fff", QUIET_GUARANTEE_KBPS // 2)
    _add_class(hand, "1:1", "1:ffe", QUIET_GUARANTEE_KBPS, ceil_kbps=QUIET_LIMIT_KBPS)
    _add_queue(hand, "1:fff")
    _add_queue(hand, "1:ffe", LIMITED_FRAMES)
    hand.steer(QUIET, "1:ffe")
    # the tenants, their VIFs, the classes of these
    least_kbps = min(one.share_kbps - one.guarantee_kbps for one in flows)
    tenants = list(dict.fromkeys(one.tenant for one in flows))
    for place, tenant in enumerate(tenants, start=1):
        own = [one for one in flows if one.tenant == tenant]
        _add_class(hand, "1:1", f"1:{0x100 + place:x}", sum(one.guarantee_kbps for one in own))
        for vif in dict.fromkeys(one.vif for one in own):
            number = hand.numbers[vif]
            both = [one for one in own if one.vif == vif]
            above = f"1:{0x200 + number:x}"
            _add_class(hand, f"1:{0x100 + place:x}", above, sum(one.guarantee_kbps for one in both))
            for turn, one in enumerate(both, start=1):
                leaf = f"1:{0x200 * (turn + 1) + number:x}"
                quantum = FRAME_BYTES * (one.share_kbps - one.guarantee_kbps) / least_kbps
                _add_class(hand, above, leaf, one.guarantee_kbps, round(quantum))
                _add_queue(hand, leaf)
                hand.steer(vif, leaf, PORTS[one.kind])


def _add_class(
    hand: ByHand,
    parent: str,
    place: str,
    kbps: float,
    quantum: int = FRAME_BYTES,
    ceil_kbps: int = CAPACITY_KBPS,
) -> None:
    depths = ("burst", _burst(kbps), "cburst", _burst(ceil_kbps))
    rates = ("rate", f"{round(kbps)}kbit", "ceil", f"{ceil_kbps}kbit", *depths, "quantum", str(quantum))
    hand.tc("class", "add", "dev", UPLINK, "parent", parent, "classid", place, "htb", *rates)


def _burst(kbps: float) -> str:
    """In bytes, as `tc` reads it."""
    return str(max(LEAST_BURST_BYTES, round(kbps * 125 * BURST_S)))


def _add_queue(hand: ByHand, place: str, frames: int = LEAF_FRAMES) -> None:
    hand.tc("qdisc", "add", "dev", UPLINK, "parent", place, "pfifo_head_drop", "limit", str(frames))
