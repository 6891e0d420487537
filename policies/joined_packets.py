"""What queues on the kernel's datapath hold and pass at most, where packets come as many frames joined. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterator

from policies.buffers import by_class
from policies.findings import Finding, field_path, node_steps
from policies.hierarchy import Member, capacity_kbps
from policies.inheritance import origin
from policies.model import Congestion, LeafQueue, Node, PolicySet
from policies.resolve import ancestry
from policies.units import rate_text

CUTTER_KBPS = 10_000_000  # of one queue, which cuts them into frames; never in the way below that
LEAST_JOINED_LEAF_BYTES = 131_072  # two of them
_NARROW = f"there one queue passes at most {rate_text(CUTTER_KBPS)}"
_REMEDY = "Use the userspace datapath where one VIF needs more"
_DEEP = f"there each queue of the sort {{}} holds {LEAST_JOINED_LEAF_BYTES // 1024} KiB, as joined packets come whole"
_ASK = "Ask for that much for each, or for a fifo queue"


def kept_of_joined(policies: PolicySet, members: Collection[Member], hosts: Collection[str]) -> list[str]:
    """A line for each number that their hosts keep with a queue that is slower or larger than it says.

    hosts: those whose datapath is the kernel's.
    """
    placed = [
        one for one in members if one.chassis in hosts and (node := policies.nodes.get(one.policy)) and node.is_leaf
    ]
    return sorted({f"host '{one.chassis}': {line}" for one in placed for line in _of_one(policies, one)})


def _of_one(policies: PolicySet, one: Member) -> Iterator[str]:
    most_kbps = (capacity_kbps(policies, one.uplink, one.chassis) if one.uplink is not None else None) or 0
    if one.uplink is not None and most_kbps > CUTTER_KBPS:
        link = policies.links[one.uplink]
        yield str(Finding(link.at, field_path(link.at, "links", one.uplink, "capacity"), _NARROW, _REMEDY))
    if (one.ingress.limit_kbps or 0) > CUTTER_KBPS:
        yield f"VIF '{one.name}': its own ingress limit: {_NARROW}. {_REMEDY}."
    for node in ancestry(policies, one.policy):
        if (node.ingress.limit_kbps or 0) > CUTTER_KBPS:
            yield str(Finding(node.at, _path(node, "ingress", "limit"), _NARROW, _REMEDY))
    leaf = policies.nodes[one.policy]
    queue = (leaf.congestion or Congestion()).queue
    if leaf.buffer_bytes is None or queue is LeafQueue.FIFO:
        return
    if min(by_class(policies, leaf, int(leaf.buffer_bytes.most)).values()) < LEAST_JOINED_LEAF_BYTES:
        said_by = origin(policies, leaf, "buffer_bytes")
        yield str(Finding(said_by.at, _path(said_by, "buffer"), _DEEP.format(queue.value), _ASK))


def _path(node: Node, *steps: str) -> str:
    return field_path(node.at, *node_steps(node.path), *steps)
