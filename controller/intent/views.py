"""What the commands show with --json, from the Weir DB and, where a controller runs, the loop's live figures. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from controller.intent.hypervisor import Attachment, attachment
from controller.intent.packet_views import packet_bounds, processor
from ovsdb.rows import Snapshot, VirtualInterface
from policies.model import DEFAULT_MTU, Direction, PolicySet
from policies.own_numbers import own_of, with_own
from policies.scaling import bandwidth_in_force, buffer_in_force, scaled_of

Figures = Mapping[str, Mapping[str, Mapping[str, Any]]]  # VIF name -> direction -> figure -> value
NO_PATH: Mapping[str, Any] = {"latency_ms": {"p50": None, "p99": None}, "jitter_ms": None, "loss": None}
LIVE = ("offered_kbps", "allocated_kbps", "passed_kbps", "dropped_kbps", "backlog_bytes", "buffer_part")


def vif_document(
    name: str, snapshot: Snapshot, policies: PolicySet, figures: Figures | None = None, is_userspace: bool = True
) -> dict[str, Any]:
    """One VIF. What is not known, not measured or unbounded is None. Raises KeyError when there is no such VIF.

    is_userspace: whether the bridge is one of the userspace datapath.
    """
    vif = snapshot.interfaces[name]
    live = (figures or {}).get(name, {})
    chassis = snapshot.chassis.get(vif.chassis or "")
    return {
        "name": vif.name,
        "number": vif.number,
        "policy": vif.policy,
        "kind": vif.kind,
        "segment": vif.segment,
        "state": vif.state,
        "mac": vif.mac,
        "addresses": list(vif.addresses),
        "learned": list(vif.learned),
        "chassis": vif.chassis,
        "bridge": chassis.bridge if chassis is not None else None,
        "port": vif.port_name,
        "ofport": vif.ofport,
        "instance": vif.instance,
        "binding": dict(vif.binding),
        "ifname": vif.ifname,
        "labels": dict(vif.labels),
        "options": dict(vif.options),
        "details": dict(vif.details),
        "error": vif.error,
        **{direction.value: _bandwidth(vif, policies, direction, live) for direction in Direction},
        "buffer_bytes": _buffer_bytes(vif, policies),
        "cpu": processor(policies, vif.policy, scaled_of(vif.scaled), chassis),
        "path": {**NO_PATH, **(live.get("path") or {})},
        "cpu_share": live.get("cpu_share"),
        "slo": live.get("slo"),
        "class_kbps": live.get("class_kbps"),
        "attach": attach_document(attachment_of(vif, snapshot, policies, is_userspace)),
    }


def vif_documents(
    snapshot: Snapshot, policies: PolicySet, figures: Figures | None = None, is_userspace: bool = True
) -> list[dict[str, Any]]:
    """All VIFs, by name."""
    return [vif_document(name, snapshot, policies, figures, is_userspace) for name in sorted(snapshot.interfaces)]


def attachment_of(
    vif: VirtualInterface, snapshot: Snapshot, policies: PolicySet, is_userspace: bool
) -> Attachment | None:
    """How a hypervisor gets the VIF; None: it has nothing to do with one, or is not made yet."""
    segment, chassis = policies.segments.get(vif.segment), snapshot.chassis.get(vif.chassis or "")
    mtu = segment.mtu if segment is not None and segment.mtu is not None else DEFAULT_MTU
    return attachment(vif, mtu, chassis.bridge, is_userspace) if chassis is not None else None


def attach_document(found: Attachment | None) -> dict[str, Any]:
    if found is None:
        return {"qemu": None, "libvirt": None, "needs": None}
    return {"qemu": list(found.qemu) or None, "libvirt": found.libvirt, "needs": found.needs}


def _buffer_bytes(vif: VirtualInterface, policies: PolicySet) -> int | None:
    """In force; None: as much as its host finds good."""
    node = policies.nodes.get(vif.policy)
    return buffer_in_force(node, scaled_of(vif.scaled)) if node is not None else None


def _bandwidth(
    vif: VirtualInterface, policies: PolicySet, direction: Direction, live: Mapping[str, Mapping[str, Any]]
) -> dict[str, Any]:
    """guarantee: the one in force; written: where the loop began to move it. own: what of the numbers is the VIF's own,
    not its leaf's."""
    node, own = policies.nodes.get(vif.policy), vif.egress if direction is Direction.EGRESS else vif.ingress
    bandwidth = bandwidth_in_force(node, direction, own_of(own), scaled_of(vif.scaled)) if node is not None else None
    written = with_own(node.bandwidth(direction), own_of(own)) if node is not None else None
    seen = live.get(direction.value, {})
    return {
        "guarantee_kbps": bandwidth.guarantee_kbps if bandwidth is not None else None,
        "written_guarantee_kbps": written.guarantee_kbps if written is not None else None,
        "limit_kbps": bandwidth.limit_kbps if bandwidth is not None else None,
        "packets": packet_bounds(policies, vif.policy, direction),
        "own": dict(own),
        **{figure: seen.get(figure) for figure in LIVE},
        "classes": seen.get("classes") or {},
    }
