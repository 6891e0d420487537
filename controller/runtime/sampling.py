"""Brings together what switches and hosts have counted, by VIF. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from controller.allocation.samples import (
    BLOCK_OF_COLUMN,
    FIRST_COLUMN,
    INGRESS,
    METER,
    PORT,
    PORT_RX_CUT,
    PORT_TX_CUT,
    SHAPER,
    UPLINK,
    Readings,
)
from controller.measure.counted import Counted, nothing
from controller.stream import queue_table
from controller.stream.messages import HostSample, table_of
from controller.world.desired import World

METER_COLUMNS, PORT_COLUMNS = 2, 6  # as the blocks METER and PORT of allocation.samples have them

_METER = slice(FIRST_COLUMN[METER], FIRST_COLUMN[METER] + METER_COLUMNS)
_PORT = slice(FIRST_COLUMN[PORT], FIRST_COLUMN[PORT] + PORT_COLUMNS)
_QUEUES = {
    block: slice(FIRST_COLUMN[place], FIRST_COLUMN[place] + queue_table.COLUMNS)
    for block, place in ((queue_table.SHAPER, SHAPER), (queue_table.UPLINK, UPLINK), (queue_table.INGRESS, INGRESS))
}
_NOWHERE = -1  # OpenFlow port of a VIF that has none


@dataclass(frozen=True, slots=True)
class SwitchSample:
    """meters by meter id, ports by OpenFlow port; time_s: our monotonic clock when they were asked for.

    cpu_s: processor time that it took to read the answer.
    """

    time_s: float
    meters: Counted = field(default_factory=lambda: nothing(METER_COLUMNS))
    ports: Counted = field(default_factory=lambda: nothing(PORT_COLUMNS))
    cpu_s: float = 0.0


@dataclass(frozen=True, slots=True)
class _Placed:
    """The VIFs of one chassis: int64[n] each. at: their rows among all. uncut: those of which no cuts are told."""

    at: NDArray[np.int64]
    numbers: NDArray[np.int64]
    ports: NDArray[np.int64]
    uncut: NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Places:
    """Where the VIFs of a world are counted. keys: their numbers, int64[n] in ascending order."""

    keys: NDArray[np.int64]
    chassis: Mapping[str, _Placed]


def places_of(world: World) -> Places:
    keys = np.array(sorted(vif.number for vifs in world.members.values() for vif in vifs), dtype=np.int64)
    placed = {}
    for chassis, vifs in world.members.items():
        numbers = np.array([vif.number for vif in vifs], dtype=np.int64)
        ports = np.array([_NOWHERE if vif.ofport is None else vif.ofport for vif in vifs], dtype=np.int64)
        at = np.searchsorted(keys, numbers)
        # what it drops is told of a kind that is policed there: others have queues and meters, which say it better
        policed = np.array([vif.kind == "vhost-user" for vif in vifs], dtype=np.bool_)
        placed[chassis] = _Placed(at, numbers, ports, at[~policed])
    return Places(keys, placed)


def readings_of(places: Places, switches: Mapping[str, SwitchSample], hosts: Mapping[str, HostSample]) -> Readings:
    """What is known of each VIF, in the order of `places.keys`; an egress meter has its VIF's number."""
    value = np.full((len(places.keys), len(BLOCK_OF_COLUMN)), np.nan)
    time_s = np.full((len(places.keys), len(FIRST_COLUMN)), np.nan)
    for chassis, placed in places.chassis.items():
        switch, host = switches.get(chassis), hosts.get(chassis)
        if switch is not None:
            value[placed.at, _METER] = switch.meters.of(placed.numbers)
            value[placed.at, _PORT] = switch.ports.of(placed.ports)
            for cut in (PORT_RX_CUT, PORT_TX_CUT):
                value[placed.uncut, cut] *= 0  # and stays unknown where it is
            time_s[placed.at, METER] = time_s[placed.at, PORT] = switch.time_s
        if host is not None:
            blocks = table_of(host.vifs).blocks
            for block, columns in _QUEUES.items():
                if block in blocks:
                    value[placed.at, columns] = blocks[block].of(placed.numbers)
            time_s[placed.at, SHAPER:] = host.time_s
    return Readings(value, np.where(np.isnan(value[:, FIRST_COLUMN]), np.nan, time_s))
