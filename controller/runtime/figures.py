"""What the loop last saw and decided, as the documents that the API serves. Pure."""

from __future__ import annotations

import math
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from controller.allocation.decision import Decision, Decisions
from controller.measure.path import PathFigures, VifPaths
from ovsdb.rows import Snapshot


def vif_documents(
    snapshot: Snapshot, decisions: Decisions | None, paths: Mapping[int, VifPaths] = MappingProxyType({})
) -> dict[str, Any]:
    """{"vifs": {name: {"egress": {...}, "ingress": {...}, "path": {...}}}}; kbit/s, null: not known, or unbounded.

    path: as `path_document` has it, null where no probes are sent.
    """
    if decisions is None:
        return {"vifs": {}}
    by_number = {vif.number: name for name, vif in snapshot.interfaces.items()}
    return {
        "vifs": {
            by_number[number]: {
                "egress": _direction(decisions.egress[number]),
                "ingress": _direction(decisions.ingress[number]),
                "path": path_document(paths[number]) if number in paths else None,
            }
            for number in sorted(decisions.egress)
            if number in by_number
        }
    }


def path_document(paths: VifPaths) -> dict[str, Any]:
    """Milliseconds and parts of 1, of all probes and, under `classes`, of those of each traffic class.

    note: why there are no figures.
    """
    classes = {name: _path(figures) for name, figures in paths.classes.items()}
    return {**_path(paths.whole), "classes": classes, "note": paths.note}


def _path(figures: PathFigures) -> dict[str, Any]:
    return {
        "latency_ms": {"p50": _rounded(figures.p50_ms), "p99": _rounded(figures.p99_ms)},
        "jitter_ms": _rounded(figures.jitter_ms),
        "loss": _rounded(figures.loss),
        "probes": figures.probes,
        "window_s": figures.window_s,
    }


def _rounded(figure: float | None) -> float | None:
    return None if figure is None else round(figure, 4)


def _direction(decision: Decision) -> Mapping[str, Any]:
    return {
        "offered_kbps": _rate(decision.offered_kbps),
        "allocated_kbps": _rate(decision.allocated_kbps),
        "passed_kbps": _rate(decision.passed_kbps),
        "dropped_kbps": _rate(decision.dropped_kbps),
        "enforced_kbps": decision.enforced_kbps,
    }


def _rate(kbps: float | None) -> int | None:
    return None if kbps is None or not math.isfinite(kbps) else round(kbps)
