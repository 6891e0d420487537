"""What the loop last saw and decided, as the documents that the API serves. Pure."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from controller.allocation.decision import Decision, Decisions
from ovsdb.rows import Snapshot


def vif_documents(snapshot: Snapshot, decisions: Decisions | None) -> dict[str, Any]:
    """{"vifs": {name: {"egress": {...}, "ingress": {...}}}}; kbit/s, null: not known, or unbounded."""
    if decisions is None:
        return {"vifs": {}}
    by_number = {vif.number: name for name, vif in snapshot.interfaces.items()}
    return {
        "vifs": {
            by_number[number]: {
                "egress": _direction(decisions.egress[number]),
                "ingress": _direction(decisions.ingress[number]),
            }
            for number in sorted(decisions.egress)
            if number in by_number
        }
    }


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
