"""What rules have matched, as the controller counts it, for the commands that show it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from controller.api import client
from controller.cli.times import local
from controller.config import StateDir

COLUMNS = ("RULE", "VIF", "JUDGED", "KIND", "PACKETS", "BYTES", "CUT", "LAST HIT")
UNREACHABLE = "note: the controller does not answer, so there are no counters. See weir status."


def read(directory: StateDir) -> list[dict[str, Any]] | None:
    """An object for each rule (or `unmatched` of a node), VIF, direction of judging and kind; None: no controller."""
    try:
        counters: list[dict[str, Any]] = client.get(directory.api_socket, "/v1/rules")["rules"]
    except client.ApiError:
        return None
    return counters


def shown(counters: Sequence[Mapping[str, Any]], all_counters: bool) -> list[Mapping[str, Any]]:
    """Those that have counted something, or all; by rule, VIF, direction of judging."""
    kept = [one for one in counters if all_counters or one["packets"]]
    return sorted(kept, key=lambda one: (_rule(one), one["vif"] or "", one["judged"], one["kind"]))


def row(one: Mapping[str, Any]) -> list[str]:
    last = "-" if one["last_hit"] is None else local(one["last_hit"])
    cut = one.get("cut_bytes")  # by the rule's meters; of an audited rule, what they would have cut
    figures = (str(one["packets"]), str(one["bytes"]), "-" if cut is None else str(cut), last)
    return [_rule(one), one["vif"] or "-", one["judged"], one["kind"], *figures]


def _rule(one: Mapping[str, Any]) -> str:
    return one["rule"] or (f"{one['node']} unmatched" if one["node"] else "-")
