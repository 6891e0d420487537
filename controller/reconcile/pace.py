"""When a changed meter may be written, and with which burst. Pure but for what `MeterPace` remembers.

A switch fills a meter's bucket whenever the meter is written: each write lets one burst through on top of the rate. So
refills are paid for: a meter earns LEAK of its rate, or of the one that is asked for if that is higher, up to its
burst, and a write costs the burst that it is written with. A change soon after another gets a burst that is already
earned, and the whole one when that is.

Without a shaper an increase waits until its smallest burst is earned. A decrease is written at once, owing it if need
be: to wait would let more through. One of less than 1 % waits until nothing is owed, when to wait lets less through.
Behind a shaper the meter must not stand below the shaper, and leaks nothing: an increase is written at once and whole,
a decrease once it is earned.

What passes from one time to another is hence at most two bursts, what is owed at the end, what the rates in force
allow, and LEAK of what they or the rates asked for allow, whichever is higher, however often they change
(docs/decisions/0032).
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace

from controller.dataplane.entries import Meter, MeterBody, meter_rate

LEAK = 0.01
SMALL_DECREASE = 1 - LEAK  # of the rate in force; what waiting then lets through is at most the burst that it saves
LEAST_PACKETS = 2


@dataclass(frozen=True, slots=True)
class Paced:
    """A meter in force. earned: kbit (of a packet meter: packets) that refills might add at at_s; below 0: owed.

    asked: the rate that is asked for since at_s, as of the body.
    """

    body: Meter
    earned: float
    at_s: float
    asked: int

    @property
    def pay_rate(self) -> float:
        """At which it earns since at_s. The old rate alone would make a meter of little rate wait for minutes."""
        return LEAK * max(meter_rate(self.body), self.asked)


@dataclass(frozen=True, slots=True)
class Pacing:
    """What one meter's changes depend on. least_kbit: the smallest bucket that lets every packet pass."""

    is_shaped: bool
    least_kbit: int


def paced(was: Paced | None, wanted: Meter, how: Pacing, now_s: float) -> tuple[Paced, float]:
    """What is in force from now on, and when to ask again if that is not yet what is wanted; inf: it is."""
    if was is None or type(was.body) is not type(wanted):
        return Paced(wanted, _burst(wanted), now_s, meter_rate(wanted)), math.inf
    if was.body == wanted and was.asked == meter_rate(wanted):
        return was, math.inf
    most = max(_burst(was.body), _burst(wanted))
    earned = min(was.earned + was.pay_rate * max(0.0, now_s - was.at_s), most)
    was = Paced(was.body, earned, max(now_s, was.at_s), meter_rate(wanted))
    if was.body == wanted:
        return was, math.inf
    least = min(_burst(wanted), how.least_kbit if isinstance(wanted, MeterBody) else LEAST_PACKETS)
    needed = _needed(was.body, wanted, least, how.is_shaped)
    if earned < needed:
        return was, now_s + (needed - earned) / was.pay_rate
    burst = _burst(wanted) if how.is_shaped else min(_burst(wanted), max(least, int(earned)))
    now = Paced(_with_burst(wanted, burst), earned - burst, was.at_s, was.asked)
    return now, math.inf if now.body == wanted else paced(now, wanted, how, now_s)[1]


def _needed(old: Meter, new: Meter, least: int, is_shaped: bool) -> float:
    """What must have been earned before the change is written."""
    if is_shaped:
        return -math.inf if meter_rate(new) > meter_rate(old) else _burst(new)
    if meter_rate(new) > meter_rate(old):
        return least
    if meter_rate(new) == meter_rate(old) and _burst(new) > _burst(old):
        return _burst(new)
    return -math.inf if meter_rate(new) < SMALL_DECREASE * meter_rate(old) else 0.0


class MeterPace:
    """Of one switch. due_s: when `hold` should be asked again though nothing else has changed."""

    def __init__(self) -> None:
        self._paced: dict[int, Paced] = {}
        self._wanted: Mapping[int, Meter] = {}
        self._held: Mapping[int, Meter] = {}
        self.due_s = math.inf

    def hold(
        self, wanted: Mapping[int, Meter], shaped: Collection[int], least_kbit: int, now_s: float
    ) -> Mapping[int, Meter]:
        """What the switch should hold now. shaped: meters of VIFs that have a shaper before them.

        The same object as before costs nothing while nothing is due, and gives the same object.
        """
        if wanted is self._wanted and now_s < self.due_s:
            return self._held
        hows, before = (Pacing(False, least_kbit), Pacing(True, least_kbit)), self._paced
        self._wanted, self._paced, self.due_s = wanted, {}, math.inf
        for number, body in wanted.items():
            was = before.get(number)
            if was is None or was.body is not body or was.asked != meter_rate(body):
                was, due_s = paced(was, body, hows[number in shaped], now_s)
                self.due_s = min(self.due_s, due_s)
            self._paced[number] = was
        self._held = {number: one.body for number, one in self._paced.items()}
        return self._held


def _burst(body: Meter) -> int:
    return body.burst_kbit if isinstance(body, MeterBody) else body.burst_packets


def _with_burst(body: Meter, burst: int) -> Meter:
    return replace(body, burst_kbit=burst) if isinstance(body, MeterBody) else replace(body, burst_packets=burst)
