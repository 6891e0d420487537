"""What was measured as a table: each figure, the limit that was measured in the same run, and the ratio of the two."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from statistics import median

from bench.cases import Case
from bench.figures import Live, Paper
from bench.switch import Limit
from controller.compiler.views import View

MOST_OVER_LAW = 1.2  # entries of one rule, beside those that the law of the sum gives


@dataclass(frozen=True, slots=True)
class Result:
    case: Case
    paper: Paper
    limit: Limit
    live: Live


@dataclass(frozen=True, slots=True)
class Row:
    what: str
    figure: float
    limit: float
    unit: str  # s, MiB, ms or "" for a count
    against: str
    parts: str = ""  # what it is made of


def rows(result: Result) -> Iterator[Row]:
    paper, limit, live, case = result.paper, result.limit, result.live, result.case
    load = f"`ovs-ofctl --bundle` of the same {paper.entries:,} entries"
    if case.of_rule is not None:
        of = case.of_rule
        words = f"A + B + C = {of.sum:,}, shown in {len(View)} ways; A x B x C = {of.product:,}"
        yield Row("entries of the rule", paper.of_rule, of.law, "", "law of the sum", words)
    yield Row("parse", paper.parse_s, paper.yaml_s, "s", "libyaml's events of the same text")
    yield Row("compile from nothing", paper.compile_s, limit.load_s, "s", load)
    yield Row("into an empty switch, read back", live.load_s, limit.load_s, "s", load)
    yield from _changes(result)
    audit = f"of the processor {live.audit_cpu_s:.3f} s"
    yield Row("audit that finds nothing", live.audit_s, limit.load_s, "s", load, audit)
    held = "growth of ovs-vswitchd as it takes the entries"
    yield Row("peak memory, parse and compile", paper.peak_mib, limit.growth_mib, "MiB", held)
    yield Row("peak memory, the controller", live.peak_mib, limit.growth_mib, "MiB", held)


def _changes(result: Result) -> Iterator[Row]:
    paper, live, limit = result.paper.changes, result.live.changes, result.limit.changes_s
    for label in dict.fromkeys(change.label for change in paper):
        places = [place for place, change in enumerate(paper) if change.label == label]
        on_paper, in_switch = [paper[place] for place in places], [live[place] for place in places]
        stages = {
            "parse": median(change.parse_s for change in on_paper),
            "compile": median(change.compile_s for change in on_paper),
            "diff": median(change.diff_s for change in on_paper),
            "send": median(change.send_s for change in in_switch),
            "read back": median(change.read_back_s for change in in_switch),
        }
        total_s = stages["parse"] + median(change.total_s for change in in_switch)
        changed = round(median(change.changed for change in on_paper))
        words = ", ".join(f"{name} {seconds:.3f}" for name, seconds in stages.items())
        against = f"`ovs-ofctl --bundle` of the {changed:,} entries that change"
        yield Row(label, total_s, median(limit[place] for place in places), "s", against, words)


def faults(result: Result) -> Iterator[str]:
    """What must not be, a sentence each."""
    case, paper, live = result.case, result.paper, result.live
    if case.of_rule is not None and paper.of_rule > MOST_OVER_LAW * case.of_rule.law:
        law = f"{MOST_OVER_LAW} times the {case.of_rule.law:,} of the law of the sum"
        yield f"{case.title}: {paper.of_rule:,} entries, more than {law}."
    for label in dict.fromkeys(change.label for change in live.changes):
        total_s = median(change.total_s for change in live.changes if change.label == label)
        if total_s > live.load_s:
            yield f"{case.title}: {label} takes {total_s:.2f} s, longer than the whole load ({live.load_s:.2f} s)."


def table(results: Iterable[Result]) -> str:
    """Markdown."""
    blocks = []
    for result in results:
        lines = [f"### {result.case.title}", f"{result.paper.entries:,} flow entries.", ""]
        lines += ["| what | Weir | limit | ratio | the limit is | made of |", "| --- | --- | --- | --- | --- | --- |"]
        lines += [_line(row) for row in rows(result)]
        blocks.append("\n".join(lines))
    return "\n\n".join(blocks) + "\n"


def _line(row: Row) -> str:
    cells: Sequence[str] = (
        row.what,
        _shown(row.figure, row.unit),
        _shown(row.limit, row.unit),
        f"{row.figure / row.limit:.1f}" if row.limit else "-",
        row.against,
        row.parts,
    )
    return f"| {' | '.join(cells)} |"


def _shown(figure: float, unit: str) -> str:
    if not unit:
        return f"{figure:,.0f}"
    return f"{figure:,.0f} {unit}" if unit == "MiB" else f"{figure:.3f} {unit}"
