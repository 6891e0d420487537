"""Bounds of inner nodes that are kept otherwise than at one place for all below them. Pure.

Limits that no queue keeps: the loop does, after a second or two.

The VIFs below a node share one queue where all that they send crosses one uplink with a tree. What else they send, and
all that reaches them, meets the queue of a single VIF at most. So with one VIF below it too: its own queue and meter
are for its own limit. See `controller.allocation.engagement` for what the loop makes of it.

Bounds in packets: each host's own meter keeps them, and no loop divides them among hosts.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Iterator, Sequence

from policies.findings import Finding, field_path, node_steps
from policies.hierarchy import Member, capacity_kbps
from policies.model import Direction, Node, PolicySet, SegmentType
from policies.resolve import ancestry
from policies.rule_text import rate_of_packets_text
from policies.units import rate_text
from policies.ways_out import ways_out

_REMEDY = (
    "It may be passed for a second or two when traffic changes: where that matters, limit the leaves below it, whose"
    " limits hold for every packet"
)
_PACKETS_REMEDY = (
    "Where the sum matters, attach the VIFs below it to one host, or give the leaves below it packets of their own"
)
_TO_THEM = "what reaches several VIFs shares no queue"
_ROUTED = ""  # in place of a segment's name: all routed segments share a router


def unqueued(policies: PolicySet, members: Collection[Member]) -> list[Finding]:
    """A warning for each limit of an inner node with VIFs below it that some of their traffic goes past the queues of,
    and for each of its bounds in packets that several hosts keep.

    members: all VIFs. One that is on no host, or whose policy is no leaf of the set, has no traffic and does not count.
    """
    placed = [one for one in sorted(members, key=lambda one: one.number) if _is_placed(policies, one)]
    neighbours = Counter(_meeting_place(policies, one) for one in placed)
    below: dict[str, list[Member]] = defaultdict(list)
    for one in placed:
        for node in ancestry(policies, one.policy)[:-1]:
            below[node.path].append(one)
    found = []
    for path, vifs in below.items():
        node = policies.nodes[path]
        hosts = len({one.chassis for one in vifs})
        for direction in Direction:
            if hosts > 1 and node.bandwidth(direction).packets_pps is not None:
                found.append(_by_host(node, direction, hosts))
            if node.bandwidth(direction).limit_kbps is None:
                continue
            whys = [_TO_THEM] if direction is Direction.INGRESS else list(_past_one_queue(policies, vifs, neighbours))
            if whys:
                found.append(_finding(node, direction, whys))
    return sorted(found)


def _finding(node: Node, direction: Direction, whys: Sequence[str]) -> Finding:
    path = field_path(node.at, *node_steps(node.path), direction.value, "limit")
    limit = rate_text(node.bandwidth(direction).limit_kbps or 0)
    return Finding(node.at, path, f"{limit} is kept by the loop and not by a queue: {', and '.join(whys)}", _REMEDY)


def _by_host(node: Node, direction: Direction, hosts: int) -> Finding:
    path = field_path(node.at, *node_steps(node.path), direction.value, "packets")
    pps = node.bandwidth(direction).packets_pps or 0
    problem = f"{rate_of_packets_text(pps)} is held by each of {hosts} hosts for itself"
    return Finding(node.at, path, f"{problem}: together up to {rate_of_packets_text(hosts * pps)}", _PACKETS_REMEDY)


def _past_one_queue(
    policies: PolicySet, vifs: Sequence[Member], neighbours: Counter[tuple[str | None, str | None]]
) -> Iterator[str]:
    """Why not all that these VIFs send crosses one queue, in words."""
    local = [one for one in vifs if neighbours[_meeting_place(policies, one)] > 1]
    if local:
        yield f"{_names(local)} can send to other VIFs of the same host, past its uplinks"
    ways = {way.uplink for way in ways_out(policies)}
    routed = [one for one in vifs if len(ways) > 1 and _is_routed(policies, one)]
    if routed:
        yield f"the router of {_names(routed)} has {len(ways)} uplinks, each with a queue of its own"
    links = {(one.chassis, one.uplink): one for one in vifs if one.uplink is not None}
    if len(links) > 1:
        yield f"the VIFs below it send through {len(links)} uplinks, each with a queue of its own"
    unknown = [one for one in links.values() if capacity_kbps(policies, one.uplink or "", one.chassis) is None]
    if unknown:
        places = ", ".join(f"'{one.uplink}' of host '{one.chassis}'" for one in unknown)
        yield f"an uplink without a known capacity has no queues ({places})"


def _names(vifs: Sequence[Member]) -> str:
    """The first, and how many more."""
    others = len(vifs) - 1
    return f"VIF '{vifs[0].name}'" + (f" and {others} more" if others else "")


def _is_placed(policies: PolicySet, one: Member) -> bool:
    return one.chassis is not None and one.policy in policies.nodes and policies.nodes[one.policy].is_leaf


def _meeting_place(policies: PolicySet, one: Member) -> tuple[str | None, str | None]:
    """Two VIFs that have the same can send to each other inside their host."""
    return one.chassis, _ROUTED if _is_routed(policies, one) else one.segment


def _is_routed(policies: PolicySet, one: Member) -> bool:
    segment = policies.segments.get(one.segment or "")
    return segment is not None and segment.type is SegmentType.ROUTED
