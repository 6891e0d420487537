"""Neighbours of the router outside: who is being asked for, and what waits for them. Pure; the clock is an argument.

The switch learns of an answer by itself. The packets that came before it wait here, as in a kernel.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field

from policies.model import IPAddress

TRIES, RETRY_S = 3, 1.0  # as Linux does
KEEP_S = 25.0  # pace at which routers are asked again; the switch forgets who has been silent for 300 s
MOST_HELD = 8  # packets that wait for one neighbour
MOST_ASKED, MOST_ASKED_BY_VIF = 512, 32  # neighbours at once, so that one VIF that tries a whole network is not alone
_TRUST_S = 5.0  # in which packets may still come that were on their way here when the switch learned of the answer
_MOST_KNOWN = 1024

Key = tuple[int, IPAddress]  # number of the segment whose uplink it is on, address


@dataclass(frozen=True, slots=True)
class Held:
    """A packet that waits. vif: number of the one that sent it. frame: as it shall leave, but for its MACs."""

    vif: int
    frame: bytes


@dataclass(frozen=True, slots=True)
class Answer:
    """port: where it came in, and so out of which the neighbour is reached."""

    mac: int
    port: int


@dataclass(slots=True)
class _Asked:
    by: int  # VIF
    held: list[Held] = field(default_factory=list)
    tries: int = 0
    next_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Due:
    """ask: whom to ask for. failed: packets whose neighbour does not answer."""

    ask: tuple[Key, ...]
    failed: tuple[Held, ...]


class NeighbourBook:
    """Of one bridge."""

    def __init__(self) -> None:
        self._asked: dict[Key, _Asked] = {}
        self._known: dict[Key, tuple[Answer, float]] = {}  # and when it was told
        self._kept: dict[Key, float] = {}  # routers: when to ask again

    @property
    def held(self) -> int:
        """How many packets wait."""
        return sum(len(asked.held) for asked in self._asked.values())

    def known(self, key: Key, now_s: float) -> Answer | None:
        """If it was told a moment ago: no need to wait."""
        answer, told_s = self._known.get(key, (None, 0.0))
        return answer if now_s - told_s <= _TRUST_S else None

    def hold(self, key: Key, packet: Held, now_s: float) -> bool:
        """False: there are too many already, and it is lost."""
        asked = self._asked.get(key)
        if asked is None:
            own = sum(one.by == packet.vif for one in self._asked.values())
            if len(self._asked) >= MOST_ASKED or own >= MOST_ASKED_BY_VIF:
                return False
            asked = self._asked[key] = _Asked(packet.vif, next_s=now_s)
        if len(asked.held) >= MOST_HELD:
            return False
        asked.held.append(packet)
        return True

    def answered(self, key: Key, answer: Answer, now_s: float) -> list[Held]:
        """The packets that can go now."""
        asked = self._asked.pop(key, None)
        if asked is None and key not in self._kept:
            return []
        self._known.pop(key, None)
        self._known[key] = answer, now_s
        if len(self._known) > _MOST_KNOWN:
            del self._known[next(iter(self._known))]
        return [] if asked is None else asked.held

    def due(self, routers: Collection[Key], now_s: float) -> Due:
        """routers: to be asked always, so that the switch does not forget them and learns of a changed MAC."""
        self._kept = {key: self._kept.get(key, now_s) for key in routers}
        ask = {key for key, next_s in self._kept.items() if next_s <= now_s}
        self._kept |= {key: now_s + KEEP_S for key in ask}
        failed: list[Held] = []
        for key, asked in list(self._asked.items()):
            if asked.next_s > now_s:
                continue
            if asked.tries == TRIES:
                failed += self._asked.pop(key).held
                continue
            asked.tries, asked.next_s = asked.tries + 1, now_s + RETRY_S
            ask.add(key)
        return Due(tuple(sorted(ask, key=lambda key: (key[0], key[1].version, key[1]))), tuple(failed))
