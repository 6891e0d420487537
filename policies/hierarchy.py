"""The bandwidth tree of a set of VIFs, and whether what it promises can be kept. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass

from policies.model import Direction, PolicySet
from policies.units import rate_text

RESERVABLE_PERCENT = 90  # of a link's capacity; the rest absorbs what guarantees are not made for


@dataclass(frozen=True, slots=True)
class Member:
    """A VIF as far as bandwidth is concerned. uplink None: its segment is internal. chassis None: on no host yet."""

    number: int
    name: str
    policy: str  # path of its leaf
    uplink: str | None = None
    chassis: str | None = None


@dataclass(frozen=True, slots=True)
class Leaf:
    """A VIF with the numbers of its policy leaf as its own. At most one of burst_s and burst_bytes is set."""

    member: Member
    guarantee_kbps: int
    limit_kbps: int | None  # None: no limit of its own
    weight: float
    burst_s: float | None
    burst_bytes: int | None


@dataclass(frozen=True, slots=True)
class Branch:
    """An inner node with VIFs somewhere below it; the root has the path "" and no numbers of its own."""

    path: str
    guarantee_kbps: int  # what it reserves: its own guarantee, or the sum below where that is more
    limit_kbps: int | None
    weight: float
    branches: tuple[Branch, ...]  # by path
    leaves: tuple[Leaf, ...]  # by VIF number


@dataclass(frozen=True, slots=True)
class Breach:
    """A promise that cannot be kept. `problem` and `remedy` are sentences without full stop.

    policy: path of the node that it is about, or of the VIF's leaf; uplink: that it is about. One of them is set.
    """

    subject: str  # "policy 'acme'", "uplink 'eth1' of host 'h1'", "VIF 'web1'"
    problem: str
    remedy: str
    policy: str | None = None
    uplink: str | None = None

    def __str__(self) -> str:
        return f"{self.subject}: {self.problem}. {self.remedy}."


def bandwidth_tree(policies: PolicySet, direction: Direction, members: Collection[Member]) -> Branch:
    """Each VIF stands below the parent of its policy leaf; nodes without VIFs below them are left out.

    Raises KeyError when a member's policy is not a leaf of the tree.
    """
    leaves: dict[str, list[Leaf]] = defaultdict(list)
    branches: dict[str, set[str]] = defaultdict(set)
    for member in sorted(members, key=lambda member: member.number):
        node = policies.nodes[member.policy]
        if not node.is_leaf:
            raise KeyError(f"'{member.policy}' has children: it takes no VIFs")
        own = node.bandwidth(direction)
        leaf = Leaf(member, own.guarantee_kbps, own.limit_kbps, own.weight, own.burst_s, own.burst_bytes)
        leaves[node.parent or ""].append(leaf)
        while node.parent is not None:
            node = policies.nodes[node.parent]
            branches[node.parent or ""].add(node.path)

    def branch(path: str) -> Branch:
        below = tuple(branch(child) for child in sorted(branches[path]))
        own_leaves = tuple(leaves[path])
        reserved = _reserved_kbps(below, own_leaves)
        if not path:
            return Branch("", reserved, None, 1.0, below, own_leaves)
        own = policies.nodes[path].bandwidth(direction)
        return Branch(path, max(own.guarantee_kbps, reserved), own.limit_kbps, own.weight, below, own_leaves)

    return branch("")


def _reserved_kbps(branches: Collection[Branch], leaves: Collection[Leaf]) -> int:
    return sum(branch.guarantee_kbps for branch in branches) + sum(leaf.guarantee_kbps for leaf in leaves)


def admission(policies: PolicySet, members: Collection[Member]) -> list[str]:
    """A line for each promise that these VIFs together would break: where, by how much, what to do about it."""
    return [str(breach) for breach in breaches(policies, members)]


def breaches(policies: PolicySet, members: Collection[Member]) -> list[Breach]:
    """The promises that these VIFs together would break."""
    placed = [member for member in members if member.policy in policies.nodes and policies.nodes[member.policy].is_leaf]
    found = [
        Breach(
            f"VIF '{member.name}'",
            f"policy '{member.policy}' is no leaf of the policy set",
            "Attach it to a leaf",
            policy=member.policy,
        )
        for member in sorted(set(members) - set(placed), key=lambda member: member.number)
    ]
    for direction in Direction:
        found += _overcommitted_nodes(policies, direction, bandwidth_tree(policies, direction, placed))
        found += _overcommitted_links(policies, direction, placed)
    found += _without_capacity(policies, placed)
    return found


def _overcommitted_nodes(policies: PolicySet, direction: Direction, branch: Branch) -> Iterator[Breach]:
    below = _reserved_kbps(branch.branches, branch.leaves)
    if branch.path:
        own = policies.nodes[branch.path].bandwidth(direction)
        bound = own.guarantee_kbps or own.limit_kbps
        if bound is not None and below > bound:
            kind = "guarantee" if own.guarantee_kbps else "limit"
            yield Breach(
                f"policy '{branch.path}'",
                f"the {direction.value} guarantees below it come to {rate_text(below)}, "
                f"{rate_text(below - bound)} more than its own {kind} of {rate_text(bound)}",
                f"Raise its {kind}, or lower or remove some below it",
                policy=branch.path,
            )
    for child in branch.branches:
        yield from _overcommitted_nodes(policies, direction, child)


def _overcommitted_links(policies: PolicySet, direction: Direction, members: Sequence[Member]) -> Iterator[Breach]:
    for (chassis, uplink), users in _by_link(members):
        capacity_kbps = _capacity_kbps(policies, uplink, chassis)
        if capacity_kbps is None:
            continue
        reserved = bandwidth_tree(policies, direction, users).guarantee_kbps
        reservable = capacity_kbps * RESERVABLE_PERCENT // 100
        if reserved > reservable:
            yield Breach(
                f"uplink '{uplink}'{_on(chassis)}",
                f"the {direction.value} guarantees of its VIFs come to "
                f"{rate_text(reserved)}, {rate_text(reserved - reservable)} more than {RESERVABLE_PERCENT} % of its "
                f"capacity of {rate_text(capacity_kbps)}",
                f"Lower or remove some, or raise links.{uplink}.capacity",
                uplink=uplink,
            )


def _without_capacity(policies: PolicySet, members: Sequence[Member]) -> Iterator[Breach]:
    """An egress guarantee is kept by dividing the uplink, so the uplink's capacity must be known."""
    for (chassis, uplink), users in _by_link(members):
        if _capacity_kbps(policies, uplink, chassis) is not None:
            continue
        for member in users:
            holder = _guaranteed_by(policies, member.policy)
            if holder is not None:
                yield Breach(
                    f"VIF '{member.name}'",
                    f"the egress guarantee of policy '{holder}' cannot be kept on uplink "
                    f"'{uplink}'{_on(chassis)}, whose capacity is not known",
                    f"Add it to the policy, as in 'links: {{{uplink}: {{capacity: 1 gbit}}}}'",
                    policy=holder,
                )


def _guaranteed_by(policies: PolicySet, path: str | None) -> str | None:
    """The nearest node at or above the path that has an egress guarantee."""
    while path is not None and not policies.nodes[path].egress.guarantee_kbps:
        path = policies.nodes[path].parent
    return path


def _by_link(members: Sequence[Member]) -> list[tuple[tuple[str | None, str], list[Member]]]:
    users: dict[tuple[str | None, str], list[Member]] = defaultdict(list)
    for member in sorted(members, key=lambda member: member.number):
        if member.uplink is not None:
            users[member.chassis, member.uplink].append(member)
    return sorted(users.items(), key=lambda item: (item[0][0] or "", item[0][1]))


def _capacity_kbps(policies: PolicySet, uplink: str, chassis: str | None) -> int | None:
    link = policies.links.get(uplink)
    if link is None or (link.hosts is not None and chassis not in link.hosts):
        return None
    return link.capacity_kbps


def _on(chassis: str | None) -> str:
    return "" if chassis is None else f" of host '{chassis}'"
