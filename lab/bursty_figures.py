"""What a record of a bursty day comes to, beside the optimum that knows all demands. Pure."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from math import inf

from lab.bursty import CAPACITY_KBPS, UPLINK, Day, Flow, Tenant, law
from lab.frames import jain
from lab.windows import Arrivals

WINDOW_S = 1.0
MET = 0.97  # part of a demanded guarantee that a window must hold
STEP_S = 0.2  # of convergence
SETTLED = 0.10  # how far from what the law gives a VIF may be then, of that,
SETTLED_OF_PLACE = 0.02  # or of the place's capacity
RUNNING = 3  # steps on end
Rates = Mapping[str, float]  # kbit/s by VIF


@dataclass(frozen=True)
class Record:
    """A day from begin_s (CLOCK_MONOTONIC) on: by VIF what its sender really offered, and what came."""

    day: Day
    flows: tuple[Flow, ...]
    begin_s: float
    offered: Mapping[str, Arrivals]
    got: Mapping[str, Arrivals]

    @cached_property
    def demands(self) -> list[Rates]:
        """What was offered, in each window of WINDOW_S."""
        return self._windows(self.offered, WINDOW_S)

    @cached_property
    def came(self) -> list[Rates]:
        return self._windows(self.got, WINDOW_S)

    @cached_property
    def optimum(self) -> list[Rates]:
        """What the law gives for what was offered."""
        return [law(demand, self._tenants) for demand in self.demands]

    @property
    def _tenants(self) -> tuple[Tenant, ...]:
        return tuple(dict.fromkeys(flow.tenant for flow in self.flows))

    @property
    def places(self) -> list[str]:
        return list(dict.fromkeys(flow.place for flow in self.flows))

    def vifs(self, place: str | None = None) -> list[str]:
        return [flow.vif for flow in self.flows if place in (None, flow.place)]

    def _windows(self, arrivals: Mapping[str, Arrivals], window_s: float) -> list[Rates]:
        end_s = self.begin_s + self.day.duration_s
        found = {vif: one.windows(self.begin_s, end_s, window_s) for vif, one in arrivals.items()}
        return [dict(zip(found, rates, strict=True)) for rates in zip(*found.values(), strict=True)]

    def utilisation(self, place: str | None = None, came: Sequence[Rates] | None = None) -> float:
        """What came, of the optimum. What came through a place beyond its capacity does not count.

        came: in each window, None: what did.
        """
        return self._used(came or self.came, place) / self._used(self.optimum, place)

    def _used(self, windows: Sequence[Rates], place: str | None) -> float:
        places = self.places if place is None else [place]
        return sum(
            min(CAPACITY_KBPS[one], sum(rates[vif] for vif in self.vifs(one))) for rates in windows for one in places
        )

    def disturbed(self) -> frozenset[int]:
        """Windows in which the uplink carried less than MET of the optimum: its queue tree asks nobody, so that was the
        machine."""
        both = zip(self.came, self.optimum, strict=True)
        vifs = self.vifs(UPLINK)
        return frozenset(
            number
            for number, (came, share) in enumerate(both)
            if sum(came[vif] for vif in vifs) < MET * sum(share[vif] for vif in vifs)
        )

    def short_s(self, came: Sequence[Rates] | None = None, leaving_out: Collection[int] = ()) -> float:
        """Seconds, summed over the VIFs, in which less than MET of the guarantee came, as far as it was demanded.

        came: in each window, None: what did. leaving_out: windows that do not count.
        """
        found = enumerate(zip(came or self.came, self.demands, strict=True))
        return WINDOW_S * sum(
            rates[flow.vif] < MET * min(flow.guarantee_kbps, demand[flow.vif])
            for number, (rates, demand) in found
            if number not in leaving_out
            for flow in self.flows
        )

    def over_s(self, place: str, part: float = 1.05) -> float:
        """Seconds in which more than so many times its capacity came through a place."""
        most_kbps = part * CAPACITY_KBPS[place]
        return WINDOW_S * sum(sum(rates[vif] for vif in self.vifs(place)) > most_kbps for rates in self.came)

    def fairness(self) -> float:
        """Jain's index among VIFs of a tenant, over the windows in which the law leaves all of several of them less
        than they want; of the several that fare worst. 1 when there are none."""
        return min((jain(max(1e-9, one) for one in sums) for sums in self._equals()), default=1.0)

    def _equals(self) -> Iterator[Sequence[float]]:
        """What came in all windows in which the same equals were held back, one figure a VIF."""
        sums: dict[tuple[str, ...], list[float]] = {}
        for came, demand, share in zip(self.came, self.demands, self.optimum, strict=True):
            for tenant in self._tenants:
                held = tuple(vif for vif in tenant.names if share[vif] < 0.97 * demand[vif])
                if len(held) > 1:
                    found = sums.setdefault(held, [0.0] * len(held))
                    sums[held] = [before + came[vif] for before, vif in zip(found, held, strict=True)]
        yield from sums.values()

    def settling_s(self, place: str) -> list[float]:
        """After each hour in which the wishes in a place change, until what comes is near the law; inf: in no time."""
        steps, per_hour = self._windows(self.got, STEP_S), round(self.day.hour_s / STEP_S)
        vifs, found = self.vifs(place), []
        for hour in range(1, self.day.hours):
            before, wanted = self.day.at(hour - 1), self.day.at(hour)
            if any(before[vif] != wanted[vif] for vif in vifs):
                is_near = _nearness(law(wanted, self._tenants), vifs, SETTLED_OF_PLACE * CAPACITY_KBPS[place])
                own = steps[hour * per_hour : (hour + 1) * per_hour]
                found.append(_first_on_end([is_near(rates) for rates in own], RUNNING) * STEP_S)
        return found


def _nearness(wanted: Rates, vifs: Sequence[str], least_kbps: float) -> Callable[[Rates], bool]:
    return lambda rates: all(abs(rates[vif] - wanted[vif]) <= max(SETTLED * wanted[vif], least_kbps) for vif in vifs)


def _first_on_end(right: Sequence[bool], running: int) -> float:
    """The first place from which so many on end are right; inf when there is none."""
    return next((n for n in range(len(right) - running + 1) if all(right[n : n + running])), inf)
