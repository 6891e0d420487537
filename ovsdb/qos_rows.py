"""QoS rows, with their Queue rows, that a port of the switch has for itself: what DPDK polices with.

Open vSwitch collects neither: a row is deleted here when its port is gone or wants none.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ovsdb.port_rows import FOR_PORT, OWNER, owner_of
from ovsdb.switch import QosConfig
from ovsdb.transaction import Transaction


class PortPolicers:
    """Those of one owner. `mend` is called for each of its ports, then `finish` once."""

    def __init__(self, change: Transaction, owner: str, rows: Mapping[Any, Any], queues: Mapping[Any, Any]) -> None:
        self._change, self._owner = change, owner
        own = [row for row in rows.values() if owner_of(row) == owner and FOR_PORT in row.external_ids]
        self._rows = {row.external_ids[FOR_PORT]: row for row in own}
        self._surplus_rows, self._surplus_queues = set(own), {row for row in queues.values() if owner_of(row) == owner}

    def mend(self, port: Any, name: str, wanted: QosConfig | None) -> None:
        if owner_of(port) != self._owner:
            # Somebody may have given it one of ours: a row that is pointed at cannot be deleted. Others have no queues
            # yet to be looked at when they are made in this very change.
            for held in self._surplus_rows.intersection(port.qos):
                self._surplus_rows.discard(held)
                self._surplus_queues.difference_update(held.queues.values())
            return
        row = self._rows.get(name)
        if wanted is None:
            if row is not None and row in port.qos:
                self._change.put(port, qos=None)
            return
        if row is None:
            row = self._change.insert("QoS", type=wanted.type, external_ids={OWNER: self._owner, FOR_PORT: name})
        self._surplus_rows.discard(row)
        self._change.put(row, type=wanted.type, other_config=wanted.other_config, queues=self._queues(row, wanted))
        self._change.put(port, qos=row)

    def finish(self) -> None:
        """Deletes what no port wants."""
        for row in (*self._surplus_rows, *self._surplus_queues):
            self._change.delete(row)

    def _queues(self, row: Any, wanted: QosConfig) -> dict[int, Any]:
        """By number, made right."""
        present = row.queues if row._data is not None else {}
        found = {}
        for number, other_config in wanted.queues.items():
            queue = present.get(number)
            if queue is None or owner_of(queue) != self._owner:
                queue = self._change.insert("Queue", external_ids={OWNER: self._owner})
            self._change.put(queue, other_config=other_config)
            self._surplus_queues.discard(queue)
            found[number] = queue
        return found
