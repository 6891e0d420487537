"""What buffers that policies ask for cost a switch in userspace, and whether it has that much. Pure.

It sends to all Linux devices through one socket, whose buffer is charged with the memory that waiting frames take.

devices: of how many an uplink of a host is made, by both their names; each of them has queues. Not named: of one.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from policies.classes import uses_classes
from policies.enforcement import limits_ingress
from policies.findings import field_path, node_steps
from policies.hierarchy import Breach, Member, capacity_kbps
from policies.inheritance import origin
from policies.model import DEFAULT_MTU, Congestion, LeafQueue, Node, PolicySet

TAG_BYTES = 4  # the kernel keeps a tag beside the frame, where no queue counts it
LEAST_SHARE = 0.01  # of a class, as a weight: with less the quanta of the others would flatten out
LEAST_FRAME_BYTES = 60  # of Ethernet, without FCS
_HEADER_BYTES = 18  # of Ethernet, with a tag
_SHARED_BYTES = 512  # that the kernel keeps with each frame: headroom and its list of fragments,
_RECORD_BYTES = 256  # and its own record of it
REMEDY = (
    "Ask for smaller buffers, attach fewer VIFs, or, where Open vSwitch is the machine's own, start the system with "
    "weir up --raise-buffers"
)


Devices = Mapping[tuple[str, str], int]
ONE_EACH: Devices = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class _Asker:
    """What is the same of VIFs whose buffers cost the same."""

    policy: str
    segment: str | None
    uplink: str | None
    chassis: str
    is_limited: bool  # in what reaches it


def frames_of(size_bytes: int, frame_bytes: int) -> int:
    """How many of that size a buffer is good for; one at least, as nothing passes a queue that holds none."""
    return max(1, size_bytes // (frame_bytes - TAG_BYTES))


def cost_bytes(frame_bytes: int) -> int:
    """Memory of a frame: a power of two for its bytes, up to a page; larger ones are in whole pages besides."""
    linear_bytes = frame_bytes + _SHARED_BYTES
    return (1 << (linear_bytes - 1).bit_length()) + _RECORD_BYTES


def full_cost_bytes(size_bytes: int, frame_bytes: int, queue: LeafQueue) -> int:
    """Memory of all that waits in a full queue. One of the sort RED is bounded in bytes, others in frames: it is full
    of the smallest ones at worst."""
    if queue is LeafQueue.RED:
        return max(1, size_bytes // LEAST_FRAME_BYTES) * cost_bytes(LEAST_FRAME_BYTES)
    return frames_of(size_bytes, frame_bytes) * cost_bytes(frame_bytes)


def shortage(needed_bytes: int, send_buffer_bytes: int) -> str | None:
    """Why buffers that may take so much cannot be promised, as a sentence without its stop; None: they can."""
    if needed_bytes <= send_buffer_bytes:
        return None
    return (
        f"full queues may take {needed_bytes} bytes of the send buffer of Open vSwitch, which holds {send_buffer_bytes}"
    )


def short_buffers(
    policies: PolicySet, members: Collection[Member], send_buffers: Mapping[str, int], devices: Devices = ONE_EACH
) -> Iterator[Breach]:
    """One for each host whose switch has not what the buffers of its VIFs may take, unless all are best-effort.

    send_buffers: in bytes, by host, of those that send through a socket and have said how large it is.
    """
    for host, size_bytes in sorted(send_buffers.items()):
        needs = {asker: bytes_ for asker, bytes_ in _needs(policies, members, host, devices).items() if bytes_}
        problem = shortage(sum(needs.values()), size_bytes)
        strict = [asker for asker in needs if not policies.nodes[asker.policy].best_effort]
        if problem is not None and strict:
            path = max(strict, key=lambda asker: (needs[asker], asker.policy)).policy
            said_by = origin(policies, policies.nodes[path], "buffer_bytes")
            field = field_path(said_by.at, *node_steps(said_by.path), "buffer")
            excess_bytes = sum(needs.values()) - size_bytes
            subject = f"host '{host}'"
            yield Breach(subject, f"{said_by.at}: {field}: {problem}", REMEDY, excess_bytes=excess_bytes)


def needed_bytes(policies: PolicySet, members: Collection[Member], host: str, devices: Devices = ONE_EACH) -> int:
    """What the buffers that the VIFs of a host ask for may take, all full."""
    return sum(_needs(policies, members, host, devices).values())


def _needs(policies: PolicySet, members: Collection[Member], host: str, devices: Devices) -> dict[_Asker, int]:
    asking = {path for path, node in policies.nodes.items() if node.is_leaf and node.buffer_bytes is not None}
    found = Counter(
        _Asker(
            one.policy, one.segment, one.uplink, host, limits_ingress(policies, one.policy, one.ingress)
        )
        for one in members
        if one.chassis == host and one.policy in asking
    )  # fmt: skip
    return {asker: count * _cost_of_one(policies, asker, devices) for asker, count in found.items()}


def _cost_of_one(policies: PolicySet, asker: _Asker, devices: Devices) -> int:
    """A queue for its port when something limits what reaches it, and one for each device of its uplink when that is
    divided.
    """
    places = int(asker.is_limited)
    if asker.uplink is not None and capacity_kbps(policies, asker.uplink, asker.chassis) is not None:
        places += devices.get((asker.chassis, asker.uplink), 1)
    segment = policies.segments.get(asker.segment or "")
    mtu = DEFAULT_MTU if segment is None or segment.mtu is None else segment.mtu
    frame_bytes = mtu + _HEADER_BYTES
    leaf = policies.nodes[asker.policy]
    assert leaf.buffer_bytes is not None
    sizes = by_class(policies, leaf, int(leaf.buffer_bytes.most)).values()
    queue = (leaf.congestion or Congestion()).queue
    return places * sum(full_cost_bytes(size, frame_bytes, queue) for size in sizes)


def by_class(policies: PolicySet, leaf: Node, size_bytes: int) -> dict[str, int]:
    """What each traffic class has of a buffer of the leaf's VIFs, in bytes; "": they are not divided."""
    if not uses_classes(policies, leaf.path):
        return {"": size_bytes}
    shares = {name: max(LEAST_SHARE, own.share) for name, own in policies.classes.items()}
    return {name: int(size_bytes * share / sum(shares.values())) for name, share in shares.items()}
