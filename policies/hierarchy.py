"""The bandwidth tree of a set of VIFs, and whether what it promises can be kept. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace

from policies.model import Bandwidth, Direction, PolicySet
from policies.own_numbers import INHERITED, Own
from policies.scaling import UNSCALED, Scaled, bandwidth_in_force
from policies.units import rate_text

RESERVABLE_PERCENT = 90  # of a link's capacity; the rest absorbs what guarantees are not made for
_ITSELF = ""  # no path of a node


@dataclass(frozen=True, slots=True)
class Member:
    """A VIF as far as bandwidth is concerned. uplink None: its segment is internal. chassis None: on no host yet.

    egress, ingress: its own numbers, in place of its leaf's. segment: None: not known. scaled: what the loop has moved.
    """

    number: int
    name: str
    policy: str  # path of its leaf
    uplink: str | None = None
    chassis: str | None = None
    egress: Own = INHERITED
    ingress: Own = INHERITED
    segment: str | None = None
    scaled: Scaled = UNSCALED

    def bandwidth(self, policies: PolicySet, direction: Direction) -> Bandwidth:
        """The numbers that hold for it. Raises KeyError when the policies have no such leaf."""
        own = self.egress if direction is Direction.EGRESS else self.ingress
        return bandwidth_in_force(policies.nodes[self.policy], direction, own, self.scaled)


@dataclass(frozen=True, slots=True)
class Leaf:
    """A VIF with its own numbers, or those of its policy leaf. At most one of burst_s and burst_bytes is set."""

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

    policy: path of the node that it is about, or of the VIF's leaf; uplink: that it is about. One at most is set.
    excess_kbps, excess_bytes: by how much, in which direction, where it is about a sum.
    """

    subject: str  # "policy 'acme'", "uplink 'eth1' of host 'h1'", "VIF 'web1'"
    problem: str
    remedy: str
    policy: str | None = None
    uplink: str | None = None
    direction: Direction | None = None
    excess_kbps: int = 0
    excess_bytes: int = 0

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
        own = member.bandwidth(policies, direction)
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


def reserved_below_kbps(branch: Branch) -> int:
    """What it would reserve if it had no guarantee of its own."""
    return _reserved_kbps(branch.branches, branch.leaves)


def admission(policies: PolicySet, members: Collection[Member]) -> list[str]:
    """A line for each promise that these VIFs together would break: where, by how much, what to do about it."""
    return [str(breach) for breach in breaches(policies, members)]


def breaches(policies: PolicySet, members: Collection[Member]) -> list[Breach]:
    """The promises that these VIFs together would break: what is written, whatever the loop has moved since."""
    members = [member if member.scaled is UNSCALED else replace(member, scaled=UNSCALED) for member in members]
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
    found += overcommitted(policies, placed)
    found += _without_capacity(policies, placed)
    return found


def overcommitted(policies: PolicySet, members: Sequence[Member]) -> list[Breach]:
    """The nodes and uplinks of which more is guaranteed than they have, by the numbers in force."""
    found: list[Breach] = []
    for direction in Direction:
        found += _overcommitted_nodes(policies, direction, bandwidth_tree(policies, direction, members))
        found += _overcommitted_links(policies, direction, members)
    return found


def _overcommitted_nodes(policies: PolicySet, direction: Direction, branch: Branch) -> Iterator[Breach]:
    below = reserved_below_kbps(branch)
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
                direction=direction,
                excess_kbps=below - bound,
            )
    for child in branch.branches:
        yield from _overcommitted_nodes(policies, direction, child)


def _overcommitted_links(policies: PolicySet, direction: Direction, members: Sequence[Member]) -> Iterator[Breach]:
    for (chassis, uplink), users in by_link(members):
        known_kbps, reservable = capacity_kbps(policies, uplink, chassis), reservable_kbps(policies, uplink, chassis)
        if known_kbps is None or reservable is None:
            continue
        reserved = bandwidth_tree(policies, direction, users).guarantee_kbps
        if reserved > reservable:
            yield Breach(
                f"uplink '{uplink}'{_on(chassis)}",
                f"the {direction.value} guarantees of its VIFs come to "
                f"{rate_text(reserved)}, {rate_text(reserved - reservable)} more than {RESERVABLE_PERCENT} % of its "
                f"capacity of {rate_text(known_kbps)}",
                f"Lower or remove some, or raise links.{uplink}.capacity",
                uplink=uplink,
                direction=direction,
                excess_kbps=reserved - reservable,
            )


def _without_capacity(policies: PolicySet, members: Sequence[Member]) -> Iterator[Breach]:
    """An egress guarantee is kept by dividing the uplink, so the uplink's capacity must be known."""
    for (chassis, uplink), users in by_link(members):
        if capacity_kbps(policies, uplink, chassis) is not None:
            continue
        for member in users:
            holder = _guaranteed_by(policies, member)
            if holder is not None:
                whose = f"the egress guarantee of policy '{holder}'" if holder else "its own egress guarantee"
                yield Breach(
                    f"VIF '{member.name}'",
                    f"{whose} cannot be kept on uplink '{uplink}'{_on(chassis)}, whose capacity is not known",
                    f"Add it to the policy, as in 'links: {{{uplink}: {{capacity: 1 gbit}}}}'",
                    policy=holder or member.policy,
                )


def _guaranteed_by(policies: PolicySet, member: Member) -> str | None:
    """Whose egress guarantee it is under: _ITSELF, or the nearest node that has one."""
    path: str | None = member.policy
    if member.egress.guarantee_kbps is not None:
        if member.egress.guarantee_kbps:
            return _ITSELF
        path = policies.nodes[member.policy].parent
    while path is not None and not policies.nodes[path].egress.guarantee_kbps:
        path = policies.nodes[path].parent
    return path


def by_link(members: Sequence[Member]) -> list[tuple[tuple[str | None, str], list[Member]]]:
    """By host and uplink, those that send through it, both sorted."""
    users: dict[tuple[str | None, str], list[Member]] = defaultdict(list)
    for member in sorted(members, key=lambda member: member.number):
        if member.uplink is not None:
            users[member.chassis, member.uplink].append(member)
    return sorted(users.items(), key=lambda item: (item[0][0] or "", item[0][1]))


def capacity_kbps(policies: PolicySet, uplink: str, chassis: str | None) -> int | None:
    """Of this uplink of this host; None: the policy does not say."""
    link = policies.links.get(uplink)
    if link is None or (link.hosts is not None and chassis not in link.hosts):
        return None
    return link.capacity_kbps


def reservable_kbps(policies: PolicySet, uplink: str, chassis: str | None) -> int | None:
    """What guarantees may come to there."""
    known_kbps = capacity_kbps(policies, uplink, chassis)
    return None if known_kbps is None else known_kbps * RESERVABLE_PERCENT // 100


def _on(chassis: str | None) -> str:
    return "" if chassis is None else f" of host '{chassis}'"
