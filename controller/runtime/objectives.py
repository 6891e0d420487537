"""Objectives of VIFs in the loop: what is measured is held against them, and others give way while it is too much."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from controller.allocation.actuator import Direction
from controller.allocation.class_figures import ClassFigures
from controller.allocation.decision import Decision, Move
from controller.allocation.objectives import Accounts, Level, Targets, best_class, level_of, worst
from controller.allocation.pauses import Pauses
from controller.allocation.yielding import Load, Pace, Place, Yielder, Yielding, caps, step
from controller.runtime.giving_way import ByClass, Link, Scene, Watched, own_yielders, scene_of, targets_in, yielders
from controller.runtime.objective_words import inputs_of, missed_words, remedy, why
from controller.runtime.tick import Tick
from controller.world.desired import World
from ovsdb.rows import VirtualInterface

UP, DOWN = 0.05, 0.02  # smaller changes of a cap are not written
DIVIDE_S = 3.0  # so often the same budget is divided anew, for what has changed in who wants how much
_NOBODY = Scene(World(), (), {}, {}, {}, {}, {})
_ALL = 0  # in place of a VIF's number: everybody on the link


Classes = Callable[[VirtualInterface], Mapping[Direction, Mapping[str, ClassFigures]]]


@dataclass(slots=True)
class _Link:
    """One uplink on which somebody has objectives. written: what each place may take at most, kbit/s.

    states: of _ALL, and of each VIF whose own later classes give way for it alone. whom: for whom it was last.
    """

    states: dict[int, Yielding] = field(default_factory=dict)
    written: dict[Place, int] = field(default_factory=dict)
    whom: tuple[Watched, ...] = ()
    is_missed: bool = False  # an objective is violated now
    divided: tuple[World, Mapping[int, float], float] | None = None  # for whom, which budgets, and when

    @property
    def is_active(self) -> bool:
        return any(state.is_active for state in self.states.values())

    def is_divided(self, world: World, budgets: Mapping[int, float], now_s: float) -> bool:
        """Whether the same has been divided lately."""
        if self.divided is None or self.divided[0] is not world:
            return False
        return self.divided[1] == budgets and now_s - self.divided[2] < DIVIDE_S


class GivingWay:
    """The ClassCaps of the ticker. Lost with the controller: then nothing gives way until it is seen to be needed, and
    counting begins anew."""

    def __init__(self, classes: Classes = lambda _: {}, pace: Pace | None = None) -> None:
        """classes: what is known of the classes of a VIF, by direction and class."""
        self._classes, self._pace = classes, pace or Pace()
        self._scene = _NOBODY
        self._accounts = Accounts()
        self._links: dict[Link, _Link] = {}
        self._no_use = Pauses(self._pace.retry_s, self._pace.most_retry_s)  # by whose state (see _Link) and VIF
        self._full_s: dict[int, float] = {}  # by VIF with objectives: when its own queue was last full
        self._seen_s, self._since_wall_s = 0.0, 0.0
        self._lines: list[str] = []
        self.class_kbps: Mapping[int, Mapping[str, int]] = {}

    def act(self, tick: Tick) -> Sequence[Move]:
        is_new, moves = tick.world is not self._scene.world, list[Move]()
        if is_new:
            self._scene, before = scene_of(tick.world), self._links
            self._forget_all_but(targets_in(tick.world))
            self._links = {link: before.get(link, _Link()) for link in self._scene.members}
            for link in before.keys() - self._links.keys():
                before[link].states.clear()
                moves += self._write(link, before[link], {})
        self._seen_s, self._since_wall_s = tick.at_s, self._since_wall_s or tick.wall_s
        violated = [one for one in self._scene.watched.values() if self._count(one, tick)]
        on_links = {one.link for one in violated} | {link for link, here in self._links.items() if here.states}
        for link, here in self._links.items():
            if link in on_links:
                moves += self._act_on(link, here, tick)
        if moves or is_new:
            self.class_kbps = _by_vif(self._links.values())
        self._lines = [self._told(one, tick) for one in violated]
        return moves

    def _forget_all_but(self, targets: Mapping[int, Targets]) -> None:
        self._accounts.keep(targets)
        self._no_use.keep(targets)
        self._full_s = {number: at_s for number, at_s in self._full_s.items() if number in targets}

    def document(self) -> dict[str, Any]:
        """What /v1/objectives serves. since: when counting began, seconds since 1970."""
        names = self._scene.names
        return {
            "since": self._since_wall_s or None,
            "vifs": {one.name: self._accounts.document(number, self._seen_s) for number, one in self._watched()},
            "links": {
                f"{chassis}/{uplink}": {
                    "budget_kbps": round(state.budget_kbps) if state.is_active else None,
                    "for": [one.name for one in here.whom],
                    "caps": {names[number]: own for number, own in _by_vif([here]).items() if number in names},
                }
                for (chassis, uplink), here in self._links.items()
                if here.is_active
                for state in [here.states.get(_ALL, Yielding())]
            },
            "faults": list(self._lines),
        }

    def totals(self) -> Mapping[str, Mapping[str, Mapping[str, Any]]]:
        """What metrics tell, by name of VIF and objective."""
        return {
            one.name: {objective: account.totals() for objective, account in self._accounts.of(number).items()}
            for number, one in self._watched()
        }

    def shown_in(self, document: dict[str, Any]) -> dict[str, Any]:
        """What /v1/vifs serves, with the objectives of those that have any, and what gives way."""
        numbers = {name: number for number, name in self._scene.names.items()}
        for name, shown in document["vifs"].items():
            number = numbers.get(name, 0)
            if number in self._scene.watched:
                shown["slo"] = self._accounts.document(number, self._seen_s)
            if number in self.class_kbps:
                shown["class_kbps"] = dict(self.class_kbps[number])
        return document

    @property
    def lines(self) -> Sequence[str]:
        """Who violates what now, and what becomes of it; a line each."""
        return self._lines

    def _watched(self) -> Iterable[tuple[int, Watched]]:
        return self._scene.watched.items()

    def _count(self, one: Watched, tick: Tick) -> bool:
        """Its time; whether one of its objectives is violated now.

        What it leaves unanswered is not known to be lost, unless its own queue was full.
        """
        seen, paths = tick.decisions.egress.get(one.number), tick.paths.get(one.number)
        if seen is not None and (seen.limited or (seen.dropped_kbps or 0.0) > 0):
            self._full_s[one.number] = tick.at_s
        figures = None if paths is None else best_class(paths, self._scene.classes)
        full_s = self._full_s.get(one.number, -math.inf)
        if figures is not None and figures.unanswered and tick.at_s - full_s <= figures.window_s:
            figures = replace(figures, unanswered=0.0)
        return self._accounts.note(one.number, figures, tick.at_s, tick.wall_s, tick.interval_s)

    def _act_on(self, link: Link, here: _Link, tick: Tick) -> list[Move]:
        scene, seen = self._scene, tick.decisions.egress
        mine = [one for number in scene.members[link] if (one := scene.watched.get(number)) is not None]
        levels = {one.number: level_of(one.targets, tick.paths.get(one.number), scene.classes) for one in mine}
        missed = [one for one in mine if _is_missed(levels[one.number])]
        if not missed and not here.is_active:
            here.states.clear()
            return self._write(link, here, {}) if here.written else []
        selfish = {one.number for one in missed if scene.is_its_own_doing(one, seen.get(one.number))}
        here.whom, here.is_missed = tuple(missed) or here.whom, bool(missed)
        wanted = self._for_others(link, here, mine, selfish, levels, tick)
        for number in selfish | here.states.keys() - {_ALL}:
            own = self._for_itself(link, here, number, number in selfish, levels, tick)
            wanted |= {place: min(kbps, wanted.get(place, math.inf)) for place, kbps in own.items()}
        budgets = {whose: state.budget_kbps for whose, state in here.states.items()}
        if here.is_divided(scene.world, budgets, tick.at_s) and not self._is_short(here, wanted):
            return []
        here.divided = scene.world, budgets, tick.at_s
        return self._write(link, here, wanted)

    def _is_short(self, here: _Link, wanted: Mapping[Place, float]) -> bool:
        """Whether somebody is held below what it keeps: what other classes of the VIF took before is its own now."""
        return any(
            place[0] in self._scene.divided and kbps > (1 + UP) * here.written.get(place, math.inf)
            for place, kbps in wanted.items()
        )

    def _for_others(
        self,
        link: Link,
        here: _Link,
        mine: Sequence[Watched],
        selfish: set[int],
        levels: Mapping[int, Level],
        tick: Tick,
    ) -> dict[Place, float]:
        """What gives way on the whole link. Whose delay is its own doing is as if all were well with it."""
        heeded = [one for one in mine if not self._no_use.is_on((_ALL, one.number), tick.at_s)]
        if not heeded:
            here.states.pop(_ALL, None)
            return {}
        now = worst(Level(0.0) if one.number in selfish else levels[one.number] for one in heeded)
        spared = [one for one in heeded if one.number not in selfish and _is_missed(levels[one.number])]
        if not spared and _ALL not in here.states:
            return {}
        by_class = self._by_class(self._scene.members[link])
        places = yielders(self._scene, link, tick.decisions.egress, {one.number for one in spared}, by_class)
        if not spared and not places:  # nobody is held back
            del here.states[_ALL]
            return {}
        state = self._step(link, here, _ALL, now, places, tick)
        if state.is_futile:
            for one in spared:  # but not for who waits less, whom it may have helped
                if (levels[one.number].value or 0.0) >= self._pace.helped * state.first_level:
                    self._no_use.begin((_ALL, one.number), tick.at_s)
            del here.states[_ALL]
            return {}
        return caps(state.budget_kbps, places)

    def _for_itself(
        self, link: Link, here: _Link, number: int, is_selfish: bool, levels: Mapping[int, Level], tick: Tick
    ) -> dict[Place, float]:
        """What of the VIF's own later classes gives way for its best."""
        is_there = number in self._scene.divided and number in levels
        if not is_there or self._no_use.is_on((number, number), tick.at_s):
            here.states.pop(number, None)
            return {}
        now = levels[number] if is_selfish or not _is_missed(levels[number]) else Level(1.0)
        places = own_yielders(self._scene, link, tick.decisions.egress, number, self._by_class([number]))
        state = self._step(link, here, number, now, places, tick)
        if state.is_futile:
            self._no_use.begin((number, number), tick.at_s)
            del here.states[number]
            return {}
        if not state.is_active and not is_selfish:
            del here.states[number]
        return caps(state.budget_kbps, places)

    def _by_class(self, numbers: Iterable[int]) -> ByClass:
        divided = self._scene.divided
        return {number: self._classes(divided[number]).get("egress", {}) for number in numbers if number in divided}

    def _step(self, link: Link, here: _Link, whose: int, now: Level, places: Sequence[Yielder], tick: Tick) -> Yielding:
        load = Load(
            sum(place.passed_kbps for place in places),
            sum(place.floor_kbps for place in places),
            float(self._scene.capacity_kbps[link]),
        )
        before = here.states.get(whose, Yielding())
        here.states[whose] = step(before, now.value, now.lag_s, load, tick.at_s, self._pace)
        return here.states[whose]

    def _write(self, link: Link, here: _Link, wanted: Mapping[Place, float]) -> list[Move]:
        before, here.written = here.written, {}
        moves = []
        for place in sorted(before.keys() | wanted.keys()):
            old, new = before.get(place), wanted.get(place)
            if new is not None:
                rounded = max(1, math.ceil(new))
                is_same = old is not None and (1 - DOWN) * old <= rounded <= (1 + UP) * old
                here.written[place] = old if is_same and old is not None else rounded
            after = here.written.get(place)
            if old != after and place[0] in self._scene.names:
                moves.append(self._move(place, old, after, link, here))
        return moves

    def _move(self, place: Place, before: int | None, after: int | None, link: Link, here: _Link) -> Move:
        inputs = {} if (state := here.states.get(_ALL)) is None else {"budget_kbps": state.budget_kbps}
        for one in here.whom[:1]:
            inputs |= inputs_of(self._accounts.of(one.number))
        whom = ", ".join(one.name for one in here.whom)
        reason = why(before, after, whom, link, here.is_missed)
        return Move(place[0], "egress", f"class {place[1]}", before, after, reason, inputs)

    def _told(self, one: Watched, tick: Tick) -> str:
        """Which of its objectives are violated now, and what becomes of it."""
        here = self._links.get(one.link) if one.link is not None else None
        state = here.states.get(_ALL, Yielding()) if here is not None else Yielding()
        seen: Decision | None = tick.decisions.egress.get(one.number)
        cause = remedy(self._scene, one, state, seen, self._no_use.is_on((_ALL, one.number), tick.at_s))
        return f"VIF {one.name}: {missed_words(self._accounts.of(one.number))}: {cause}"


def _is_missed(level: Level) -> bool:
    return level.value is not None and level.value > 1


def _by_vif(links: Iterable[_Link]) -> dict[int, dict[str, int]]:
    found: dict[int, dict[str, int]] = {}
    for link in links:
        for (number, name), kbps in sorted(link.written.items()):
            found.setdefault(number, {})[name] = kbps
    return found
