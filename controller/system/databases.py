"""The database files of a system: made when absent, brought to today's schema, freed of an earlier run's status."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Mapping
from pathlib import Path

from controller.config import StateDir
from controller.system.errors import SystemFault
from ovsdb.rows import SYSTEM_ID
from ovsdb.weir_db import SCHEMA_PATH

_OVS_SCHEMAS = (
    Path("/usr/share/openvswitch/vswitch.ovsschema"),
    Path("/usr/local/share/openvswitch/vswitch.ovsschema"),
)
# Nobody vouches for status until today's agent and controller have spoken; so a reported number is a sign of life.
_FORGET_STATUS = """["Weir",
  {"op": "update", "table": "Chassis", "where": [], "row": {"connected": false, "agent_cfg": 0, "flow_cfg": 0,
    "capabilities": ["map", []]}},
  {"op": "update", "table": "Virtual_Interface", "where": [], "row": {"state": "pending", "error": ["set", []]}}]"""
_OVS_ROW = '["Open_vSwitch", {"op": "insert", "table": "Open_vSwitch", "row": {}}]'


def prepare(directory: StateDir, other_config: Mapping[str, str | None] | None) -> None:
    """To be called while no server has the files open. Raises SystemFault.

    other_config: what the embedded Open vSwitch shall have there before it starts, None: not have; None: it is not
    embedded.
    """
    weir_db = directory.db / "weir.db"
    _prepare(weir_db, SCHEMA_PATH, _weir_row())
    _tool("transact", str(weir_db), _FORGET_STATUS)
    if other_config is not None:
        _prepare(directory.db / "conf.db", _ovs_schema(), _OVS_ROW)
        _tool("transact", str(directory.db / "conf.db"), _configuring(other_config))


def _weir_row() -> str:
    """With the id of which the system's MACs are made, before anybody outside is told of one of them."""
    row = {"cfg": 1, "other_config": ["map", [[SYSTEM_ID, os.urandom(3).hex()]]]}
    return json.dumps(["Weir", {"op": "insert", "table": "Weir", "row": row}])


def _configuring(other_config: Mapping[str, str | None]) -> str:
    """A transaction; what an earlier vswitchd said of DPDK is forgotten."""
    present = [[key, value] for key, value in other_config.items() if value is not None]
    mutations = [["other_config", "delete", ["set", list(other_config)]], ["other_config", "insert", ["map", present]]]
    at = {"table": "Open_vSwitch", "where": []}
    forget = {"op": "update", **at, "row": {"dpdk_initialized": False}}
    return json.dumps(["Open_vSwitch", {"op": "mutate", **at, "mutations": mutations}, forget])


def _prepare(database: Path, schema: Path, first_row: str) -> None:
    """A new one appears whole, with its first row: nobody else would add that to one left by an interruption."""
    if database.exists():
        if _tool("needs-conversion", str(database), str(schema)).strip() == "yes":
            _tool("convert", str(database), str(schema))
        return
    fresh = database.with_suffix(".new")
    fresh.unlink(missing_ok=True)
    _tool("create", str(fresh), str(schema))
    _tool("transact", str(fresh), first_row)
    fresh.replace(database)
    _lock_file(fresh).unlink(missing_ok=True)


def remove(directory: StateDir) -> None:
    """Forgets what was wanted."""
    for name in ("weir.db", "conf.db", "weir.new", "conf.new"):
        for file in (directory.db / name, _lock_file(directory.db / name)):
            file.unlink(missing_ok=True)


def _lock_file(database: Path) -> Path:
    """What ovsdb-server and ovsdb-tool leave beside a database."""
    return database.with_name(f".{database.name}.~lock~")


def _ovs_schema() -> Path:
    for schema in _OVS_SCHEMAS:
        if schema.exists():
            return schema
    raise SystemFault(
        f"Open vSwitch's database schema is not at {_OVS_SCHEMAS[0]}", "Install the package openvswitch-common"
    )


def _tool(*arguments: str) -> str:
    done = subprocess.run(("ovsdb-tool", *arguments), capture_output=True, text=True)
    if done.returncode != 0:
        raise SystemFault(
            f"ovsdb-tool {' '.join(arguments[:2])}: {done.stderr.strip() or done.returncode}",
            "If the file is damaged, move it away: what it held is then lost",
        )
    return done.stdout
