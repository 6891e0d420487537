"""What one host shall be like, from the Weir DB and the loop's rates. Pure."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace

from controller.dataplane.pipeline import PIPELINE
from controller.host.class_queues import ClassShare
from controller.host.errors import HostError
from controller.stream.messages import Rates
from ovsdb.rows import Snapshot, VirtualInterface
from policies.classes import chosen_code_points, code_points, uses_classes
from policies.enforcement import limits_ingress
from policies.errors import PolicyErrors
from policies.hierarchy import Member
from policies.model import DEFAULT_MTU, Bandwidth, Congestion, PolicySet
from policies.own_numbers import own_of, with_own
from policies.parser import parse
from policies.scaling import buffer_in_force, columns_of, cpu_in_force, scaled_of
from policies.surplus import fitted
from policies.ways_out import outward_uplink

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
    ingress_by_policy: bool = False  # the VIF, its leaf or a node above has an ingress limit
    buffer_bytes: int | None = None  # the most that may queue for it in each direction; None: for us to choose
    congestion: Congestion = field(default_factory=Congestion)  # what sort of queue that is
    queues: int | None = None  # receive and transmit queues of its device; None: as its kind has them
    cpu: float | None = None  # parts of one datapath core; None: no bound
    class_kbps: Mapping[str, int] = field(default_factory=dict)  # the most that its classes may take of the uplink


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


def in_force(snapshot: Snapshot, policies: PolicySet) -> Snapshot:
    """With the guarantees that the loop has raised cut to what is free by now: whoever has come since is promised his
    at once, not with the loop's next tick.
    """
    vifs = snapshot.interfaces
    if not any(vif.scaled for vif in vifs.values()):
        return snapshot
    members = {
        name: _member(vif, outward_uplink(policies, vif.segment))
        for name, vif in vifs.items()
        if (node := policies.nodes.get(vif.policy)) is not None and node.is_leaf
    }
    after = dict(zip(members, fitted(policies, list(members.values())), strict=True))
    cut = {
        name: replace(vifs[name], scaled=columns_of(one.scaled)) for name, one in after.items() if one != members[name]
    }
    return replace(snapshot, interfaces={**vifs, **cut}) if cut else snapshot


class InForce:
    """Remembers one `in_force` and what it was made from: it looks at the VIFs of all hosts, and most passes of the
    agent come with the snapshot and the policies that the pass before had.
    """

    def __init__(self) -> None:
        self._made: tuple[Snapshot, PolicySet, Snapshot] | None = None

    def of(self, snapshot: Snapshot, policies: PolicySet) -> Snapshot:
        made = self._made
        if made is None or made[0] is not snapshot or made[1] is not policies:
            made = self._made = snapshot, policies, in_force(snapshot, policies)
        return made[2]


def limits(vif: VirtualInterface, policies: PolicySet, rates: Rates) -> Limits:
    """The VIF's own limits or its policy's, lowered by the loop's rates. Raises HostError when it has no leaf."""
    node = policies.nodes.get(vif.policy)
    if node is None or not node.is_leaf:
        raise HostError(
            f"policy {vif.policy} is no leaf of the policy in force", "Apply a policy that has it, or delete the VIF"
        )
    own_ingress = own_of(vif.ingress)
    egress, ingress = with_own(node.egress, own_of(vif.egress)), with_own(node.ingress, own_ingress)
    scaled = scaled_of(vif.scaled)
    egress_kbps = _least(egress.limit_kbps, rates.egress_kbps.get(vif.number))
    ingress_kbps = _least(ingress.limit_kbps, rates.ingress_kbps.get(vif.number))
    return Limits(
        egress_kbps=egress_kbps,
        egress_burst_bytes=_burst_bytes(egress, egress_kbps),
        ingress_kbps=ingress_kbps,
        ingress_burst_bytes=_burst_bytes(ingress, ingress_kbps),
        ingress_by_policy=limits_ingress(policies, vif.policy, own_ingress),
        buffer_bytes=buffer_in_force(node, scaled),
        congestion=node.congestion or Congestion(),
        queues=None if node.queues is None else int(node.queues.most),
        cpu=cpu_in_force(node, scaled),
        class_kbps=rates.class_kbps.get(vif.number, {}),
    )


def mtu(vif: VirtualInterface, policies: PolicySet) -> int:
    """Bytes of an IP packet that the VIF's segment carries."""
    segment = policies.segments.get(vif.segment)
    return DEFAULT_MTU if segment is None or segment.mtu is None else segment.mtu


def capacity_kbps(policies: PolicySet, uplink: str, chassis: str) -> int | None:
    """None: the policy says nothing of this uplink on this host, so nothing of it is divided."""
    link = policies.links.get(uplink)
    return None if link is None or (link.hosts is not None and chassis not in link.hosts) else link.capacity_kbps


def uplink_members(vifs: list[VirtualInterface], policies: PolicySet, uplink: str) -> list[Member]:
    """Those of the VIFs that send outside by the uplink and whose policy is known."""
    segments = {name for name in policies.segments if outward_uplink(policies, name) == uplink}
    return [
        _member(vif, uplink)
        for vif in vifs
        if vif.segment in segments and vif.policy in policies.nodes and policies.nodes[vif.policy].is_leaf
    ]


def _member(vif: VirtualInterface, uplink: str | None) -> Member:
    own, scaled = (own_of(vif.egress), own_of(vif.ingress)), scaled_of(vif.scaled)
    return Member(vif.number, vif.name, vif.policy, uplink, vif.chassis, *own, scaled=scaled)


def class_shares(policies: PolicySet, paths: Collection[str]) -> dict[str, tuple[ClassShare, ...]]:
    """How the traffic of VIFs of these leaves is divided, by path, best class first; empty where it is not.

    Every class of the policy set has its queue, also one that no rule there names yet: a changed rule then changes no
    queue. Of a rule's own code point that is true as well for a rule under audit.
    """
    dividing = {path for path in paths if uses_classes(policies, path)}
    own = code_points(policies) if dividing else {}
    return {path: _shares(policies, path, own) if path in dividing else () for path in paths}


def _shares(policies: PolicySet, path: str, own: Mapping[str, int]) -> tuple[ClassShare, ...]:
    chosen = chosen_code_points(policies, path, own)
    return tuple(ClassShare(one.share, chosen.get(name, ())) for name, one in policies.classes.items())


def _least(*limits_kbps: int | None) -> int | None:
    given = [limit for limit in limits_kbps if limit is not None]
    return max(1, min(given)) if given else None


def _burst_bytes(bandwidth: Bandwidth, limit_kbps: int | None) -> int | None:
    if bandwidth.burst_bytes is not None or bandwidth.burst_s is None or limit_kbps is None:
        return bandwidth.burst_bytes
    return round(bandwidth.burst_s * limit_kbps * 1000 / 8)
