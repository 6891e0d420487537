"""Table mark: the DSCP that a side has chosen is written, whichever family the packet is of."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from controller.compiler.flow import Flow, flow, goto, of_table
from controller.compiler.parts import Part
from controller.compiler.survey import Survey
from controller.dataplane.actions import SetField
from controller.dataplane.pipeline import MARKING, OUTPUT
from controller.dataplane.protocols import ETH_IPV4, ETH_IPV6
from controller.dataplane.registers import MARK


def parts(found: Survey) -> Iterator[Part]:
    yield Part("marking", found.marks, lambda: _flows(found.marks))


def _flows(marks: Sequence[int]) -> Iterator[Flow]:
    yield flow(MARKING, 0, {}, of_table(MARKING), goto(OUTPUT))
    for mark in marks:
        for eth_type in (ETH_IPV4, ETH_IPV6):
            fields = {MARK: mark + 1, "eth_type": eth_type}
            yield flow(MARKING, 100, {**fields}, of_table(MARKING), goto(OUTPUT, SetField("ip_dscp", mark)))
