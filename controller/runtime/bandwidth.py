"""From the Weir DB to what the loop divides: the two trees over all VIFs, and the capacity of each uplink. Pure."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from controller.allocation.actuator import Target, least_interval_s
from controller.allocation.network import Network
from controller.allocation.tree import Tree, TreeNode, tree_of
from controller.world.desired import World, member, vif_meter
from ovsdb.rows import VirtualInterface
from policies.hierarchy import Branch, Leaf, Member, bandwidth_tree
from policies.model import Direction, PolicySet

Links = Mapping[tuple[str, str], int]  # (chassis, uplink) -> index of the link


def network_of(world: World) -> Network:
    """What the loop divides in this world."""
    vifs = [vif for members in world.members.values() for vif in members]
    members = [member(vif, world.policies) for vif in vifs]
    capacities = _capacities(world.policies, members)
    links = {link: index for index, link in enumerate(capacities)}
    return Network(
        egress=_tree(bandwidth_tree(world.policies, Direction.EGRESS, members), links),
        ingress=_tree(bandwidth_tree(world.policies, Direction.INGRESS, members), {}),
        capacity_kbps=np.array(list(capacities.values()), dtype=np.float64),
        least_interval_s=_least_intervals(vifs, world.policies),
    )


def _capacities(policies: PolicySet, members: list[Member]) -> dict[tuple[str, str], int]:
    """kbit/s of the links that VIFs use and the policy knows."""
    found = {}
    for user in members:
        link = policies.links.get(user.uplink) if user.uplink else None
        if link is not None and user.uplink and user.chassis and (link.hosts is None or user.chassis in link.hosts):
            found[user.chassis, user.uplink] = link.capacity_kbps
    return dict(sorted(found.items()))


def _tree(root: Branch, links: Links) -> Tree:
    nodes: list[TreeNode] = []

    def add(branch: Branch, parent: int) -> None:
        index = len(nodes)
        limit = float("inf") if branch.limit_kbps is None else branch.limit_kbps
        nodes.append(TreeNode(parent, branch.guarantee_kbps, limit, branch.weight, name=branch.path or "/"))
        nodes.extend(_leaf(leaf, index, links) for leaf in branch.leaves)
        for child in branch.branches:
            add(child, index)

    add(root, -1)
    return tree_of(nodes)


def _leaf(leaf: Leaf, parent: int, links: Links) -> TreeNode:
    user = leaf.member
    return TreeNode(
        parent=parent,
        guarantee_kbps=leaf.guarantee_kbps,
        limit_kbps=float("inf") if leaf.limit_kbps is None else leaf.limit_kbps,
        weight=leaf.weight,
        leaf_key=user.number,
        link=links.get((user.chassis or "", user.uplink or "")),
    )


def _least_intervals(vifs: list[VirtualInterface], policies: PolicySet) -> dict[Target, float]:
    """A changed meter refills its bucket: without a shaper in front of it that is a leak, so it must change seldom.

    The meter is taken at the highest rate that the loop may ever set: the least limit on the way up from its node.
    """
    intervals: dict[Target, float] = {}
    for vif in vifs:
        meter = None if vif.kind == "veth" else vif_meter(vif, policies, _least_limit_kbps(vif.policy, policies))
        if meter is not None:
            intervals["egress", vif.number] = least_interval_s(meter.burst_kbit, meter.rate_kbps)
    return intervals


def _least_limit_kbps(path: str | None, policies: PolicySet) -> int | None:
    limits = []
    while path is not None:
        limits.append(policies.nodes[path].egress.limit_kbps)
        path = policies.nodes[path].parent
    return min((limit for limit in limits if limit is not None), default=None)
