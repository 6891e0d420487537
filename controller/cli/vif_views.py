"""VIFs as the commands show them: what the Weir DB holds, with the loop's live figures where a controller answers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from controller.api import client
from controller.config import StateDir
from controller.intent import views
from controller.system.errors import WrongRequest
from ovsdb.rows import VirtualInterface
from ovsdb.weir_db import WeirDb
from policies.parser import parse
from policies.wording import nearest

COLUMNS = (
    "name", "policy", "segment", "kind", "state", "addresses",
    "egress limit", "offered", "allocated", "passed", "error",
)  # fmt: skip


def interface(name: str, database: WeirDb) -> VirtualInterface:
    """Raises WrongRequest when there is no such VIF."""
    interfaces = database.snapshot().interfaces
    if name not in interfaces:
        meant = nearest(name, interfaces)
        raise WrongRequest(f"there is no VIF '{name}'", f"Did you mean '{meant}'?" if meant else "See weir vif list")
    return interfaces[name]


def described(name: str, database: WeirDb, directory: StateDir) -> dict[str, Any]:
    interface(name, database)
    snapshot = database.snapshot()
    return views.vif_document(name, snapshot, parse(snapshot.files), _figures(directory))


def listed(database: WeirDb, directory: StateDir) -> list[dict[str, Any]]:
    snapshot = database.snapshot()
    return views.vif_documents(snapshot, parse(snapshot.files), _figures(directory))


def row(vif: Mapping[str, Any]) -> list[str]:
    """One line of `weir vif list`; rates are those of egress, in kbit/s."""
    egress = vif["egress"]
    rates = [egress[figure] for figure in ("limit_kbps", "offered_kbps", "allocated_kbps", "passed_kbps")]
    shown = ["-" if rate is None else str(rate) for rate in rates]
    texts = [str(vif[column]) for column in COLUMNS[:5]]
    return [*texts, ",".join(vif["addresses"]) or "-", *shown, vif["error"] or "-"]


def _figures(directory: StateDir) -> views.Figures | None:
    """None while no controller answers: what a VIF is can be shown all the same."""
    try:
        vifs: views.Figures = client.get(directory.api_socket, "/v1/vifs")["vifs"]
    except client.ApiError:
        return None
    return vifs
