"""The Weir DB, typed: read as one snapshot, written by whoever owns the columns (see `ovsdb.rows`).

with WeirDb(f"unix:{socket}") as db:
    db.connect()
    while True:
        if db.run():
            act_on(db.snapshot())
        db.wait(1.0)
"""

from __future__ import annotations

import json
import time
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from ovsdb import policy_history
from ovsdb.command import Command, PolicyText, by_name, write
from ovsdb.decoding import DECODERS, System, one_or_none
from ovsdb.rows import UNCLAIMED, Chassis, Snapshot, VifStatus
from ovsdb.session import Disconnected, Session, pump
from ovsdb.transaction import SETTLE_S, Conflict, Refused, Transaction

__all__ = ["SCHEMA_PATH", "Command", "PolicyText", "WeirDb"]

SCHEMA_PATH = Path(__file__).resolve().with_name("weir.ovsschema")


class WeirDb(Session):
    """A session with the Weir DB at `remote`."""

    def __init__(self, remote: str) -> None:
        schema = json.loads(SCHEMA_PATH.read_text())
        super().__init__(remote, schema, notes_rows=True, on_request=policy_history.TABLES)
        self._version = str(schema["version"])
        self._decoded: dict[str, dict[Any, tuple[Any, Any]]] = {table: {} for table in DECODERS}
        self._snapshot = Snapshot()
        self._snapshot_of = -1

    def connect(self, deadline_s: float = 5.0) -> None:
        """As any session; says so when the server was started by another version of Weir."""
        try:
            super().connect(deadline_s)
        except Disconnected as fault:
            served = self.served_version
            if served is None or served == self._version:
                raise
            raise Disconnected(
                f"{self.remote}: the Weir DB has schema {served}, this version needs {self._version}. "
                "Restart the system: weir down, weir up."
            ) from fault

    def snapshot(self) -> Snapshot:
        """The database as of the last `run` or write; the same object while nothing changes; old when not connected."""
        if self._snapshot_of != self.generation:
            self._snapshot_of = self.generation
            self._snapshot = self._decode()
        return self._snapshot

    def execute(self, command: Command, base: Snapshot, comment: str) -> int:
        """Carries out a command that was made from `base`. Returns the sequence number under which it takes effect.

        A command that changes nothing writes nothing and returns the number in force.
        Raises Conflict when desired state is no longer that of `base`, Refused, Disconnected.
        """
        if command.is_empty:
            return base.cfg
        is_first = not self.rows("Weir")
        try:
            return self._execute(command, base, comment)
        except Refused as refused:
            if is_first and self._becomes_second():
                raise Conflict(str(refused)) from refused
            raise

    def _execute(self, command: Command, base: Snapshot, comment: str) -> int:
        if command.policy is not None:
            policy_history.make_ready(self, command.policy.files)
        with Transaction(self, comment) as change:
            system = self._system(change, base)
            cfg = base.cfg + 1
            write(self, change, system, command, cfg)
        return cfg

    def _becomes_second(self) -> bool:
        """Whether somebody else has made the one row of table Weir, which the schema allows but once."""
        end_s = time.monotonic() + SETTLE_S
        while not self.rows("Weir") and (remaining_s := end_s - time.monotonic()) > 0:
            pump(self, remaining_s)
        return bool(self.rows("Weir"))

    def report_chassis(self, chassis: Chassis, vifs: Mapping[str, VifStatus] | None = None) -> bool:
        """For the agent: its columns of its chassis (made when absent) and the status of its VIFs, in one step.

        A VIF that is no longer there is passed over. Returns whether anything differed. Raises Refused, Disconnected,
        and Conflict when somebody else claimed a VIF at the same moment.
        """
        columns = (
            "bridge", "datapath_id", "hostname", "uplink_ports", "capabilities", "agent_cfg", "agent_error",
            "agent_note",
        )  # fmt: skip
        values = {column: getattr(chassis, column) for column in columns}
        with Transaction(self, f"agent of {chassis.name}") as change:
            present = by_name(self, "Virtual_Interface") if vifs else {}
            row = by_name(self, "Chassis").get(chassis.name) or change.insert("Chassis", name=chassis.name)
            change.put(row, **values)
            for name, status in (vifs or {}).items():
                if name in present:
                    _write_status(change, present[name], status, chassis.name)
        return change.committed

    def report_flows(self, chassis: str, flow_cfg: int, flow_error: str | None, connected: bool) -> bool:
        """For the controller: how far the flows of a chassis are. Nothing when the chassis has no row (any more)."""
        with Transaction(self, f"controller on {chassis}") as change:
            row = by_name(self, "Chassis").get(chassis)
            if row is not None:
                change.put(row, flow_cfg=flow_cfg, flow_error=flow_error, connected=connected)
        return change.committed

    def report_learned(self, learned: Mapping[str, Collection[str]]) -> bool:
        """For the controller: the addresses, with prefix length, that VIFs (by name) got from outside.

        A VIF that is gone is passed over. Returns whether anything differed. Raises Refused, Disconnected.
        """
        addresses = {name: sorted(own) for name, own in learned.items()}
        return self._report_column("learned", addresses, "addresses learned from outside")

    def report_scaled(self, scaled: Mapping[str, Mapping[str, int]]) -> bool:
        """For the controller: all that the loop has moved, by VIF name; as `report_learned`."""
        return self._report_column("scaled", scaled, "moved within what policies allow")

    def _report_column(self, column: str, values: Mapping[str, Any], comment: str) -> bool:
        with Transaction(self, comment) as change:
            present = by_name(self, "Virtual_Interface")
            for name in values.keys() & present.keys():
                change.put(present[name], **{column: values[name]})
        return change.committed

    def _system(self, change: Transaction, base: Snapshot) -> Any:
        """The one row of table Weir, as long as it is still as `base` says."""
        row = next(iter(self.rows("Weir").values()), None)
        if (0 if row is None else row.cfg) != base.cfg:
            raise Conflict("Weir DB: somebody else made a change at the same moment. Try again.")
        if row is None:
            return change.insert("Weir")
        change.verify(row, "cfg")
        return row

    def _decode(self) -> Snapshot:
        touched = self.take_touched()
        tables = {table: self._decode_table(table, touched) for table in DECODERS}
        system: System = next(iter(tables["Weir"]), System())
        files = {version: files for version, files in tables["Policy"]}
        return Snapshot(
            cfg=system.cfg,
            policy_version=system.policy_version,
            files=files.get(system.policy_version, {}),
            other_config=system.other_config,
            numbers=dict(sorted(tables["Identifier"])),
            chassis={row.name: row for row in sorted(tables["Chassis"], key=lambda row: row.name)},
            interfaces={row.name: row for row in sorted(tables["Virtual_Interface"], key=lambda row: row.name)},
            next_number=system.next_number,
            bindings=tuple(sorted(tables["User_Binding"])),
        )

    def _decode_table(self, table: str, touched: set[Any]) -> list[Any]:
        """The values of a table's rows. Only rows that changed are decoded: 1,000 VIFs change one by one."""
        decode, before = DECODERS[table], self._decoded[table]
        after = {}
        for uuid, row in self.rows(table).items():
            known = before.get(uuid)
            after[uuid] = known if known and known[0] is row and uuid not in touched else (row, decode(row))
        self._decoded[table] = after
        return [value for _, value in after.values()]


def _write_status(change: Transaction, row: Any, status: VifStatus, reporter: str) -> None:
    """Nothing when another chassis has claimed the VIF since the reporter looked: what that one says holds."""
    if one_or_none(row.chassis) not in (None, reporter):
        return
    if not row.chassis:
        change.verify(row, "chassis")
    if status.chassis == UNCLAIMED:
        change.put(row, chassis=None)
    elif status.chassis is not None and not row.chassis:
        change.put(row, chassis=status.chassis)
    change.put(row, state=status.state, error=status.error, port_name=status.port_name, ofport=status.ofport)
    change.put(row, details=status.details)
