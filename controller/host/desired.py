"""What one host shall be like, from the Weir DB and the loop's rates. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from controller.dataplane.pipeline import PIPELINE
from controller.host.class_queues import ClassShare
from controller.host.errors import HostError
from controller.stream.messages import Rates
from ovsdb.rows import Snapshot, VirtualInterface
from policies.classes import code_points, uses_classes
from policies.errors import PolicyErrors
from policies.hierarchy import Member
from policies.model import NORMAL, Bandwidth, PolicySet
from policies.parser import parse
from policies.resolve import resolve

TABLE_NAMES = {table.id: table.name for table in PIPELINE}


@dataclass(frozen=True, slots=True)
class PolicyInForce:
    """The stored policy as read. fault: why it cannot be read; `policies` is then the last that could.

    is_known: false when none could be read since the agent started: that is not the same as a policy set without nodes.
    """

    files: Mapping[str, str] = field(default_factory=dict)
    policies: PolicySet = field(default_factory=PolicySet)
    fault: str | None = None
    is_known: bool = True


@dataclass(frozen=True, slots=True)
class Limits:
    """What one VIF is held to, in kbit/s; None: to nothing."""

    egress_kbps: int | None = None
    egress_burst_bytes: int | None = None  # None: for the enforcement to choose
    ingress_kbps: int | None = None
    ingress_burst_bytes: int | None = None
    ingress_by_policy: bool = False  # the policy itself has an ingress limit, not only the loop


def read_policy(snapshot: Snapshot, before: PolicyInForce) -> PolicyInForce:
    """Parses only text that has changed since `before`."""
    if snapshot.files == before.files:
        return before
    try:
        return PolicyInForce(snapshot.files, parse(snapshot.files))
    except PolicyErrors as errors:
        is_known = before.is_known and bool(before.files)
        kept = "The one before it is still enforced." if is_known else "Everything is left as it is."
        fault = f"the policy in force cannot be read: {errors.errors[0]} {kept}"
        return PolicyInForce(snapshot.files, before.policies, fault, is_known)


def own_veths(snapshot: Snapshot, chassis: str) -> list[VirtualInterface]:
    return [vif for vif in snapshot.interfaces.values() if vif.kind == "veth" and vif.chassis == chassis]


def limits(vif: VirtualInterface, policies: PolicySet, rates: Rates) -> Limits:
    """The policy's limits, lowered by the loop's rates. Raises HostError when the policy has no such leaf."""
    node = policies.nodes.get(vif.policy)
    if node is None or not node.is_leaf:
        raise HostError(
            f"policy {vif.policy} is no leaf of the policy in force", "Apply a policy that has it, or delete the VIF"
        )
    egress_kbps = _least(node.egress.limit_kbps, rates.egress_kbps.get(vif.number))
    ingress_kbps = _least(node.ingress.limit_kbps, rates.ingress_kbps.get(vif.number))
    return Limits(
        egress_kbps=egress_kbps,
        egress_burst_bytes=_burst_bytes(node.egress, egress_kbps),
        ingress_kbps=ingress_kbps,
        ingress_burst_bytes=_burst_bytes(node.ingress, ingress_kbps),
        ingress_by_policy=node.ingress.limit_kbps is not None,
    )


def capacity_kbps(policies: PolicySet, uplink: str, chassis: str) -> int | None:
    """None: the policy says nothing of this uplink on this host, so nothing of it is divided."""
    link = policies.links.get(uplink)
    return None if link is None or (link.hosts is not None and chassis not in link.hosts) else link.capacity_kbps


def uplink_members(vifs: list[VirtualInterface], policies: PolicySet, uplink: str) -> list[Member]:
    """Those of the VIFs that send through the uplink and whose policy is known."""
    segments = {name for name, segment in policies.segments.items() if segment.uplink == uplink}
    return [
        Member(vif.number, vif.name, vif.policy, uplink, vif.chassis)
        for vif in vifs
        if vif.segment in segments and vif.policy in policies.nodes and policies.nodes[vif.policy].is_leaf
    ]


def class_shares(policies: PolicySet, paths: Collection[str]) -> dict[str, tuple[ClassShare, ...]]:
    """How the traffic of VIFs of these leaves is divided, by path, best class first; empty where it is not.

    Every class of the policy set has its queue, also one that no rule there names yet: a changed rule then changes no
    queue. Of a rule's own code point that is true as well for a rule under audit.
    """
    dividing = {path for path in paths if uses_classes(policies, path)}
    own = code_points(policies) if dividing else {}
    return {path: _shares(policies, path, own) if path in dividing else () for path in paths}


def _shares(policies: PolicySet, path: str, own: Mapping[str, int]) -> tuple[ClassShare, ...]:
    chosen: dict[str, set[int]] = defaultdict(set)
    for rule in resolve(policies, path).rules:
        if rule.traffic_class is not None and rule.dscp is not None:
            chosen[rule.traffic_class].add(rule.dscp)
    return tuple(
        ClassShare(one.share, () if name == NORMAL else (own[name], *sorted(chosen[name] - {own[name]})))
        for name, one in policies.classes.items()
    )


def _least(*limits_kbps: int | None) -> int | None:
    given = [limit for limit in limits_kbps if limit is not None]
    return max(1, min(given)) if given else None


def _burst_bytes(bandwidth: Bandwidth, limit_kbps: int | None) -> int | None:
    if bandwidth.burst_bytes is not None or bandwidth.burst_s is None or limit_kbps is None:
        return bandwidth.burst_bytes
    return round(bandwidth.burst_s * limit_kbps * 1000 / 8)
