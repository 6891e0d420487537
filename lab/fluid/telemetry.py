"""What the loop is told of the plant: samples that get lost, come late or twice, counters that run over or begin anew,
clocks that jump. Pure: the chances are the caller's."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from controller.allocation.samples import INGRESS, METER, PORT, SHAPER, UPLINK, WIDTH, Readings
from controller.allocation.tree import BoolArray, FloatArray
from lab.fluid.plant import Plant

_SWITCH, _HOST = [METER, PORT], [SHAPER, UPLINK, INGRESS]


@dataclass(frozen=True, slots=True)
class Troubles:
    """Of one tick. bool[n] each: whose sample is lost, or is the one of the tick before; whose switch, or agent, is
    silent. jump_s: by how much the clock of switch, host or loop jumps now."""

    lost: BoolArray
    late: BoolArray
    switch_silent: BoolArray
    host_silent: BoolArray
    switch_jump_s: float = 0.0
    host_jump_s: float = 0.0
    loop_jump_s: float = 0.0

    @classmethod
    def none(cls, count: int) -> Troubles:
        nobody = np.zeros(count, dtype=np.bool_)
        return cls(nobody, nobody, nobody, nobody)


class Telemetry:
    """base: what counters stood at when the plant began, float64[n_columns]: near their width, they soon run over."""

    def __init__(self, plant: Plant, base: FloatArray | None = None) -> None:
        self._plant = plant
        self._base = np.zeros(len(WIDTH)) if base is None else base
        self._switch_s, self._host_s, self.loop_s = 1000.0, 7000.0, 100.0
        self._last: Readings | None = None

    def read(self, troubles: Troubles) -> Readings:
        """What arrives at this tick."""
        plant = self._plant
        self._switch_s += troubles.switch_jump_s
        self._host_s += troubles.host_jump_s
        self.loop_s += troubles.loop_jump_s
        value = np.mod(plant.counters() + self._base, WIDTH)
        time_s = np.empty((len(value), 5))
        time_s[:, _SWITCH], time_s[:, _HOST] = plant.time_s + self._switch_s, plant.time_s + self._host_s
        fresh, last = Readings(value, time_s), self._last
        self._last = fresh
        if last is not None:
            late = troubles.late[:, np.newaxis]
            value, time_s = np.where(late, last.value, value), np.where(late, last.time_s, time_s)
        unread = np.repeat(troubles.lost[:, np.newaxis], 5, axis=1)
        unread[:, _SWITCH] |= troubles.switch_silent[:, np.newaxis]
        unread[:, _HOST] |= troubles.host_silent[:, np.newaxis]
        return _without(Readings(value, time_s), unread)


def _without(read: Readings, unread: BoolArray) -> Readings:
    columns = np.repeat(unread, [2, 6, 4, 4, 4], axis=1)
    value = np.where(columns, np.nan, read.value)
    first = [0, 2, 8, 12, 16]
    return Readings(value, np.where(np.isnan(value[:, first]), np.nan, read.time_s))
