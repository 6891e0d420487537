"""What each rule has matched for each VIF, and when last: kept from the counters of the verdict tables.

The entries are by numbers of rule and VIF, so their counters go on through every change of the policy. When a switch
has started anew, they begin anew, and what was counted before is carried.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import eventlet

from controller.dataplane.cookies import COUNTED, CookieKind, decode
from controller.dataplane.pipeline import BY_ID
from controller.runtime.rule_cuts import Cut, Place, after
from controller.runtime.switch import Hits, Switch, SwitchGone
from controller.world.desired import World

INTERVAL_S = 5.0
LEAST_AGE_S = 0.5  # flow statistics lag by as much anyway

log = logging.getLogger("weir.rules")

Key = tuple[str, int, int]  # chassis, table, cookie
_NONE = Hits(0, 0)


@dataclass(frozen=True, slots=True)
class Count:
    """carried: what was counted by entries that are no more. last_hit_s: since 1970; None: not since we look."""

    seen: Hits
    carried: Hits
    last_hit_s: float | None

    @property
    def packets(self) -> int:
        return self.seen.packets + self.carried.packets

    @property
    def bytes(self) -> int:
        return self.seen.bytes + self.carried.bytes


class RuleCounters:
    """switches: those connected, by chassis. wall_clock: seconds since 1970. meters: of the rules of a chassis."""

    def __init__(
        self,
        switches: Callable[[], Mapping[str, Switch]],
        world: Callable[[], World],
        wall_clock: Callable[[], float],
        meters: Callable[[str], Mapping[Place, tuple[int, ...]]],
    ) -> None:
        self._switches, self._world, self._wall_clock, self._meters = switches, world, wall_clock, meters
        self._counts: dict[Key, Count] = {}
        self._cuts: dict[Key, Cut] = {}
        self._known: set[str] = set()  # chassis that have been read before
        self._read_s = float("-inf")

    def run(self) -> None:
        """For ever, in a green thread of its own."""
        while True:
            try:
                self.refresh()
            except Exception:
                log.exception("the counters of rules cannot be read")
            eventlet.sleep(INTERVAL_S)

    def refresh(self) -> None:
        """Reads every switch, unless that has just been done. One that does not answer keeps its figures."""
        if 0 <= self._wall_clock() - self._read_s < LEAST_AGE_S:
            return
        for chassis, switch in sorted(self._switches().items()):
            try:
                self._take(chassis, switch.rule_hits())
                self._take_cuts(chassis, switch)
            except SwitchGone as fault:
                log.warning("%s: %s", chassis, fault)
        self._forget()
        self._read_s = self._wall_clock()

    def document(self) -> dict[str, list[dict[str, Any]]]:
        """{"rules": [...]}: an object for each rule (or `unmatched`), VIF, chassis, direction of judging and kind."""
        self._forget()  # what has gone since it was read has no name any more
        world = self._world()
        names = {number: name for (kind, name), number in world.numbers.items() if kind == "rule"}
        nodes = {number: name for (kind, name), number in world.numbers.items() if kind == "node"}
        vifs = {vif.number: name for name, vif in world.snapshot.interfaces.items()}
        rows = []
        for (chassis, table, cookie), count in sorted(self._counts.items()):
            origin = decode(cookie)
            if origin is None or origin.vif is None:
                continue
            is_rule = origin.kind is not CookieKind.UNMATCHED
            cut = self._cuts.get((chassis, table, cookie))
            rows.append(
                {
                    "rule": names.get(origin.of) if is_rule else None,
                    "node": None if is_rule else nodes.get(origin.of),
                    "vif": vifs.get(origin.vif),
                    "chassis": chassis,
                    "judged": BY_ID[table].name.removesuffix("_verdict"),
                    "kind": origin.kind.name.lower(),
                    "packets": count.packets,
                    "bytes": count.bytes,
                    "last_hit": count.last_hit_s,
                    "cut_bytes": cut.bytes if cut is not None else None,
                }
            )
        return {"rules": rows}

    def _take(self, chassis: str, hits: Mapping[tuple[int, int], Hits]) -> None:
        now_s = self._wall_clock() if chassis in self._known else None
        self._known.add(chassis)
        for key, count in self._counts.items():
            if key[0] == chassis and key[1:] not in hits:  # should it come back, it begins anew
                self._counts[key] = Count(_NONE, Hits(count.packets, count.bytes), count.last_hit_s)
        for (table, cookie), seen in hits.items():
            origin = decode(cookie)
            if origin is not None and origin.kind in COUNTED:
                key = (chassis, table, cookie)
                self._counts[key] = _after(self._counts.get(key), seen, now_s)

    def _take_cuts(self, chassis: str, switch: Switch) -> None:
        meters = self._meters(chassis)
        if not meters:
            return
        cuts = switch.rule_cuts()
        for place, ids in meters.items():
            key = (chassis, *place)
            self._cuts[key] = after(self._cuts.get(key), sum(cuts.get(number, 0) for number in ids))

    def _forget(self) -> None:
        """Those of rules and VIFs that are no more; numbers never come back, or long after."""
        world = self._world()
        rules = {number for (kind, _), number in world.numbers.items() if kind == "rule"}
        nodes = {number for (kind, _), number in world.numbers.items() if kind == "node"}
        vifs = {vif.number for vif in world.snapshot.interfaces.values()}
        for key in {*self._counts, *self._cuts}:
            origin = decode(key[2])
            known = nodes if origin is not None and origin.kind is CookieKind.UNMATCHED else rules
            if origin is None or origin.vif not in vifs or origin.of not in known:
                self._counts.pop(key, None)
                self._cuts.pop(key, None)


def _after(before: Count | None, seen: Hits, now_s: float | None) -> Count:
    """A count that fell began anew. now_s: None when nobody looked before: who knows when it was hit."""
    if before is None:
        return Count(seen, _NONE, now_s if seen.packets else None)
    fell = seen.packets < before.seen.packets
    carried = Hits(before.packets, before.bytes) if fell else before.carried
    hit = seen.packets > (0 if fell else before.seen.packets)
    return Count(seen, carried, now_s if hit else before.last_hit_s)
