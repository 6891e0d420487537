"""What the controller saw and did, asked for: what all VIFs do now, why rates changed, how they went."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from controller.api import client as api
from controller.system.errors import WrongRequest
from ovsdb.rows import Snapshot

NOW = ("offered_kbps", "allocated_kbps", "passed_kbps", "dropped_kbps")
_NO_PATH: Mapping[str, Any] = {"latency_ms": {"p50": None, "p99": None}, "jitter_ms": None, "loss": None}


def now(api_socket: Path, snapshot: Snapshot) -> list[dict[str, Any]]:
    """What every VIF does now, by name; None: not known. Raises ApiError when no controller answers."""
    seen: dict[str, Any] = api.get(api_socket, "/v1/vifs")["vifs"]
    return [
        {
            "name": vif.name,
            "policy": vif.policy,
            "chassis": vif.chassis,
            "state": vif.state,
            **{way: _rates(seen.get(vif.name, {}).get(way)) for way in ("egress", "ingress")},
            "path": {**_NO_PATH, **(seen.get(vif.name, {}).get("path") or {})},
            "slo": seen.get(vif.name, {}).get("slo"),
        }
        for vif in sorted(snapshot.interfaces.values(), key=lambda vif: vif.name)
    ]


def history(api_socket: Path, vif: str | None, since_s: float | None) -> dict[str, Any]:
    """What the loop changed: `changes`, the oldest first; `truncated`: of all VIFs, whether there were older ones.

    Raises ApiError, WrongRequest.
    """
    found = _asked(api_socket, "/v1/loop/history", vif, since_s)
    return {name: found[name] for name in ("vif", "changes", "truncated")}


def series(api_socket: Path, vif: str | None, since_s: float | None) -> dict[str, Any]:
    """The figures of each tick, as lists. Raises ApiError, WrongRequest."""
    return _asked(api_socket, "/v1/loop/series", vif, since_s)


def _asked(api_socket: Path, path: str, vif: str | None, since_s: float | None) -> dict[str, Any]:
    try:
        return api.get(api_socket, api.query(path, vif=vif, since=since_s))
    except api.NotThere as fault:
        raise WrongRequest(f"the loop knows no VIF '{vif}'", "See weir vif list") from fault


def _rates(seen: Mapping[str, Any] | None) -> dict[str, Any]:
    return {figure: (seen or {}).get(figure) for figure in NOW}
