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
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ovsdb import policy_history
from ovsdb.decoding import DECODERS, System, one_or_none
from ovsdb.rows import UNCLAIMED, Chassis, PolicyVersion, Snapshot, UserBinding, VifStatus, VirtualInterface
from ovsdb.session import Session, pump
from ovsdb.transaction import SETTLE_S, Conflict, Refused, Transaction

SCHEMA_PATH = Path(__file__).resolve().with_name("weir.ovsschema")


@dataclass(frozen=True, slots=True)
class PolicyText:
    """A policy set as written. applied_at_s: seconds since 1970. reason: in the words of whoever applies it."""

    files: Mapping[str, str]
    applied_by: str
    applied_at_s: float
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Command:
    """What is to become desired state, all of it or nothing. Of `create`, `cfg` and status are set by the writing.

    delete: VIFs, with what is bound to them. bind: in the place of a binding of the same key, if there is one; unbind:
    by key, unless it is bound anew.
    numbers, next_number, other_config: the whole of what they shall be; None: as they are.
    """

    create: tuple[VirtualInterface, ...] = ()
    delete: tuple[str, ...] = ()
    policy: PolicyText | None = None
    numbers: Mapping[tuple[str, str], int] | None = None
    next_number: Mapping[str, int] | None = None
    other_config: Mapping[str, str] | None = None
    bind: tuple[UserBinding, ...] = ()
    unbind: tuple[UserBinding, ...] = ()

    @property
    def is_empty(self) -> bool:
        return self == Command()


class WeirDb(Session):
    """A session with the Weir DB at `remote`."""

    def __init__(self, remote: str) -> None:
        schema = json.loads(SCHEMA_PATH.read_text())
        super().__init__(remote, schema, notes_rows=True, on_request=policy_history.TABLES)
        self._decoded: dict[str, dict[Any, tuple[Any, Any]]] = {table: {} for table in DECODERS}
        self._snapshot = Snapshot()
        self._snapshot_of = -1

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
            change.put(system, cfg=cfg)
            for column in ("next_number", "other_config"):
                if getattr(command, column) is not None:
                    change.put(system, **{column: getattr(command, column)})
            if command.policy is not None:
                self._write_policy(change, system, command.policy)
            if command.numbers is not None:
                self._write_numbers(change, command.numbers)
            self._write_interfaces(change, command, cfg)
            self._write_bindings(change, command)
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
        columns = ("bridge", "datapath_id", "hostname", "uplink_ports", "agent_cfg", "agent_error", "agent_note")
        values = {column: getattr(chassis, column) for column in columns}
        with Transaction(self, f"agent of {chassis.name}") as change:
            present = self._by_name("Virtual_Interface") if vifs else {}
            row = self._by_name("Chassis").get(chassis.name) or change.insert("Chassis", name=chassis.name)
            change.put(row, **values)
            for name, status in (vifs or {}).items():
                if name in present:
                    _write_status(change, present[name], status, chassis.name)
        return change.committed

    def report_flows(self, chassis: str, flow_cfg: int, flow_error: str | None, connected: bool) -> bool:
        """For the controller: how far the flows of a chassis are. Nothing when the chassis has no row (any more)."""
        with Transaction(self, f"controller on {chassis}") as change:
            row = self._by_name("Chassis").get(chassis)
            if row is not None:
                change.put(row, flow_cfg=flow_cfg, flow_error=flow_error, connected=connected)
        return change.committed

    def _by_name(self, table: str) -> dict[str, Any]:
        return {row.name: row for row in self.rows(table).values()}

    def _system(self, change: Transaction, base: Snapshot) -> Any:
        """The one row of table Weir, as long as it is still as `base` says."""
        row = next(iter(self.rows("Weir").values()), None)
        if (0 if row is None else row.cfg) != base.cfg:
            raise Conflict("Weir DB: somebody else made a change at the same moment. Try again.")
        if row is None:
            return change.insert("Weir")
        change.verify(row, "cfg")
        return row

    def _write_policy(self, change: Transaction, system: Any, policy: PolicyText) -> None:
        """Table Policy holds the version in force alone: every client replicates it."""
        version = system.policy_version + 1 if system._data is not None else 1
        digests = policy_history.digests(policy.files)
        added = PolicyVersion(version, policy.applied_at_s, policy.applied_by, policy.reason, digests)
        policy_history.record(self, change, added, policy.files)
        for row in list(self.rows("Policy").values()):
            change.delete(row)
        change.insert(
            "Policy",
            version=version,
            files=policy.files,
            applied_at=policy.applied_at_s,
            applied_by=policy.applied_by,
        )
        change.put(system, policy_version=version)

    def _write_numbers(self, change: Transaction, numbers: Mapping[tuple[str, str], int]) -> None:
        missing = dict(numbers)
        for row in list(self.rows("Identifier").values()):
            if missing.get((row.kind, row.key)) == row.number:
                del missing[row.kind, row.key]
            else:
                change.delete(row)
        for (kind, key), number in missing.items():
            change.insert("Identifier", kind=kind, key=key, number=number)

    def _write_interfaces(self, change: Transaction, command: Command, cfg: int) -> None:
        present = self._by_name("Virtual_Interface") if command.delete else {}
        for name in command.delete:
            if name not in present:
                raise Refused(f"Weir DB: there is no VIF {name!r}. See weir vif list.")
            change.delete(present[name])
        for vif in command.create:
            desired = {column: getattr(vif, column) for column in _DESIRED}
            change.insert("Virtual_Interface", **{**desired, "cfg": cfg, "state": "pending"})

    def _write_bindings(self, change: Transaction, command: Command) -> None:
        present = {(row.user, row.vif, row.address): row for row in self.rows("User_Binding").values()}
        gone = {binding.key for binding in command.unbind} - {binding.key for binding in command.bind}
        vifs = set(command.delete)
        for key, row in present.items():
            if key in gone or row.vif in vifs:
                change.delete(row)
        for binding in command.bind:
            row = present.get(binding.key)
            if row is None:
                row = change.insert("User_Binding", user=binding.user, vif=binding.vif, address=binding.address)
            change.put(row, bound_at=binding.bound_at_s, expires_at=binding.expires_at_s, bound_by=binding.bound_by)

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


_DESIRED = (
    "name", "number", "policy", "segment", "kind", "mac", "addresses",
    "chassis", "instance", "binding", "ifname", "labels",
)  # fmt: skip


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
