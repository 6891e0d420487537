"""What the commands show with --json, from the Weir DB and, where a controller runs, the loop's live figures. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ovsdb.rows import Snapshot, VirtualInterface
from policies.model import Direction, PolicySet

Figures = Mapping[str, Mapping[str, Mapping[str, Any]]]  # VIF name -> direction -> figure -> value
LIVE = ("offered_kbps", "allocated_kbps", "passed_kbps", "dropped_kbps")


def vif_document(name: str, snapshot: Snapshot, policies: PolicySet, figures: Figures | None = None) -> dict[str, Any]:
    """One VIF. What is not known, not measured or unbounded is None. Raises KeyError when there is no such VIF."""
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
        "chassis": vif.chassis,
        "bridge": chassis.bridge if chassis is not None else None,
        "port": vif.port_name,
        "ofport": vif.ofport,
        "instance": vif.instance,
        "binding": dict(vif.binding),
        "ifname": vif.ifname,
        "labels": dict(vif.labels),
        "error": vif.error,
        **{direction.value: _bandwidth(vif, policies, direction, live) for direction in Direction},
        "path": {"latency_ms": {"p50": None, "p99": None}, "jitter_ms": None, "loss": None},
    }


def vif_documents(snapshot: Snapshot, policies: PolicySet, figures: Figures | None = None) -> list[dict[str, Any]]:
    """All VIFs, by name."""
    return [vif_document(name, snapshot, policies, figures) for name in sorted(snapshot.interfaces)]


def _bandwidth(
    vif: VirtualInterface, policies: PolicySet, direction: Direction, live: Mapping[str, Mapping[str, Any]]
) -> dict[str, Any]:
    node = policies.nodes.get(vif.policy)
    own = node.bandwidth(direction) if node is not None else None
    seen = live.get(direction.value, {})
    return {
        "guarantee_kbps": own.guarantee_kbps if own is not None else None,
        "limit_kbps": own.limit_kbps if own is not None else None,
        **{figure: seen.get(figure) for figure in LIVE},
    }
