"""The database files of a system: made when absent, brought to today's schema, freed of an earlier run's status."""

from __future__ import annotations

import subprocess
from pathlib import Path

from controller.config import StateDir
from controller.system.errors import SystemFault
from ovsdb.weir_db import SCHEMA_PATH

_OVS_SCHEMAS = (
    Path("/usr/share/openvswitch/vswitch.ovsschema"),
    Path("/usr/local/share/openvswitch/vswitch.ovsschema"),
)
# Nobody vouches for status until today's agent and controller have spoken; so a reported number is a sign of life.
_FORGET_STATUS = """["Weir",
  {"op": "update", "table": "Chassis", "where": [], "row": {"connected": false, "agent_cfg": 0, "flow_cfg": 0}},
  {"op": "update", "table": "Virtual_Interface", "where": [], "row": {"state": "pending", "error": ["set", []]}}]"""
_WEIR_ROW = '["Weir", {"op": "insert", "table": "Weir", "row": {"cfg": 1}}]'
_OVS_ROW = '["Open_vSwitch", {"op": "insert", "table": "Open_vSwitch", "row": {}}]'


def prepare(directory: StateDir, embedded: bool) -> None:
    """To be called while no server has the files open. Raises SystemFault."""
    weir_db, conf_db = directory.db / "weir.db", directory.db / "conf.db"
    fresh = _prepare(weir_db, SCHEMA_PATH)
    _tool("transact", str(weir_db), _WEIR_ROW if fresh else _FORGET_STATUS)
    if embedded and _prepare(conf_db, _ovs_schema()):
        _tool("transact", str(conf_db), _OVS_ROW)


def _prepare(database: Path, schema: Path) -> bool:
    """Whether it was made new."""
    if not database.exists():
        _tool("create", str(database), str(schema))
        return True
    if _tool("needs-conversion", str(database), str(schema)).strip() == "yes":
        _tool("convert", str(database), str(schema))
    return False


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
