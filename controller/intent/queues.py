"""The queues that a policy set asks of hosts, as keys and bodies. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from controller.world.members import member
from ovsdb.rows import VirtualInterface
from policies.buffers import by_class
from policies.classes import uses_classes
from policies.hierarchy import Branch, Member, bandwidth_tree
from policies.model import Congestion, Direction, PolicySet
from policies.scaling import buffer_in_force

PORT, INSTANCE = "port", "instance"  # places of a VIF's own queues: on its host's end, in its namespace


@dataclass(frozen=True, slots=True, order=True)
class QueueKey:
    """place: "uplink NAME", PORT or INSTANCE. owner: a node's path or a VIF's name.

    traffic_class: "" for the queue of all its traffic.
    """

    chassis: str
    place: str
    owner: str
    traffic_class: str = ""


@dataclass(frozen=True, slots=True)
class QueueBody:
    """Of a traffic class, guarantee, weight and buffer are its share; limit None: what is around it bounds it.

    buffer_bytes: the most that may wait in it; None: for the host to choose. congestion: the sort of queue.
    """

    guarantee_kbps: int
    limit_kbps: int | None
    weight: float
    buffer_bytes: int | None = None
    congestion: Congestion = field(default_factory=Congestion)


def queues_of(policies: PolicySet, vifs: Iterable[VirtualInterface]) -> dict[QueueKey, QueueBody]:
    """Of all VIFs that are on a host and at a leaf that the policies have."""
    by_link: dict[tuple[str, str], list[Member]] = defaultdict(list)
    found: dict[QueueKey, QueueBody] = {}
    for vif in vifs:
        node = policies.nodes.get(vif.policy)
        if not vif.chassis or node is None or not node.is_leaf:
            continue
        one = member(vif, policies)
        if one.uplink is not None and _is_divided(policies, one.uplink, vif.chassis):
            by_link[vif.chassis, one.uplink].append(one)
        found.update(_own(policies, vif, vif.chassis, one))
    for (chassis, uplink), members in by_link.items():
        found.update(_of_branch(policies, chassis, uplink, bandwidth_tree(policies, Direction.EGRESS, members)))
    return found


def uplink_place(uplink: str) -> str:
    return f"uplink {uplink}"


def _is_divided(policies: PolicySet, uplink: str, chassis: str) -> bool:
    """An uplink of which no capacity is known has no tree."""
    link = policies.links.get(uplink)
    return link is not None and (link.hosts is None or chassis in link.hosts)


def _own(policies: PolicySet, vif: VirtualInterface, chassis: str, one: Member) -> Iterator[tuple[QueueKey, QueueBody]]:
    """At the VIF's own ends nobody else is: what is its limit is also its own alone."""
    limit_kbps = one.bandwidth(policies, Direction.INGRESS).limit_kbps
    if limit_kbps is not None:
        body = _body(policies, one, limit_kbps, limit_kbps, 1.0)
        yield from _with_classes(policies, QueueKey(chassis, PORT, vif.name), body, vif.policy)
    limit_kbps = one.bandwidth(policies, Direction.EGRESS).limit_kbps
    if limit_kbps is not None and vif.is_in_namespace:
        yield QueueKey(chassis, INSTANCE, vif.name), _body(policies, one, limit_kbps, limit_kbps, 1.0)


def _of_branch(policies: PolicySet, chassis: str, uplink: str, branch: Branch) -> Iterator[tuple[QueueKey, QueueBody]]:
    place = uplink_place(uplink)
    if branch.path:
        yield QueueKey(chassis, place, branch.path), QueueBody(branch.guarantee_kbps, branch.limit_kbps, branch.weight)
    for leaf in branch.leaves:
        body = _body(policies, leaf.member, leaf.guarantee_kbps, leaf.limit_kbps, leaf.weight)
        yield from _with_classes(policies, QueueKey(chassis, place, leaf.member.name), body, leaf.member.policy)
    for below in branch.branches:
        yield from _of_branch(policies, chassis, uplink, below)


def _body(policies: PolicySet, one: Member, guarantee_kbps: int, limit_kbps: int | None, weight: float) -> QueueBody:
    node = policies.nodes[one.policy]
    buffer_bytes = buffer_in_force(node, one.scaled)
    return QueueBody(guarantee_kbps, limit_kbps, weight, buffer_bytes, node.congestion or Congestion())


def _with_classes(
    policies: PolicySet, key: QueueKey, body: QueueBody, leaf: str
) -> Iterator[tuple[QueueKey, QueueBody]]:
    yield key, body
    if uses_classes(policies, leaf):
        sizes = {} if body.buffer_bytes is None else by_class(policies, policies.nodes[leaf], body.buffer_bytes)
        for name, own in policies.classes.items():
            guarantee_kbps = round(body.guarantee_kbps * own.share)
            share = QueueBody(guarantee_kbps, None, own.share, sizes.get(name), body.congestion)
            yield QueueKey(key.chassis, key.place, key.owner, name), share
