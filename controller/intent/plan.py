"""What an apply would change, before it does: compared on paper, from the Weir DB alone. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from controller.dataplane.diff import Changes, diff
from controller.dataplane.entries import SwitchState
from controller.dataplane.stages import Stages, stages
from controller.intent.errors import Rejected
from controller.intent.numbering import NoNumberLeft, renumber
from controller.intent.on_paper import compiled, leaf_views, world_of
from controller.intent.plan_rules import Definition, PlannedRules, changed_definitions, changed_rules
from controller.intent.policy import check, knowingly
from controller.intent.queues import QueueBody, QueueKey, queues_of
from controller.world.desired import World
from controller.world.members import member
from ovsdb.rows import Snapshot, VirtualInterface
from policies.capability import unenforced
from policies.classes import uses_classes
from policies.findings import Finding
from policies.kept_otherwise import kept_otherwise
from policies.lint import lint
from policies.model import Direction, PolicySet
from policies.resolve import ancestry


@dataclass(frozen=True, slots=True)
class Promise:
    """What a VIF is promised in one direction, in kbit/s; limit None: none of its own."""

    guarantee_kbps: int
    limit_kbps: int | None


@dataclass(frozen=True, slots=True)
class OnChassis:
    """before, after: what its switch should hold. fault: why what would be in force then cannot be compiled."""

    before: SwitchState
    after: SwitchState
    changes: Stages
    queues_before: Mapping[QueueKey, QueueBody]
    queues: Changes[QueueKey, QueueBody]
    fault: str | None


@dataclass(frozen=True, slots=True)
class Plan:
    """vifs: names of those whose rules, rates, marks or queues would differ, sorted.

    promises: by VIF and direction, those that would differ, before and after; None: there is no such leaf (any more).
    is_change: whether an apply would write anything. findings: of the new policy set; refusals keep it from being
    applied. warnings: of what the VIFs there are would go without, knowingly.
    """

    rules: PlannedRules
    definitions: Changes[tuple[str, str], Definition]
    vifs: tuple[str, ...]
    chassis: Mapping[str, OnChassis]
    promises: Mapping[tuple[str, Direction], tuple[Promise | None, Promise | None]]
    findings: tuple[Finding, ...]
    warnings: tuple[str, ...]
    is_change: bool

    @property
    def refusals(self) -> list[Finding]:
        return [finding for finding in self.findings if finding.is_refusal]


def plan(files: Mapping[str, str], snapshot: Snapshot, now_s: float) -> Plan:
    """now_s: since 1970, by which bindings of users expire.

    Raises what `apply` would of the files and against the VIFs there are: PolicyErrors, Rejected.
    """
    policies = check(files, snapshot)
    try:
        numbers, _ = renumber(policies, snapshot.numbers, snapshot.next_number)
    except NoNumberLeft as fault:
        raise Rejected([str(fault)]) from fault
    before = world_of(snapshot, now_s)
    after = world_of(replace(snapshot, files=dict(files), numbers=numbers), now_s)
    same = dict(files) == dict(snapshot.files) and numbers == dict(snapshot.numbers)
    return Plan(
        rules=changed_rules(before.policies, policies),
        definitions=changed_definitions(before.policies, policies),
        vifs=tuple(_touched(before, after)),
        chassis={name: _on_chassis(name, before, after) for name in sorted(snapshot.chassis)},
        promises=_promises(snapshot, before.policies, policies),
        findings=_findings(policies, snapshot),
        warnings=tuple(knowingly(policies, snapshot)),
        is_change=not (snapshot.policy_version and same),
    )


def _findings(policies: PolicySet, snapshot: Snapshot) -> tuple[Finding, ...]:
    members = [member(vif, policies) for vif in snapshot.interfaces.values()]
    return tuple(sorted([*unenforced(policies), *kept_otherwise(policies), *lint(policies, members)]))


def _on_chassis(name: str, before: World, after: World) -> OnChassis:
    old, new = compiled(before, name), compiled(after, name)
    vifs = [vif for vif in after.snapshot.interfaces.values() if vif.chassis == name]
    queues = queues_of(before.policies, vifs)
    changes = stages(new.state, old.state)
    return OnChassis(old.state, new.state, changes, queues, diff(queues_of(after.policies, vifs), queues), new.fault)


def _touched(before: World, after: World) -> list[str]:
    old, new = _seen(before), _seen(after)
    return sorted(name for name in after.snapshot.interfaces if old[name] != new[name])


def _seen(world: World) -> dict[str, object]:
    """By VIF, everything that the policies mean for it: what its rules come to, addresses and all, and its rates."""
    try:
        leaves = leaf_views(world)
    except (ValueError, KeyError):  # reported with the chassis concerned
        leaves = {}
    queues: dict[str, list[object]] = {name: [] for name in world.snapshot.interfaces}
    for key, body in queues_of(world.policies, world.snapshot.interfaces.values()).items():
        if key.owner in queues:
            queues[key.owner].append((key, body))
    return {
        name: (leaves.get(vif.policy), _rates(world.policies, vif), queues[name], _segment(world, vif))
        for name, vif in world.snapshot.interfaces.items()
    }


def _rates(policies: PolicySet, vif: VirtualInterface) -> object:
    """Those of the nodes above bound it as well."""
    if vif.policy not in policies.nodes:
        return None
    classes = [(own.name, own.share) for own in policies.classes.values()] if uses_classes(policies, vif.policy) else []
    own = [member(vif, policies).bandwidth(policies, direction) for direction in Direction]
    return own, [(node.path, node.egress, node.ingress) for node in ancestry(policies, vif.policy)], classes


def _segment(world: World, vif: VirtualInterface) -> object:
    segment = world.policies.segments.get(vif.segment)
    return None if segment is None else (segment.type, segment.uplink, segment.vlan)


def _promises(
    snapshot: Snapshot, before: PolicySet, after: PolicySet
) -> dict[tuple[str, Direction], tuple[Promise | None, Promise | None]]:
    found = {}
    for name, vif in sorted(snapshot.interfaces.items()):
        for direction in Direction:
            both = _promise(before, vif, direction), _promise(after, vif, direction)
            if both[0] != both[1]:
                found[name, direction] = both
    return found


def _promise(policies: PolicySet, vif: VirtualInterface, direction: Direction) -> Promise | None:
    if vif.policy not in policies.nodes:
        return None
    own = member(vif, policies).bandwidth(policies, direction)
    return Promise(own.guarantee_kbps, own.limit_kbps)
