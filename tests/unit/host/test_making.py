"""One kind's fault is that kind's."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from controller.config import StateDir
from controller.host.kinds.kind import Made, PassView
from controller.host.link_table import LinkTable
from controller.host.making import Making
from controller.host.settings import AgentConfig
from ovsdb.rows import Snapshot, VirtualInterface


class Faulty:
    """A kind that cannot be swept."""

    def __init__(self, fault: Exception | None) -> None:
        self.fault, self.swept = fault, 0

    def concerns(self, vif: VirtualInterface) -> bool:
        return False

    def converge(self, wanted: Sequence[VirtualInterface], view: PassView) -> Mapping[str, Made]:
        return {}

    def sweep(self, wanted: Sequence[VirtualInterface], view: PassView) -> None:
        self.swept += 1
        if self.fault is not None:
            raise self.fault

    def remove_all(self) -> None:
        pass


def test_a_fault_of_ours_in_one_sweep_keeps_no_other_from_theirs(tmp_path: Path) -> None:
    state = StateDir(tmp_path)
    with LinkTable() as links:
        making = Making(AgentConfig("h1", "br-weir", state, state.run, f"weir-{tmp_path.name}"), links)
        first, second = Faulty(RecursionError("too deep")), Faulty(None)
        for _ in range(2):
            (said,) = making.sweep([(first, []), (second, [])], PassView(Snapshot(), {}, (), 0.0))
            assert said == "RecursionError: too deep. This is a fault of Weir; see the agent's log."
        assert second.swept == 2
