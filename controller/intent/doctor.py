"""What each host keeps of what policies can promise, and of what the policy in force does promise. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from controller.intent.host_limits import host_fault
from controller.intent.naming import vifs_named
from controller.intent.promises import Promises, devices_of, on_kernel, short_of_buffers
from controller.world.members import member
from ovsdb.rows import DATAPATH, KERNEL, Chassis, Snapshot
from policies.buffers import needed_bytes
from policies.capability import unenforced
from policies.classes import LOCAL_USE, code_points, uses_classes
from policies.enforcement import JOINED, KINDS, PACKETS, UPLINK_SPEED, Feature, Keeping, Port, asked, keeping
from policies.kept_otherwise import kept_otherwise
from policies.model import PolicySet
from policies.own_numbers import INHERITED
from policies.units import rate_text
from policies.unqueued import unqueued

Matrix = Mapping[Feature, Mapping[str, Keeping]]  # by kind
_KBPS = 1000  # of one Mbit/s


def matrix(host: Chassis) -> Matrix:
    """Of a kind that the host cannot have at all nothing is kept."""
    faults = {kind: host_fault(kind, host) for kind in KINDS}
    return {feature: {kind: _cell(feature, kind, faults[kind], host) for kind in KINDS} for feature in Feature}


def _cell(feature: Feature, kind: str, fault: str | None, host: Chassis) -> Keeping:
    if fault is None:
        return keeping(feature, Port(kind), host.capabilities)
    why_not, _, remedy = fault.partition(". ")
    return Keeping(None, why_not, remedy.removesuffix("."))


def unkept(policies: PolicySet, snapshot: Snapshot) -> list[str]:
    """What the policy in force asks for and nobody keeps, best-effort or not: one line each, naming the VIFs."""
    by_line: dict[str, list[str]] = {}
    promises = Promises(policies, snapshot)
    for vif in snapshot.interfaces.values():
        for one in promises.of_vif(vif):
            by_line.setdefault(str(one), []).append(vif.name)
    of_vifs = [f"{vifs_named(sorted(names))}: {line}" for line, names in by_line.items()]
    return [
        *of_vifs,
        *map(str, unenforced(policies)),
        *short_of_buffers(policies, snapshot.interfaces.values(), snapshot),
    ]


def _buffers_bytes(policies: PolicySet, snapshot: Snapshot, host: str) -> int:
    members = [member(vif, policies) for vif in snapshot.interfaces.values()]
    return needed_bytes(policies, members, host, devices_of(snapshot))


def remarks(policies: PolicySet, snapshot: Snapshot) -> list[str]:
    """What is kept, and not quite as one might think: one line each."""
    members = [member(vif, policies) for vif in snapshot.interfaces.values()]
    findings = sorted([*kept_otherwise(policies), *unqueued(policies, members)])
    of_hosts = [*_fast(policies, snapshot), *_joined(policies, snapshot), *_notes(snapshot)]
    slower = on_kernel(policies, snapshot.interfaces.values(), snapshot)
    return [*_marks(policies), *map(str, findings), *slower, *of_hosts]


def _marks(policies: PolicySet) -> Iterator[str]:
    if any(node.is_leaf and uses_classes(policies, path) for path, node in policies.nodes.items()):
        for name, number in code_points(policies).items():
            if policies.classes[name].dscp is None and number in LOCAL_USE:
                yield (
                    f"class '{name}': its packets are marked with DSCP {number}, one for local use, which receivers "
                    "see. Give it a 'dscp' to choose another."
                )


def _notes(snapshot: Snapshot) -> Iterator[str]:
    for name, host in snapshot.chassis.items():
        if host.agent_note is not None:
            yield f"host '{name}': {host.agent_note}"


def _fast(policies: PolicySet, snapshot: Snapshot) -> Iterator[str]:
    for host in snapshot.chassis.values():
        for name, speed_mbps in uplink_speeds(host).items():
            link = policies.links.get(name)
            concerned = link is not None and (link.hosts is None or host.name in link.hosts)
            if link is not None and concerned and link.capacity_kbps > speed_mbps * _KBPS:
                yield (
                    f"uplink '{name}' of host '{host.name}': {link.at}: its capacity of "
                    f"{rate_text(link.capacity_kbps)} is more than the {rate_text(speed_mbps * _KBPS)} of its NIC, so "
                    "packets wait where nothing divides them. Give it at most that."
                )


def _joined(policies: PolicySet, snapshot: Snapshot) -> Iterator[str]:
    """Of VIFs whose packets are counted where the kernel has joined them."""
    vifs = sorted(snapshot.interfaces.values(), key=lambda vif: vif.name)
    counted = {
        path
        for path in {vif.policy for vif in vifs}
        if any(one.feature in PACKETS for one in asked(policies, path, INHERITED, INHERITED))
    }
    for name, host in snapshot.chassis.items():
        names = [vif.name for vif in vifs if vif.chassis == name and vif.policy in counted]
        if names and host.capabilities.get(DATAPATH) == KERNEL:
            yield f"{vifs_named(names)}: packets are bounded on the kernel's datapath of host '{name}': {JOINED}."


def uplink_speeds(host: Chassis) -> dict[str, int]:
    """In Mbit/s, by uplink, of those that say it."""
    return {
        name.removeprefix(UPLINK_SPEED): int(value)
        for name, value in host.capabilities.items()
        if name.startswith(UPLINK_SPEED)
    }


def report(policies: PolicySet, snapshot: Snapshot) -> dict[str, Any]:
    """As a document: chassis, each with its abilities and matrix; unkept; remarks."""
    return {
        "chassis": {
            name: {**of_host(host), "buffers_bytes": _buffers_bytes(policies, snapshot, name)}
            for name, host in sorted(snapshot.chassis.items())
        },
        "unkept": unkept(policies, snapshot),
        "remarks": remarks(policies, snapshot),
    }


def of_host(host: Chassis) -> dict[str, Any]:
    cells = matrix(host)
    return {
        "abilities": dict(sorted(host.capabilities.items())),
        "matrix": {feature.value: {kind: _values(one) for kind, one in row.items()} for feature, row in cells.items()},
    }


def _values(one: Keeping) -> dict[str, Any]:
    told = {"how": one.how, "why_not": one.why_not, "remedy": one.remedy, "note": one.note}
    return {**told, "untried": list(one.untried)}
