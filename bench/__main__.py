"""Measures everything, prints the table, and says what must not be: exit status 1 then. Run as root.

python -m bench [--write] [CASE]...: --write puts the table into docs/bench.md, of all cases only.
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
from pathlib import Path

from bench.cases import CASES, Case
from bench.figures import read_paper
from bench.report import Result, faults, table
from bench.switch import ROOT, by_ofctl, by_weir
from lab.children import LabError, run

PAGE = ROOT / "docs" / "bench.md"
BEGIN, END = "<!-- begin of the table -->\n", "<!-- end of the table -->\n"


def main(argv: list[str]) -> int:
    writes, names = "--write" in argv, [word for word in argv if word != "--write"] or list(CASES)
    unknown = [name for name in names if name not in CASES]
    if unknown or (writes and names != list(CASES)):
        say(f"usage: python -m bench [--write] [{'|'.join(CASES)}]... (--write takes no case: it writes them all)")
        return 2
    if os.geteuid() != 0:
        say("The benchmark makes network namespaces. Run it as root: sudo make bench")
        return 2
    begun_s = time.monotonic()
    try:
        results = [measure(CASES[name]) for name in names]
    except LabError as fault:
        say(f"it could not be measured: {fault}")
        return 1
    found = table(results)
    print(found)
    if writes:
        write(found)
    wrong = [fault for result in results for fault in faults(result)]
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
