"""Measures everything, prints the table, and says what must not be: exit status 1 then. Run as root.

python -m bench [--write] [CASE]...: --write puts the table into docs/bench.md and its picture beside it, of all cases
only. Beside the cases of `bench.cases` there are `vif`: creating VIFs, `enforcing`: what holds at packet time,
`loop`: a bursty day, `sampling`: what looking takes, `allocating`: a division, and `day`: a day in the
fluid, of 1,000 hosts when it is asked for alone or written, of 100 otherwise.
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
from pathlib import Path

from bench import allocating, creating, day, day_table, enforcing, loop, loop_plot, sampling
from bench.cases import CASES, Case
from bench.figures import read_paper
from bench.report import Result, faults, table
from bench.switch import ROOT, by_ofctl, by_weir
from lab.children import LabError, run

CREATING, ENFORCING, LOOP, SAMPLING, DAY = "vif", "enforcing", "loop", "sampling", "day"
ALLOCATING = "allocating"
NAMES = (*CASES, CREATING, ENFORCING, LOOP, SAMPLING, ALLOCATING, DAY)
PAGE, PICTURE = ROOT / "docs" / "bench.md", ROOT / "docs" / loop.PICTURE
BEGIN, END = "<!-- begin of the table -->\n", "<!-- end of the table -->\n"


def main(argv: list[str]) -> int:
    writes, names = "--write" in argv, [word for word in argv if word != "--write"] or list(NAMES)
    unknown = [name for name in names if name not in NAMES]
    if unknown or (writes and names != list(NAMES)):
        say(f"usage: python -m bench [--write] [{'|'.join(NAMES)}]... (--write takes no case: it writes them all)")
        return 2
    if os.geteuid() != 0:
        say("The benchmark makes network namespaces. Run it as root: sudo make bench")
        return 2
    begun_s = time.monotonic()
    try:
        results = [measure(CASES[name]) for name in names if name in CASES]
        created = creating.measure(say) if CREATING in names else []
        kept = enforcing.measure(say) if ENFORCING in names else []
        lived = loop.measure(say) if LOOP in names else []
        looked = sampling.measure(say) if SAMPLING in names else []
        divided = allocating.measure(say) if ALLOCATING in names else []
        hosts = day.HOSTS if writes or names == [DAY] else day.FEW_HOSTS
        imagined = day.measure(say, hosts) if DAY in names else day.Outcome()
    except LabError as fault:
        say(f"it could not be measured: {fault}")
        return 1
    tables = [table(results) if results else "", creating.table(created) if created else "", enforcing.table(kept)]
    tables += [loop.table(lived), sampling.table(looked), allocating.table(divided), day_table.table(imagined)]
    found = "\n".join(one for one in tables if one)
    print(found)
    if writes:
        write(found)
        loop_plot.draw(lived, PICTURE)
    wrong = [fault for result in results for fault in faults(result)]
    wrong += creating.faults(created) + enforcing.faults(kept) + loop.faults(lived) + sampling.faults(looked)
    wrong += allocating.faults(divided) + day_table.faults(imagined)
    say("\n".join(wrong) or f"Measured in {time.monotonic() - begun_s:.0f} s; nothing is as it must not be.")
    return 1 if wrong else 0


def measure(case: Case) -> Result:
    """Each process alone on the machine. Raises LabError."""
    say(f"{case.title} ...")
    with tempfile.TemporaryDirectory(prefix="weir-bench-", dir="/tmp") as path:
        directory = Path(path)
        run([sys.executable, "-m", "bench.paper", case.name, path], environment={"PYTHONPATH": str(ROOT)})
        return Result(case, read_paper(directory / "paper.json"), by_ofctl(directory), by_weir(case.name, directory))


def write(found: str) -> None:
    before, _, rest = PAGE.read_text().partition(BEGIN)
    after = rest.partition(END)[2]
    PAGE.write_text(f"{before}{BEGIN}{found}{END}{after}")


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
