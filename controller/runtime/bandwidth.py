"""From the Weir DB to what the loop divides: the two trees over all VIFs, and the capacity of each uplink. Pure."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from controller.allocation.network import Network
from controller.allocation.tree import Tree, TreeNode, tree_of
from controller.world.desired import World
from controller.world.members import members_in_force
from policies.hierarchy import Branch, Leaf, Member, bandwidth_tree
from policies.model import Direction, PolicySet

Links = Mapping[tuple[str, str], int]  # (chassis, uplink) -> index of the link


def network_of(world: World) -> Network:
    """What the loop divides in this world."""
    placed = {vif.number for members in world.members.values() for vif in members}
    members = [
        one for one in members_in_force(world.snapshot.interfaces.values(), world.policies) if one.number in placed
    ]
    capacities = _capacities(world.policies, members)
    links = {link: index for index, link in enumerate(capacities)}
    return Network(
        egress=_tree(bandwidth_tree(world.policies, Direction.EGRESS, members), links),
        ingress=_tree(bandwidth_tree(world.policies, Direction.INGRESS, members), {}),
        capacity_kbps=np.array(list(capacities.values()), dtype=np.float64),
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
