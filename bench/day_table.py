"""The day in the fluid as a table, and what must not be in it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from bench.day import LOOP, OPTIMUM, STATIC, VIFS_OF_HOST, Outcome, Sums, static_name

LEAST_UTILISATION, MOST_VIOLATION, LEAST_JAIN = 0.97, 0.01, 0.99  # of the loop; violation beside static meters


@dataclass(frozen=True, slots=True)
class Row:
    """utilisation: of what the optimum passes. violation: part of the time in which a guarantee was demanded."""

    what: str
    utilisation: float
    over: float
    violation_s: float
    violation: float
    jain: float


def rows(found: Outcome) -> Iterator[Row]:
    best = found.of[OPTIMUM].passed_kbit
    for name in (OPTIMUM, LOOP, *_shown_static(found.of)):
        one = found.of[name]
        yield Row(
            name,
            one.passed_kbit / best,
            one.over_kbit / best,
            one.violation_s,
            one.violation_s / found.vif_s,
            one.jain / one.groups if one.groups else 1.0,
        )


def _shown_static(of: Mapping[str, Sums]) -> Iterable[str]:
    """Those that always hold, and the tightest that let as much through as the loop; else the loosest."""
    names = [static_name(times) for times in STATIC]
    reach = [name for name in names if of[name].passed_kbit >= of[LOOP].passed_kbit]
    return dict.fromkeys((names[0], reach[0] if reach else names[-1]))


def faults(found: Outcome) -> list[str]:
    """What must not be, a sentence each."""
    wrong: list[str] = []
    if not found.of:
        return wrong
    ours, static = found.of[LOOP], found.of[list(_shown_static(found.of))[-1]]
    utilisation = ours.passed_kbit / found.of[OPTIMUM].passed_kbit
    jain = ours.jain / ours.groups if ours.groups else 1.0
    if utilisation < LEAST_UTILISATION:
        wrong.append(f"A day: the loop reaches {utilisation:.1%} of the optimum, not {LEAST_UTILISATION:.0%}.")
    if ours.violation_s > MOST_VIOLATION * static.violation_s:
        wrong.append(
            f"A day: {ours.violation_s:,.0f} s of guarantees missed, static meters {static.violation_s:,.0f} s."
        )
    if jain < LEAST_JAIN:
        wrong.append(f"A day: Jain's index among equals is {jain:.3f}, below {LEAST_JAIN}.")
    return wrong


def table(found: Outcome) -> str:
    """Markdown; nothing of nothing."""
    if not found.of:
        return ""
    head = (
        "contender",
        "utilisation, of the optimum",
        "beyond tenants' limits",
        "guarantee missed",
        "of the time",
        "Jain",
    )
    lines = [
        f"### A day of {found.hosts:,} hosts with {VIFS_OF_HOST} VIFs each, in the fluid",
        "",
        _line(head),
        _line(["---"] * len(head)),
    ]
    for row in rows(found):
        missed = (f"{row.violation_s / 3600:,.1f} h", f"{row.violation:.4%}")
        lines.append(_line((row.what, f"{row.utilisation:.1%}", f"{row.over:.2%}", *missed, f"{row.jain:.4f}")))
    return "\n".join(lines) + "\n"


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"
