"""python -m bench.paper CASE DIRECTORY: what a case costs before any switch is asked; leaves flow entries as text.

DIRECTORY/paper.json: the figures. all.flows: the entries of the first state as `ovs-ofctl add-flows` reads them;
change-N.flows: the flow-mods of each change.
"""

from __future__ import annotations

import gc
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import yaml

from bench.cases import CASES, Case
from bench.figures import Paper, PaperChange, peak_mib, write
from bench.worlds import CHASSIS, FILE
from controller.compiler.compile import compile_bridge
from controller.compiler.parts import Memo
from controller.dataplane.entries import SwitchState
from controller.dataplane.stages import Stages, stages
from controller.dataplane.text import flow_lines, flow_text, key_text
from controller.world.desired import World, bridge_of, read_world
from ovsdb.rows import Snapshot


class Desk:
    """Holds what the last snapshot came to, as follower and keeper do."""

    def __init__(self) -> None:
        self._world, self._memo = World(), Memo()
        self.parse_s = self.compile_s = 0.0  # of the last one

    def state(self, snapshot: Snapshot) -> SwitchState:
        start_s = time.perf_counter()
        self._world = read_world(snapshot, self._world, 0.0)
        read_s = time.perf_counter()
        state = compile_bridge(bridge_of(self._world, CHASSIS, {}), self._memo)
        self.parse_s, self.compile_s = read_s - start_s, time.perf_counter() - read_s
        return state


def main(case: Case, directory: Path) -> None:
    gc.set_threshold(100_000, 20, 100)  # as controller.app does
    desk = Desk()
    first, changes = case.build()
    state = desk.state(first)
    peak, parse_s, compile_s = peak_mib(), desk.parse_s, desk.compile_s
    (directory / "all.flows").write_text("\n".join(flow_lines(state, names=False)) + "\n")
    measured = []
    for number, change in enumerate(changes):
        after = desk.state(change.after)
        start_s = time.perf_counter()
        difference = stages(after, state)
        diff_s = time.perf_counter() - start_s
        (directory / f"change-{number}.flows").write_text("".join(_flow_mods(difference)))
        flows = difference.flows
        count = len(flows.add) + len(flows.modify) + len(flows.delete)
        measured.append(PaperChange(change.label, count, desk.parse_s, desk.compile_s, diff_s))
        state = after
    bare = 0 if case.bare is None else len(Desk().state(case.bare()).flows)
    entries = len((directory / "all.flows").read_text().splitlines())
    of_rule = entries - bare
    figures = Paper(entries, of_rule, _yaml_s(first.files[FILE]), parse_s, compile_s, peak, measured)
    write(directory / "paper.json", figures)


def _yaml_s(text: str) -> float:
    start_s = time.perf_counter()
    for _ in yaml.parse(text, Loader=yaml.CSafeLoader):
        pass
    return time.perf_counter() - start_s


def _flow_mods(changes: Stages) -> Iterator[str]:
    for key in changes.flows.delete:
        yield f"delete_strict {key_text(key, names=False)}\n"
    for flows in (changes.flows.add, changes.flows.modify):
        for key, body in flows.items():
            yield f"add {flow_text(key, body, names=False)}\n"


if __name__ == "__main__":
    main(CASES[sys.argv[1]], Path(sys.argv[2]))
