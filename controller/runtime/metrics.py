"""What the controller knows, as metrics: rates and totals of every VIF and direction, paths, the loop itself. Pure.

Some 36 samples a VIF. Labels: vif, policy, chassis, direction; `at` says where something was counted. Bits and seconds,
as Prometheus wants base units.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from controller.allocation.actuator import Direction as Way
from controller.allocation.class_figures import ClassFigures
from controller.allocation.samples import (
    BACKLOG_BYTES,
    FIRST_COLUMN,
    INGRESS,
    METER_DROPPED,
    METER_IN,
    PORT_RX,
    PORT_RX_CUT,
    PORT_RX_PACKETS,
    PORT_TX,
    PORT_TX_CUT,
    PORT_TX_PACKETS,
    SHAPER,
    UPLINK,
)
from controller.runtime.exposition import Family, Kind, Sample, labels
from controller.runtime.history import History
from controller.runtime.series import PATH, RATES, Frame, Numbers
from controller.runtime.totals import Totals
from controller.world.desired import World
from controller.world.members import members_in_force
from ovsdb.rows import VirtualInterface
from policies.classes import uses_classes
from policies.model import Direction

_EGRESS, _INGRESS = "egress", "ingress"
_BITS = 1000.0

# column of the totals -> (direction, where it was counted)
_SHAPER, _UPLINK, _OWN = (int(FIRST_COLUMN[block]) for block in (SHAPER, UPLINK, INGRESS))
_BYTES = {
    PORT_RX: (_EGRESS, "port"),
    METER_IN: (_EGRESS, "meter"),
    _SHAPER: (_EGRESS, "shaper"),
    _UPLINK: (_EGRESS, "uplink"),
    PORT_TX: (_INGRESS, "port"),
    _OWN: (_INGRESS, "queue"),
}
_PACKETS = {
    PORT_RX_PACKETS: (_EGRESS, "port"),
    _SHAPER + 1: (_EGRESS, "shaper"),
    _UPLINK + 1: (_EGRESS, "uplink"),
    PORT_TX_PACKETS: (_INGRESS, "port"),
    _OWN + 1: (_INGRESS, "queue"),
}
_DROPPED_PACKETS = {
    PORT_RX_CUT: (_EGRESS, "port"),
    _SHAPER + 2: (_EGRESS, "shaper"),
    _UPLINK + 2: (_EGRESS, "uplink"),
    PORT_TX_CUT: (_INGRESS, "port"),
    _OWN + 2: (_INGRESS, "queue"),
}
_DROPPED_BYTES = {METER_DROPPED: (_EGRESS, "meter")}
_WAITING = {
    _SHAPER + BACKLOG_BYTES: (_EGRESS, "shaper"),
    _UPLINK + BACKLOG_BYTES: (_EGRESS, "uplink"),
    _OWN + BACKLOG_BYTES: (_INGRESS, "queue"),
}
_TOTALS: tuple[tuple[str, Kind, str, Mapping[int, tuple[str, str]]], ...] = (
    ("weir_vif_bytes_total", "counter", "Bytes that came to that place, or left the queue there", _BYTES),
    ("weir_vif_packets_total", "counter", "Packets likewise", _PACKETS),
    ("weir_vif_dropped_packets_total", "counter", "Packets dropped there", _DROPPED_PACKETS),
    ("weir_vif_dropped_bytes_total", "counter", "Bytes dropped there, where they are counted", _DROPPED_BYTES),
    ("weir_vif_waiting_bytes", "gauge", "Bytes that wait in the queue there", _WAITING),
)
_OF_CLASSES: tuple[tuple[str, Kind, str, str], ...] = (
    ("weir_vif_class_bytes_total", "counter", "Bytes that left the queues of a class", "passed_bytes"),
    ("weir_vif_class_dropped_packets_total", "counter", "Packets that they dropped", "dropped_packets"),
    ("weir_vif_class_waiting_bytes", "gauge", "Bytes that wait in them", "backlog_bytes"),
)
_RATES = {
    "offered_kbps": "What comes, whatever becomes of it",
    "allocated_kbps": "What the loop gives it of what is shared",
    "passed_kbps": "What gets through",
    "dropped_kbps": "What does not",
    "enforced_kbps": "What the loop holds it to, below its own limit; absent where that is enough",
}


@dataclass(frozen=True, slots=True)
class Around:
    """What else is told. drift: repairs by kind; connected: chassis whose switch is connected.

    classes: of a VIF, by direction and class. objectives: by VIF and objective, as Account.totals has them.
    cpu_share: of a core, that the loop takes; None: not known yet. is_told: whether a VIF's host says now what waits.
    """

    drift: Mapping[str, int]
    connected: Sequence[str]
    interval_s: float
    cpu_share: float | None
    classes: Callable[[VirtualInterface], Mapping[Way, Mapping[str, ClassFigures]]]
    objectives: Mapping[str, Mapping[str, Mapping[str, Any]]]
    is_told: Callable[[VirtualInterface], bool]


class Metrics:
    def __init__(self, history: History, totals: Totals) -> None:
        self._history, self._totals = history, totals
        self._world: World | None = None
        self._labels: dict[tuple[Any, ...], dict[int, str]] = {}  # by direction and what more they name, of each VIF
        self._limits: list[Family] = []

    def families(self, around: Around) -> Iterator[Family]:
        tick, frame = self._history.last, self._history.frame
        if tick is not None and frame is not None:
            self._learn(tick.world)
            yield from self._rates(frame)
            yield from self._limits
            yield from self._path(frame)
            yield from self._of_classes(around)
        for name, kind, help_, columns in _TOTALS:
            told = self._told(around) if kind == "gauge" else None
            yield Family(name, kind, help_, list(self._counted(columns, told)))
        yield from _of_objectives(around.objectives)
        yield from _of_loop(self._history, around)

    def _learn(self, world: World) -> None:
        """Labels, and what the policy says: they are the same until the world is another."""
        if world is self._world:
            return
        self._world, self._labels = world, {}
        self._vifs = {vif.number: vif for vifs in world.members.values() for vif in vifs}
        divides = {path: uses_classes(world.policies, path) for path in {vif.policy for vif in self._vifs.values()}}
        self._divided = [vif for vif in self._vifs.values() if divides[vif.policy]]
        in_force = {one.number: one for one in members_in_force(world.snapshot.interfaces.values(), world.policies)}
        limits: dict[str, list[Sample]] = {"guarantee_kbps": [], "limit_kbps": []}
        for direction in Direction:
            names = self._labelled(direction.value)
            for number, name in names.items():
                bandwidth = in_force[number].bandwidth(world.policies, direction)
                for figure, samples in limits.items():
                    kbps = getattr(bandwidth, figure)
                    if kbps is not None:
                        samples.append((name, kbps * _BITS))
        self._limits = [
            Family("weir_vif_guarantee_bits_per_second", "gauge", "The guarantee in force", limits["guarantee_kbps"]),
            Family("weir_vif_limit_bits_per_second", "gauge", "The limit of its own", limits["limit_kbps"]),
        ]

    def _labelled(self, direction: str, **more: str) -> dict[int, str]:
        """By VIF number."""
        key = direction, *more.items()
        if key not in self._labels:
            self._labels[key] = {
                number: labels({**_who(vif), **({"direction": direction} if direction else {}), **more})
                for number, vif in self._vifs.items()
            }
        return self._labels[key]

    def _rates(self, frame: Frame) -> Iterator[Family]:
        for position, figure in enumerate(RATES):
            samples: list[Sample] = []
            for offset, direction in ((0, _EGRESS), (len(RATES), _INGRESS)):
                names = self._labelled(direction)
                samples += _samples(names, frame.keys, frame.values[:, offset + position] * _BITS)
            name = f"weir_vif_{figure.removesuffix('_kbps')}_bits_per_second"
            yield Family(name, "gauge", _RATES[figure], samples)

    def _path(self, frame: Frame) -> Iterator[Family]:
        column = dict(zip(PATH, range(2 * len(RATES), 2 * len(RATES) + len(PATH)), strict=True))
        latency: list[Sample] = []
        for figure, quantile in (("p50_ms", "0.5"), ("p99_ms", "0.99")):
            names = self._labelled("", quantile=quantile)
            latency += _samples(names, frame.keys, frame.values[:, column[figure]] / 1000)
        yield Family("weir_vif_latency_seconds", "gauge", "Round trips of probes, lately", latency)
        jitter = _samples(self._labelled(""), frame.keys, frame.values[:, column["jitter_ms"]] / 1000)
        yield Family("weir_vif_jitter_seconds", "gauge", "How much they vary, as RFC 3550 has it", jitter)
        loss = _samples(self._labelled(""), frame.keys, frame.values[:, column["loss"]])
        yield Family("weir_vif_loss_ratio", "gauge", "The part of probes that were not answered", loss)

    def _of_classes(self, around: Around) -> Iterator[Family]:
        found = [
            (self._labelled(direction, **{"class": name})[vif.number], figures)
            for vif in self._divided
            for direction, classes in around.classes(vif).items()
            for name, figures in classes.items()
        ]
        for name, kind, help_, figure in _OF_CLASSES:
            known = [(given, value) for given, one in found if (value := getattr(one, figure)) is not None]
            yield Family(name, kind, help_, known)
        tick = self._history.last
        paths = tick.paths if tick is not None else {}
        latency = [
            (self._labelled("", **{"class": name, "quantile": "0.99"})[vif.number], figures.p99_ms / 1000)
            for vif in self._vifs.values()
            if vif.number in paths
            for name, figures in paths[vif.number].classes.items()
            if figures.p99_ms is not None and len(paths[vif.number].classes) > 1
        ]
        yield Family("weir_vif_class_latency_seconds", "gauge", "Round trips of probes in a class, lately", latency)

    def _told(self, around: Around) -> frozenset[int]:
        """The VIFs, by number, of which somebody says now what waits for them."""
        vifs = self._vifs.values() if self._world is not None else ()
        return frozenset(vif.number for vif in vifs if around.is_told(vif))

    def _counted(self, columns: Mapping[int, tuple[str, str]], told: frozenset[int] | None) -> Iterator[Sample]:
        """told: of these alone; None: of all."""
        for column, (direction, place) in columns.items():
            names = self._labelled(direction, at=place) if self._world is not None else {}
            if told is not None:
                names = {number: given for number, given in names.items() if number in told}
            yield from _samples(names, self._totals.keys, self._totals.value[:, column])


def _samples(names: Mapping[int, str], keys: Numbers, values: np.typing.NDArray[np.floating[Any]]) -> list[Sample]:
    """Those that are known and bounded."""
    known = np.isfinite(values)
    pairs = zip(keys[known].tolist(), values[known].tolist(), strict=True)
    return [(names[number], value) for number, value in pairs if number in names]


def _who(vif: VirtualInterface) -> dict[str, str]:
    return {"vif": vif.name, "policy": vif.policy, "chassis": vif.chassis or ""}


def _of_objectives(objectives: Mapping[str, Mapping[str, Mapping[str, Any]]]) -> Iterator[Family]:
    named = [
        (labels({"vif": vif, "objective": objective}), one)
        for vif, of_vif in sorted(objectives.items())
        for objective, one in of_vif.items()
    ]
    missed = [(given, float(one["state"] == "violated")) for given, one in named if one["state"] != "unknown"]
    yield Family("weir_objective_missed", "gauge", "Whether it is missed now; absent while nobody knows", missed)
    for name, part in (("missed", "violated_s"), ("known", "known_s")):
        help_ = f"Seconds in which it was {name}, since this controller began"
        yield Family(
            f"weir_objective_{name}_seconds_total", "counter", help_, [(given, one[part]) for given, one in named]
        )


def _of_loop(history: History, around: Around) -> Iterator[Family]:
    tick = history.last
    yield Family("weir_loop_interval_seconds", "gauge", "The pace of the loop", [("", around.interval_s)])
    cpu = [] if around.cpu_share is None else [("", around.cpu_share)]
    yield Family("weir_loop_cpu_ratio", "gauge", "The part of a core that the loop takes", cpu)
    yield Family("weir_loop_ticks_total", "counter", "Ticks that succeeded", [("", tick.number if tick else 0)])
    fault = [("", float(tick.decisions.fault is not None))] if tick else []
    yield Family("weir_loop_fault", "gauge", "Whether some guarantee cannot be met; see weir status", fault)
    engaged = tick.decisions.engaged.items() if tick else ()
    yield Family(
        "weir_loop_engaged_nodes", "gauge", "Inner nodes whose limit the loop keeps now",
        [(labels({"direction": direction}), len(nodes)) for direction, nodes in sorted(engaged)],
    )  # fmt: skip
    yield Family(
        "weir_loop_changes_total", "counter", "What the loop has changed",
        [(labels({"what": what, "direction": way}), times) for (what, way), times in sorted(history.changed.items())],
    )  # fmt: skip
    yield Family(
        "weir_repairs_total", "counter", "What others had changed and Weir has put right",
        [(labels({"kind": kind}), times) for kind, times in sorted(around.drift.items())],
    )  # fmt: skip
    chassis = tick.world.snapshot.chassis if tick else ()
    yield Family(
        "weir_chassis_connected", "gauge", "Whether the switch of a host is connected",
        [(labels({"chassis": name}), float(name in around.connected)) for name in sorted(chassis)],
    )  # fmt: skip
