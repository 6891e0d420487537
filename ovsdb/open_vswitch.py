"""A host's Open_vSwitch database, typed and level-based: say what the bridge shall be like, as often as you want.

with OpenVSwitch(f"unix:{rundir}/db.sock") as switch:
    switch.connect()
    cfg = switch.apply(config)         # one transaction; none when all is right
    switch.await_applied(cfg, 10.0)    # vswitchd has acted on it
    switch.ports("br-weir")["eth1"].ofport
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from ovsdb import bridge_row, port_rows
from ovsdb.port_rows import owner_of
from ovsdb.qos_rows import PortPolicers
from ovsdb.session import DatabaseError, Session, pump
from ovsdb.switch import BridgeConfig, BridgeStatus, PortStatus, SwitchFacts
from ovsdb.transaction import Conflict, Refused, Transaction

SCHEMA_PATH = Path(__file__).resolve().with_name("open_vswitch.ovsschema")  # the columns used, no more
ATTEMPTS = 10


class NotApplied(DatabaseError):
    """vswitchd has not acted on a change in time."""


class OpenVSwitch(Session):
    """A session with the database at `remote`."""

    def __init__(self, remote: str) -> None:
        super().__init__(remote, json.loads(SCHEMA_PATH.read_text()))
        self.mended: tuple[str, ...] = ()  # what the last `apply` had to change of values that were there, in words
        self._right: tuple[int, BridgeConfig] | None = None  # as of that generation nothing was left to do for it

    def bridge(self, name: str) -> BridgeStatus | None:
        row = self._bridge_row(name)
        return None if row is None else bridge_row.status(row)

    def ports(self, bridge: str) -> Mapping[str, PortStatus]:
        """Every port of the bridge but its own internal one, whoever made it. Empty when there is no such bridge."""
        row = self._bridge_row(bridge)
        statuses = [] if row is None else [port_rows.status(port) for port in row.ports if port.name != bridge]
        return {status.name: status for status in sorted(statuses, key=lambda status: status.name)}

    def elsewhere(self, bridge: str) -> Mapping[str, str]:
        """The ports of all other bridges, each with the words in which `apply` refuses to make it on this one."""
        return {
            port.name: f"{self.remote}: port {port.name} is on bridge {other.name} already. "
            f"Take it off there: ovs-vsctl del-port {other.name} {port.name}."
            for other in self.rows("Bridge").values()
            if other.name != bridge
            for port in other.ports
        }

    def port_types(self) -> frozenset[str]:
        """Types of port that this switch can make, as in Interface.type."""
        return frozenset(
            kind
            for root in self.rows("Open_vSwitch").values()
            for kind in root.iface_types
            if root.dpdk_initialized or not kind.startswith("dpdk")
        )

    def facts(self) -> SwitchFacts:
        root = self._root()
        version = str(root.ovs_version[0]) if root.ovs_version else None
        given = root.other_config
        shares = given.get("pmd-rxq-assign") == "group" and given.get("pmd-rxq-isolate") == "false"
        mask = given.get("pmd-cpu-mask", "") if shares else ""
        return SwitchFacts(self.port_types(), version, given.get("hw-offload") == "true", mask)

    def apply(self, config: BridgeConfig) -> int:
        """Makes or mends the bridge and its ports in one transaction; writes nothing when all is right.

        Once OVS has numbered a port made here, the next `apply` pins the number, so that it outlives a restart.
        Returns the number to give to `await_applied`. Raises Refused (a port is on another bridge, the database
        objects), Disconnected, and Conflict when others keep changing the same rows.
        """
        if self._right != (self.generation, config):
            generation = self.generation
            self.mended = ()
            if not self._write(f"weir: bridge {config.name}", lambda change: self._mend(change, config)):
                self._right = (generation, config)
        else:
            self.mended = ()
        return int(self._root().next_cfg)

    def remove(self, bridge: str, owner: str) -> int:
        """Takes back all that `apply` did in the name of `owner`: ports, queues, and the bridge if it was made here.

        A bridge of somebody else gets back the settings it had. Nothing when there is nothing of the owner's.
        Returns and raises as `apply` does.
        """
        self._write(f"weir: remove from {bridge}", lambda change: self._take_back(change, bridge, owner))
        return int(self._root().next_cfg)

    def applied(self, cfg: int) -> bool:
        """Whether vswitchd has acted on what `apply` or `remove` returned `cfg` for."""
        return bool(self._root().cur_cfg >= cfg)

    def await_applied(self, cfg: int, deadline_s: float) -> None:
        """Raises NotApplied when vswitchd has not acted within `deadline_s` seconds."""
        end_s = time.monotonic() + deadline_s
        while not self.applied(cfg):
            remaining_s = end_s - time.monotonic()
            if remaining_s <= 0:
                raise NotApplied(
                    f"{self.remote}: ovs-vswitchd has not acted on a change within {deadline_s:g} s. "
                    "See whether it runs, and its log."
                )
            pump(self, remaining_s)

    def _write(self, comment: str, body: Callable[[Transaction], None]) -> bool:
        """Retries while others change the same rows. Returns whether anything had to be written."""
        for attempt in range(ATTEMPTS):
            try:
                with Transaction(self, comment) as change:
                    body(change)
                    words = tuple(change.words)
                    change.increment(self._root(), "next_cfg")
                self.mended = words if change.committed else ()
                return change.committed
            except Conflict:
                if attempt == ATTEMPTS - 1:
                    raise
        return False

    def _mend(self, change: Transaction, config: BridgeConfig) -> None:
        row = self._bridge_row(config.name)
        if row is None:
            row = bridge_row.create(change, config)
            change.add(self._root(), "bridges", row)
            on_bridge: dict[str, Any] = {}
        else:
            bridge_row.mend(change, row, config)
            on_bridge = {port.name: port for port in row.ports}
        self._refuse_ports_of_other_bridges(config)
        queues = port_rows.NoopQueues(change, config.owner, self.rows("QoS"))
        policers = PortPolicers(change, config.owner, self.rows("QoS"), self.rows("Queue"))
        for port in config.ports.values():
            if port.name in on_bridge:
                port_rows.mend(change, on_bridge[port.name], port, config.owner)
                queues.mend(on_bridge[port.name], port.noop_qos)
                policers.mend(on_bridge[port.name], port.name, port.qos)
            elif port.create:
                created = port_rows.create(change, row, port, config.owner)
                queues.mend(created, port.noop_qos)
                policers.mend(created, port.name, port.qos)
        for name, port_row in on_bridge.items():
            if name not in config.ports and name != config.name:
                policers.mend(port_row, name, None)  # a row that is still pointed at cannot be deleted
                if owner_of(port_row) == config.owner:
                    change.discard(row, "ports", port_row)
                else:
                    queues.mend(port_row, False)
        policers.finish()

    def _refuse_ports_of_other_bridges(self, config: BridgeConfig) -> None:
        elsewhere = self.elsewhere(config.name)
        for port in config.ports.values():
            if port.create and port.name in elsewhere:
                raise Refused(elsewhere[port.name])

    def _take_back(self, change: Transaction, bridge: str, owner: str) -> None:
        row = self._bridge_row(bridge)  # None: deleted by hand, with its ports, but not what those referred to
        queues = port_rows.NoopQueues(change, owner, self.rows("QoS"))
        policers = PortPolicers(change, owner, self.rows("QoS"), self.rows("Queue"))
        for port in row.ports if row is not None else ():
            queues.mend(port, False)
            policers.mend(port, port.name, None)
            if owner_of(port) == owner:
                change.discard(row, "ports", port)
        queues.delete()
        policers.finish()
        if row is None:
            return
        if owner_of(row) == owner:
            change.discard(self._root(), "bridges", row)
        else:
            bridge_row.put_back(change, row, owner)

    def _bridge_row(self, name: str) -> Any:
        return next((row for row in self.rows("Bridge").values() if row.name == name), None)

    def _root(self) -> Any:
        """The one row of table Open_vSwitch, which whoever starts the server makes (`ovs-vsctl init`)."""
        root = next(iter(self.rows("Open_vSwitch").values()), None)
        if root is None:
            raise Refused(f"{self.remote}: the database is empty. Run ovs-vsctl --db={self.remote} --no-wait init.")
        return root
