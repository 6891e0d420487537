"""What becomes of the probes of a VIF: each round gives one time under way, or is lost, or tells nothing. Pure.

A round is a question to the instance and, where the class that is measured has queues of its own, frames of that class
that pass by: through the queues of the VIF's port and of its uplinks. The time is that of
 - waiting in the port's queues, in this class,
 - the way to the instance and back: its answer, and what waits in its shaper,
 - waiting in the uplink's queues, in this class; where it has several devices, in that where it takes longest,
 - the way beyond the uplink and back, as far as somebody there answers (`neighbours`).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from controller.host.latency.frames import MOST_NUMBER, UNNUMBERED
from controller.host.latency.stamps import Moment, Stamp, is_possible
from controller.measure.jitter import Jitter
from controller.measure.sketch import bucket_of
from controller.stream.messages import PathSample

PATIENCE_S = 2.0  # what takes longer is lost
REFUSED_S = 1.0  # after which what a queue refused is lost, unless its link is seen to be down


@dataclass(slots=True)
class Leg:
    """One frame of a round, and when the kernel saw it."""

    device: str
    times_ns: dict[Moment, int] = field(default_factory=dict)

    def waited_ns(self, start: Moment = Moment.QUEUED, end: Moment = Moment.SENT) -> int | None:
        if start not in self.times_ns or end not in self.times_ns:
            return None
        return self.times_ns[end] - self.times_ns[start]


@dataclass(slots=True)
class Round:
    """inwards, outwards: of passers-by; no inwards: the question waits in the queue of the class itself."""

    vif: int
    class_name: str
    sent_s: float
    question: Leg
    inwards: Leg | None = None
    outwards: list[Leg] = field(default_factory=list)
    leaves_by: tuple[str, ...] = ()  # devices of the VIF's uplink
    is_refused: bool = False  # a queue had no room for one of them

    def times_ns(self) -> tuple[int, int, int] | None:
        """In the port's queues, to the instance and back, in the uplink's queues. None: not everything has come."""
        answered_ns = self.question.waited_ns(Moment.SENT, Moment.ANSWERED)
        waited_ns = (self.inwards or self.question).waited_ns()
        outwards = [leg.waited_ns() for leg in self.outwards]
        known = [time_ns for time_ns in outwards if time_ns is not None]
        if answered_ns is None or waited_ns is None or len(known) != len(outwards):
            return None
        return waited_ns, answered_ns, max(known, default=0)

    def is_unanswered(self) -> bool:
        """Whether all queues took it, and only the instance's answer is missing."""
        legs = (
            [self.question, *self.outwards] if self.inwards is None else [self.question, self.inwards, *self.outwards]
        )
        is_through = all(Moment.SENT in leg.times_ns for leg in legs)
        return is_through and not self.is_refused and Moment.ANSWERED not in self.question.times_ns


@dataclass(slots=True)
class _Tally:
    """Of one VIF and class since the last sample. jitter goes on for ever. unanswered: of those lost."""

    jitter: Jitter = field(default_factory=Jitter)
    sent: int = 0
    lost: int = 0
    unanswered: int = 0
    buckets: dict[int, int] = field(default_factory=dict)


class Rounds:
    """Those under way, and what came of the others."""

    def __init__(self) -> None:
        self._number = 0
        self._legs: dict[int, tuple[Round, Leg]] = {}
        self._open: dict[int, Round] = {}  # by identity, in the order in which they were sent
        self._asked: dict[str, Leg] = {}  # by device: the last question there, for answers without a number
        self._answering: dict[int, float] = {}  # VIF -> when the first question was sent that it has answered
        self._tallies: dict[tuple[int, str], _Tally] = {}

    def number(self) -> int:
        """Of the next probe: none that is under way has it."""
        self._number = self._number % MOST_NUMBER + 1
        return self._number

    def is_asking(self, device: str) -> bool:
        """Whether a question is under way there."""
        leg = self._asked.get(device)
        return any(own.question is leg and Moment.ANSWERED not in leg.times_ns for own in self._open.values())

    def add(self, own: Round, legs: Mapping[int, Leg]) -> None:
        """legs: by number, all of the round's."""
        self._open[id(own)] = own
        self._asked[own.question.device] = own.question
        for number, leg in legs.items():
            self._legs[number] = own, leg

    def drop(self, own: Round) -> None:
        """It tells nothing: not all of it could be sent."""
        del self._open[id(own)]
        self._legs = {number: leg for number, leg in self._legs.items() if leg[0] is not own}

    def take(self, stamp: Stamp) -> None:
        if stamp.number == UNNUMBERED:
            leg = self._asked.get(stamp.device)
        else:
            leg = self._legs[stamp.number][1] if stamp.number in self._legs else None
        if leg is not None and stamp.device in ("", leg.device):  # nobody answers for somebody else
            leg.times_ns.setdefault(stamp.moment, stamp.time_ns)

    def settle(self, now_s: float, lost_s: float, beyond: Callable[[Round], int | None]) -> None:
        """Ends rounds that are complete, or too old. lost_s: until then answers may have come that were not
        read, so what was asked before is not lost for want of one.

        beyond: how many ns the way beyond the uplink takes; 0: not known, or no part of it; None: it is cut.
        """
        ended = set[int]()
        for key, own in self._open.items():
            times_ns, passed_s = own.times_ns(), now_s - own.sent_s
            if times_ns is None and passed_s < (REFUSED_S if own.is_refused else PATIENCE_S):
                continue
            ended.add(key)
            if times_ns is not None:
                self._answering.setdefault(own.vif, own.sent_s)
                beyond_ns = beyond(own)
                if beyond_ns is None:
                    self._missed(own)
                elif all(is_possible(time_ns, passed_s) for time_ns in times_ns):
                    self._came(own, sum(times_ns) + beyond_ns)
            elif not (own.sent_s <= lost_s and Moment.ANSWERED not in own.question.times_ns):
                self._missed(own)
        if ended:
            self._open = {key: own for key, own in self._open.items() if key not in ended}
            self._legs = {number: leg for number, leg in self._legs.items() if id(leg[0]) not in ended}

    def keep(self, vifs: Iterable[int]) -> None:
        """Forgets all other VIFs; what is under way to them is not lost."""
        kept = set(vifs)
        self._answering = {vif: sent_s for vif, sent_s in self._answering.items() if vif in kept}
        self._tallies = {key: tally for key, tally in self._tallies.items() if key[0] in kept}
        self._open = {key: own for key, own in self._open.items() if own.vif in kept}
        self._legs = {number: leg for number, leg in self._legs.items() if leg[0].vif in kept}
        asked = {own.question.device for own in self._open.values()}
        self._asked = {device: leg for device, leg in self._asked.items() if device in asked}

    def samples(self, every_s: Callable[[int, str], float] = lambda vif, name: 0.0) -> dict[int, dict[str, PathSample]]:
        """What ended since the last call. Of a VIF that has never answered nothing is known but that it was asked.

        every_s: how far apart its probes of a class are sent.
        """
        found = dict[int, dict[str, PathSample]]()
        for (vif, class_name), tally in self._tallies.items():
            if tally.sent:
                found.setdefault(vif, {})[class_name] = PathSample(
                    sent=tally.sent,
                    lost=tally.lost,
                    jitter_ms=tally.jitter.jitter_ms,
                    buckets=dict(tally.buckets),
                    unanswered=tally.unanswered,
                    every_s=every_s(vif, class_name),
                )
                tally.sent = tally.lost = tally.unanswered = 0
                tally.buckets = {}
        return found

    def _tally(self, own: Round) -> _Tally:
        return self._tallies.setdefault((own.vif, own.class_name), _Tally())

    def _came(self, own: Round, time_ns: int) -> None:
        tally, time_ms = self._tally(own), time_ns / 1e6
        bucket = bucket_of(time_ms)
        tally.sent += 1
        tally.buckets[bucket] = tally.buckets.get(bucket, 0) + 1
        tally.jitter = tally.jitter.after(time_ms)

    def _missed(self, own: Round) -> None:
        tally = self._tally(own)
        tally.sent += 1
        if own.sent_s >= self._answering.get(own.vif, math.inf):  # what was asked before that is not known to be lost
            tally.lost += 1
            tally.unanswered += own.is_unanswered()
