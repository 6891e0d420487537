"""The Bridge row with its Controller and Flow_Table rows: one made here is mended in full, another is adopted.

An adopted bridge keeps its datapath type, and its controller if it has one. What is changed on it is remembered in its
external_ids and put back. Care is taken never to leave a bridge without a controller for a moment, nor to change a
fail mode twice: both make OVS drop all flows.
"""

from __future__ import annotations

import hashlib
import json
from typing import Any

from ovsdb.port_rows import OWNER, owner_of
from ovsdb.switch import BridgeConfig, BridgeStatus
from ovsdb.transaction import Transaction

ADOPTED_BY = "weir-adopted-by"  # external_ids of a bridge that somebody else made
FORMER = "weir-former"  # external_ids of such a bridge: what it was like, as JSON
NEEDED_PROTOCOL = "OpenFlow13"
PROTOCOLS = ("OpenFlow10", "OpenFlow13", "OpenFlow14", "OpenFlow15")  # 1.0 is what ovs-ofctl speaks unasked
MAX_BACKOFF_MS = 1000  # the shortest that OVS takes; 3.1 was seen to back off to 4 s all the same
INACTIVITY_PROBE_MS = 5000
IN_BAND = "disable-in-band"


def status(row: Any) -> BridgeStatus:
    return BridgeStatus(
        name=row.name,
        datapath_type=row.datapath_type,
        datapath_id=next(iter(row.datapath_id), ""),
        owner=owner_of(row),
        controllers=tuple(sorted(controller.target for controller in row.controller)),
        connected=any(controller.is_connected for controller in row.controller),
    )


def create(change: Transaction, config: BridgeConfig) -> Any:
    """With its internal port, as ovs-vsctl would make it."""
    interface = change.insert("Interface", name=config.name, type="internal")
    port = change.insert("Port", name=config.name, interfaces=[interface])
    return change.insert(
        "Bridge",
        name=config.name,
        datapath_type=config.datapath_type,
        fail_mode="secure",
        protocols=PROTOCOLS,
        other_config={IN_BAND: "true", "datapath-id": datapath_id(config)},
        controller=[_controller(change, config.controller)] if config.controller else [],
        flow_tables={number: _flow_table(change, name, config.owner) for number, name in config.table_names.items()},
        ports=[port],
        external_ids={OWNER: config.owner},
    )


def datapath_id(config: BridgeConfig) -> str:
    """16 hex digits, the same whenever this owner makes this bridge."""
    return hashlib.sha256(f"{config.owner}/{config.name}".encode()).hexdigest()[:16]


def mend(change: Transaction, row: Any, config: BridgeConfig) -> None:
    if owner_of(row) == config.owner:
        _mend_own(change, row, config)
    else:
        _mend_adopted(change, row, config)
    for number, name in config.table_names.items():
        present = row.flow_tables.get(number)
        if present is None:
            change.put_key(row, "flow_tables", number, _flow_table(change, name, config.owner))
        elif config.owner in (owner_of(row), owner_of(present)):
            change.put(present, name=name)


def put_back(change: Transaction, row: Any, owner: str) -> None:
    """An adopted bridge as it was found. The controller goes last in effect: with it OVS drops all flows, ours."""
    if row.external_ids.get(ADOPTED_BY) != owner:
        return
    former = _former(row)
    change.put(row, fail_mode=former.get("fail_mode"), protocols=former.get("protocols", []))
    change.put_key(row, "other_config", IN_BAND, former.get("in_band"))
    if former.get("no_controller"):
        change.put(row, controller=[])
    kept = {number: table for number, table in row.flow_tables.items() if owner_of(table) != owner}
    change.put(row, flow_tables=kept)
    for key in (ADOPTED_BY, FORMER):
        change.put_key(row, "external_ids", key, None)


def _mend_own(change: Transaction, row: Any, config: BridgeConfig) -> None:
    change.put(row, datapath_type=config.datapath_type, fail_mode="secure", protocols=PROTOCOLS)
    change.put_key(row, "other_config", IN_BAND, "true")
    change.put_key(row, "other_config", "datapath-id", datapath_id(config))
    _mend_controller(change, row, config.controller)


def _mend_adopted(change: Transaction, row: Any, config: BridgeConfig) -> None:
    if ADOPTED_BY not in row.external_ids:
        former = {
            "fail_mode": next(iter(row.fail_mode), None),
            "protocols": sorted(row.protocols),
            "in_band": row.other_config.get(IN_BAND),
            "no_controller": not row.controller,
        }
        change.put_key(row, "external_ids", FORMER, json.dumps(former))
        change.put_key(row, "external_ids", ADOPTED_BY, config.owner)
        change.put(row, fail_mode="secure")
    if row.protocols and NEEDED_PROTOCOL not in row.protocols:
        change.put(row, protocols=[*row.protocols, NEEDED_PROTOCOL])
    change.put_key(row, "other_config", IN_BAND, "true")
    if _former(row).get("no_controller"):
        _mend_controller(change, row, config.controller)


def _former(row: Any) -> dict[str, Any]:
    """What an adopted bridge was like."""
    return dict(json.loads(row.external_ids.get(FORMER, "{}")))


def _mend_controller(change: Transaction, row: Any, target: str | None) -> None:
    """Exactly one, of this target; None: as it is. A row is changed, never replaced: that would drop all flows."""
    if target is None:
        return
    present = sorted(row.controller, key=lambda controller: controller.target != target)
    if not present:
        change.put(row, controller=[_controller(change, target)])
        return
    change.put(present[0], target=target, max_backoff=MAX_BACKOFF_MS, inactivity_probe=INACTIVITY_PROBE_MS)
    change.put(row, controller=present[:1])


def _controller(change: Transaction, target: str) -> Any:
    return change.insert("Controller", target=target, max_backoff=MAX_BACKOFF_MS, inactivity_probe=INACTIVITY_PROBE_MS)


def _flow_table(change: Transaction, name: str, owner: str) -> Any:
    return change.insert("Flow_Table", name=name, external_ids={OWNER: owner})
