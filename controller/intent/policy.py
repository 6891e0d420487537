"""Putting a policy set into force: read, held against the VIFs there are, numbered, written in one step."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Iterator, Mapping
from ipaddress import ip_interface

from controller.intent.errors import NotInForce, Rejected
from controller.intent.numbering import NoNumberLeft, renumber
from controller.intent.promises import Promises, warnings
from controller.intent.uplinks import way_out_fault
from controller.intent.vif_drafting import broken_promises, worse
from controller.intent.wait import Change, await_in_force
from controller.intent.writing import write
from controller.world.members import member
from ovsdb.rows import Snapshot, VirtualInterface
from ovsdb.weir_db import Command, PolicyText, WeirDb
from policies.capability import unenforced
from policies.errors import PolicyError, PolicyErrors
from policies.findings import Finding
from policies.kept_otherwise import kept_otherwise
from policies.model import Direction, PolicySet, SegmentType
from policies.own_numbers import faults, own_of
from policies.parser import parse
from policies.scaling import outside

DEADLINE_S = 30.0
SHOWN = 8  # names in a line; more are counted
LONGEST_REASON = 500  # characters


def check(files: Mapping[str, str], snapshot: Snapshot | None = None) -> PolicySet:
    """The policy set that the files make. With a snapshot, also whether the VIFs in it could live under it.

    Raises PolicyErrors with everything that is wrong in the files, Rejected with what stands against it.
    """
    policies = parse(files)
    if snapshot is not None and (lines := list(_objections(policies, snapshot))):
        raise Rejected(lines)
    return policies


def shortfall(policies: PolicySet) -> list[Finding]:
    """What of a policy set this version does not enforce and is told to go without, and what is kept otherwise than
    one might think: warnings.

    Raises PolicyErrors with what it does not enforce and has not been told so of.
    """
    findings = [*unenforced(policies), *kept_otherwise(policies)]
    refusals = [found for found in findings if found.is_refusal]
    if refusals:
        raise PolicyErrors(PolicyError(found.position, found.path, found.problem, found.remedy) for found in refusals)
    return sorted(findings)


def knowingly(policies: PolicySet, snapshot: Snapshot) -> list[str]:
    """What the VIFs of a snapshot go without under a policy set that says so: a line each, as warnings."""
    of_set = set(map(str, kept_otherwise(policies)))  # those are said without any VIF
    return [line for line in warnings(snapshot.interfaces.values(), policies, snapshot) if line not in of_set]


def apply(db: WeirDb, files: Mapping[str, str], by: str, reason: str = "", deadline_s: float = DEADLINE_S) -> int:
    """Replaces the whole policy set; returns its version once it is in force on every chassis. Somebody else may have
    replaced it by a newer one by then: see `replaced`.

    Applying what is in force already writes nothing. Raises PolicyErrors and Rejected (nothing is changed), NotInForce
    (it is written, and comes into force where it is not as soon as what is in the way has gone), DatabaseError.
    """
    cfg, base = _submitted(db, files, by, reason)
    lines: list[str] = []
    try:
        await_in_force(db, Change(cfg, base), deadline_s)
    except NotInForce as fault:
        lines += fault.lines
    snapshot = db.snapshot()
    lines += _broken(base, snapshot)
    if lines:
        kept = "The policy stands in the Weir DB: it comes into force there when agent and controller act on it."
        raise NotInForce([*lines, kept])
    return base.policy_version + (cfg != base.cfg)  # the one that was in force already, when nothing was written


def replaced(version: int, snapshot: Snapshot) -> str | None:
    """What is to be said to whoever applied `version`, when that is not the one in force any more."""
    newest = snapshot.policy_version
    if newest == version:
        return None
    return f"policy version {version} was replaced by version {newest} meanwhile. See weir policy history."


def submit(db: WeirDb, files: Mapping[str, str], by: str, reason: str = "") -> int:
    """Writes the policy set without waiting. Returns the sequence number under which it takes effect."""
    return _submitted(db, files, by, reason)[0]


def _submitted(db: WeirDb, files: Mapping[str, str], by: str, reason: str) -> tuple[int, Snapshot]:
    if len(reason) > LONGEST_REASON or not reason.isprintable():
        raise Rejected([f"the reason is no line of text. Use at most {LONGEST_REASON} printable characters."])

    def decide(base: Snapshot) -> Command:
        policies = check(files, base)
        shortfall(policies)
        try:
            numbers, next_number = renumber(policies, base.numbers, base.next_number)
        except NoNumberLeft as fault:
            raise Rejected([str(fault)]) from fault
        if base.policy_version and dict(files) == dict(base.files) and numbers == dict(base.numbers):
            return Command()
        return Command(policy=PolicyText(files, by, time.time(), reason), numbers=numbers, next_number=next_number)

    return write(db, decide, f"weir policy apply by {by}")


def _broken(before: Snapshot, after: Snapshot) -> Iterator[str]:
    """The VIFs that are in error now and were not before."""
    for name, vif in after.interfaces.items():
        old = before.interfaces.get(name)
        if vif.state == "error" and old is not None and old.state != "error":
            yield f"VIF '{name}': {vif.error}"


def _objections(policies: PolicySet, snapshot: Snapshot) -> Iterator[str]:
    vifs = list(snapshot.interfaces.values())
    yield from _orphans(policies, vifs)
    yield from _outside(policies, vifs)
    yield from _taken(policies, vifs)
    before = parse(snapshot.files)
    yield from _cut_off(policies, before, snapshot)
    known = broken_promises(before, [], [member(vif, before) for vif in vifs], snapshot)
    living = [vif for vif in vifs if _has_leaf(policies, vif)]
    yield from _beyond(policies, before, living)
    yield from _not_kept(policies, before, living, snapshot)
    found = broken_promises(policies, [], [member(vif, policies) for vif in living], snapshot)
    yield from map(str, worse(known, found))


def _has_leaf(policies: PolicySet, vif: VirtualInterface) -> bool:
    node = policies.nodes.get(vif.policy)
    return node is not None and node.is_leaf


def _orphans(policies: PolicySet, vifs: list[VirtualInterface]) -> Iterator[str]:
    """What VIFs use must stay: their leaf a leaf, their segment a segment."""
    by_policy: dict[str, list[str]] = defaultdict(list)
    by_segment: dict[str, list[str]] = defaultdict(list)
    for vif in vifs:
        if not _has_leaf(policies, vif):
            by_policy[vif.policy].append(vif.name)
        if vif.segment not in policies.segments:
            by_segment[vif.segment].append(vif.name)
    for path, names in sorted(by_policy.items()):
        if path in policies.nodes:
            yield f"policy '{path}' gets nodes below it and so takes no VIFs, but {_have(names)} it. {_remedy(names)}"
        else:
            yield f"policy '{path}' is not there any more, but {_have(names)} it. {_remedy(names)}"
    for segment, names in sorted(by_segment.items()):
        yield f"segment '{segment}' is not there any more, but {_have(names)} it. {_remedy(names)}"


def _outside(policies: PolicySet, vifs: list[VirtualInterface]) -> Iterator[str]:
    """Addresses that VIFs have must stay in the subnets of their segments, with the prefix length of these."""
    outside: dict[str, list[str]] = defaultdict(list)
    for vif in vifs:
        segment = policies.segments.get(vif.segment)
        subnets = segment.subnets if segment is not None else ()
        networks = {ip_interface(address).network for address in vif.addresses}
        if subnets and not networks <= set(subnets):
            outside[vif.segment].append(vif.name)
    for name, names in sorted(outside.items()):
        subnets = policies.segments[name].subnets
        yield (
            f"segment '{name}': addresses of {_vifs(names)} are not in its subnets {', '.join(map(str, subnets))}. "
            f"Keep the subnets that they are in, or delete them first: {_deletion(names)}."
        )


def _taken(policies: PolicySet, vifs: list[VirtualInterface]) -> Iterator[str]:
    """The router must not come to have an address of a VIF."""
    routed = [segment for segment in policies.segments.values() if segment.type is SegmentType.ROUTED]
    by_address = {address: (segment.name, "gateway") for segment in routed for address in segment.gateways}
    by_address |= {one.ip: (segment.name, "address") for segment in routed for one in segment.addresses}
    for vif in sorted(vifs, key=lambda vif: vif.name):
        for own in dict.fromkeys(ip_interface(text).ip for text in (*vif.addresses, *vif.learned)):
            if own in by_address:
                segment, key = by_address[own]
                yield (
                    f"segment '{segment}': {key} {own} is an address of VIF {vif.name}. Give the router another one, "
                    f"or delete the VIF first: {_deletion([vif.name])}."
                )


def _beyond(policies: PolicySet, before: PolicySet, vifs: list[VirtualInterface]) -> Iterator[str]:
    """Numbers of a VIF's own must stay within those of its leaf."""
    by_fault: dict[str, list[str]] = defaultdict(list)
    for vif in vifs:
        known = set(_own_faults(before, vif)) if _has_leaf(before, vif) else set()
        for fault in _own_faults(policies, vif):
            if fault not in known:
                by_fault[fault].append(vif.name)
    for fault, names in sorted(by_fault.items()):
        yield f"{_vifs(names)}: {fault} Or change them first: weir vif set."


def _own_faults(policies: PolicySet, vif: VirtualInterface) -> Iterator[str]:
    leaf = policies.nodes[vif.policy]
    for direction, own in ((Direction.EGRESS, own_of(vif.egress)), (Direction.INGRESS, own_of(vif.ingress))):
        yield from faults(leaf.bandwidth(direction), leaf.path, direction, own)
        yield from outside(leaf, direction, own)


def _not_kept(
    policies: PolicySet, before: PolicySet, vifs: list[VirtualInterface], snapshot: Snapshot
) -> Iterator[str]:
    """A VIF must not come to have a policy that its kind or its host cannot keep."""
    by_fault: dict[str, list[str]] = defaultdict(list)
    old, new = Promises(before, snapshot), Promises(policies, snapshot)
    for vif in vifs:
        known = {one.about for one in old.of_vif(vif) if one.is_refusal}
        for one in new.of_vif(vif):
            if one.is_refusal and one.about not in known:
                by_fault[str(one)].append(vif.name)
    yield from (f"{_vifs(names)}: {fault} {_remedy(names)}" for fault, names in sorted(by_fault.items()))


def _cut_off(policies: PolicySet, before: PolicySet, snapshot: Snapshot) -> Iterator[str]:
    """A segment of VIFs must not be moved to an uplink that their host does not have."""
    cut_off: dict[str, list[str]] = defaultdict(list)
    for vif in snapshot.interfaces.values():
        segment, host = policies.segments.get(vif.segment), snapshot.chassis.get(vif.chassis or "")
        if segment is None or host is None:
            continue
        fault, old = way_out_fault(segment, host), before.segments.get(vif.segment)
        if fault is not None and (old is None or fault != way_out_fault(old, host)):
            cut_off[fault].append(vif.name)
    yield from (f"{_vifs(names)}: {fault}" for fault, names in sorted(cut_off.items()))


def _have(names: list[str]) -> str:
    return f"{_vifs(names)} {'uses' if len(names) == 1 else 'use'}"


def _vifs(names: list[str]) -> str:
    shown = ", ".join(sorted(names)[:SHOWN]) + (f" and {len(names) - SHOWN} more" if len(names) > SHOWN else "")
    return f"VIF {shown}" if len(names) == 1 else f"VIFs {shown}"


def _remedy(names: list[str]) -> str:
    return f"Keep it, or delete them first: {_deletion(names)}."


def _deletion(names: list[str]) -> str:
    return f"weir vif delete {' '.join(sorted(names)[:SHOWN])}" + (" ..." if len(names) > SHOWN else "")
