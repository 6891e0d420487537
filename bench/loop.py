"""What the loop is worth on a bursty day: Weir, static meters, and the optimum that knows all demands, in one run.

Thirteen VIFs of seven tenants sleep, wake and change their wishes, a day in two minutes, by UDP; then a shorter one by
TCP, a connection each. They share an uplink of 30
Mbit/s, an inner limit of 15 Mbit/s between VIFs of the host, and one of 9 Mbit/s on what reaches VIFs.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import isfinite

from lab.bursty import INGRESS, LOCAL, UPLINK, Day, day, flows
from lab.bursty_figures import Record
from lab.bursty_run import live
from lab.bursty_site import by_weir
from lab.static_meters import by_hand, hold, limits, raised
from lab.windows import percentile

PICTURE = "bursty-day.svg"  # beside the page that the table is written to
SEED, HOUR_S = 1, 5.0
CONGESTION, TCP_HOUR_S = "cubic", 2.0
WEIR, SHARES, RAISED = "Weir", "static meters, each VIF at what it gets when all flood", "static meters, raised"
TCP = f", TCP {CONGESTION}, hours of {TCP_HOUR_S:g} s"
# what the loop must reach
LEAST_USED, MOST_SHORT, LEAST_FAIR = 0.97, 0.01, 0.99  # of the optimum; of what raised meters are short; Jain's index
LEAST_USED_TCP = 0.95
MOST_SETTLING_S = 2.5  # median, after a change below an inner limit: two ticks, and a moment until hosts have it


@dataclass(frozen=True, slots=True)
class Lived:
    """A contender and its day."""

    name: str
    record: Record


def measure(say: Callable[[str], None]) -> list[Lived]:
    """By UDP and by TCP, Weir first in each. Meters are raised as far as they must be to reach, on paper, what Weir has
    used. Raises LabError."""
    own, long, short = flows(), day(SEED, HOUR_S), day(SEED, TCP_HOUR_S)
    with by_weir() as (_, ends):
        say(f"a bursty day in {long.duration_s:.0f} s, by Weir ...")
        weir = live(ends, own, long)
        say(f"one in {short.duration_s:.0f} s by TCP ...")
        tcp = live(ends, own, short, CONGESTION)
    with by_hand() as (hand, ends):

        def by_meters(name: str, factor: float, the_day: Day, congestion: str | None = None) -> Lived:
            say(f"the same day, {name} ...")
            hold(hand, limits(factor))
            return Lived(name, live(ends, own, the_day, congestion))

        factors = [raised(record, record.utilisation()) for record in (weir, tcp)]
        names = [f"{RAISED} to {factor:g} times that" for factor in factors]
        found = [Lived(WEIR, weir), by_meters(SHARES, 1.0, long), by_meters(names[0], factors[0], long)]
        return [*found, Lived(WEIR + TCP, tcp), by_meters(names[1] + TCP, factors[1], short, CONGESTION)]


def table(lived: Sequence[Lived]) -> str:
    """Markdown; nothing of nothing."""
    if not lived:
        return ""
    heads = ["who", "of the optimum", "uplink", "between VIFs", "towards VIFs", "guarantee short", "Jain among equals"]
    heads += ["settled, uplink: p50, p95", "settled, inner limits: p50, p95", "seconds 5 % above an inner limit"]
    lines = ["### A bursty day in two minutes", "", f"| {' | '.join(heads)} |", "| --- " * len(heads) + "|"]
    for one in lived:
        record = one.record
        cells = [one.name, f"{record.utilisation():.1%}"]
        cells += [f"{record.utilisation(place):.1%}" for place in (UPLINK, LOCAL, INGRESS)]
        cells += [f"{record.short_s():.0f} s", f"{record.fairness():.3f}"]
        cells += [_settled(record, (UPLINK,)), _settled(record, (LOCAL, INGRESS))]
        cells.append(f"{sum(record.over_s(place) for place in (LOCAL, INGRESS)):.0f}")
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join([*lines, "", f"![The day by UDP]({PICTURE})"]) + "\n"


def settling_s(record: Record, places: Sequence[str], part: float) -> float:
    """The time after a change that so great a part of them do not exceed."""
    return percentile([seconds for place in places for seconds in record.settling_s(place)], part)


def _settled(record: Record, places: Sequence[str]) -> str:
    found = [settling_s(record, places, part) for part in (0.5, 0.95)]
    return ", ".join(f"{seconds:.1f} s" if isfinite(seconds) else "never" for seconds in found)


def faults(lived: Sequence[Lived]) -> list[str]:
    """Where the loop falls below what it must reach, a sentence each; nothing of nothing."""
    if not lived:
        return []
    ours = next(one.record for one in lived if one.name == WEIR)
    raised_short_s = next(one.record.short_s() for one in lived if one.name.startswith(RAISED))
    wrong = []
    if ours.utilisation() < LEAST_USED:
        wrong.append(f"{ours.utilisation():.1%} of the optimum is used, less than {LEAST_USED:.0%}.")
    if ours.short_s() > MOST_SHORT * raised_short_s:
        most = f"{MOST_SHORT:.0%} of the {raised_short_s:.0f} s of static meters that use as much"
        wrong.append(f"guarantees are short for {ours.short_s():.0f} s, more than {most}.")
    if ours.fairness() < LEAST_FAIR:
        wrong.append(f"Jain's index among equals is {ours.fairness():.3f}, less than {LEAST_FAIR}.")
    tcp = next(one.record for one in lived if one.name == WEIR + TCP)
    if tcp.utilisation() < LEAST_USED_TCP:
        wrong.append(f"by TCP {tcp.utilisation():.1%} of the optimum is used, less than {LEAST_USED_TCP:.0%}.")
    after_s = settling_s(ours, (LOCAL, INGRESS), 0.5)
    if after_s > MOST_SETTLING_S:
        wrong.append(f"below inner limits half of all changes need {after_s:.1f} s, more than {MOST_SETTLING_S} s.")
    return [f"a bursty day: {one}" for one in wrong]
