"""Counters of meters that go on although a switch zeroes them whenever a meter is written. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import astuple

from controller.measure.counted import Counted, added, counted
from controller.openflow.meter_codec import COLUMNS, MeterCounters


class MeterCarry:
    """Of one switch. What a meter had counted before it was last written, by meter id."""

    def __init__(self) -> None:
        self._before: dict[int, MeterCounters] = {}
        self._table: Counted | None = None  # the same, when it was last asked for as one

    def written(self, last: Mapping[int, MeterCounters]) -> None:
        """These meters have begun anew. last: what the switch said of them right before."""
        self._before |= self.carried(last)
        self._table = None

    def added(self, meter_ids: Mapping[int, object]) -> None:
        """A meter that is new has nothing before it, whatever had its id."""
        for meter_id in meter_ids:
            self._before.pop(meter_id, None)
        self._table = None

    def carried(self, found: Mapping[int, MeterCounters]) -> dict[int, MeterCounters]:
        """What the switch has found, and what it had before."""
        return {meter_id: _sum(self._before.get(meter_id), counters) for meter_id, counters in found.items()}

    def carried_table(self, found: Counted) -> Counted:
        """The same of a table with meter_codec.COLUMNS."""
        if not self._before:
            return found
        if self._table is None:
            rows = {number: astuple(before)[: len(COLUMNS)] for number, before in self._before.items()}
            self._table = counted(rows, len(COLUMNS))
        return added(found, self._table)


def _sum(before: MeterCounters | None, now: MeterCounters) -> MeterCounters:
    if before is None:
        return now
    return MeterCounters(
        before.packets_in + now.packets_in,
        before.bytes_in + now.bytes_in,
        before.packets_dropped + now.packets_dropped,
        before.bytes_dropped + now.bytes_dropped,
        now.duration_s,  # the switch counts on
    )
