"""What meters have counted goes on over being written anew."""

from __future__ import annotations

import numpy as np

from controller.measure.counted import Counted
from controller.openflow.meter_carry import MeterCarry
from controller.openflow.meter_codec import MeterCounters


def counted(number: int, duration_s: float = 1.0) -> MeterCounters:
    return MeterCounters(number, 100 * number, number // 2, 50 * number, duration_s)


def test_figures_go_on_over_several_writes() -> None:
    carry = MeterCarry()
    assert carry.carried({1: counted(4), 2: counted(6)}) == {1: counted(4), 2: counted(6)}
    carry.written({1: counted(4)})
    carry.written({1: counted(2)})
    assert carry.carried({1: counted(8, 3.0), 2: counted(6)}) == {1: counted(14, 3.0), 2: counted(6)}


def test_a_table_is_carried_as_single_meters_are() -> None:
    carry = MeterCarry()
    for written in ((1, 3), (3,), ()):
        carry.written({number: counted(5 * number) for number in written})
        found = {number: counted(number) for number in (1, 2, 3)}
        table = Counted(np.array([1, 2, 3]), np.array([row(one) for one in found.values()], dtype=np.uint64))
        assert carry.carried_table(table).rows() == {number: row(one) for number, one in carry.carried(found).items()}
    carry.added({1: object(), 3: object()})
    assert carry.carried_table(table).rows() == table.rows()


def row(one: MeterCounters) -> tuple[int, ...]:
    return one.packets_in, one.bytes_in, one.packets_dropped, one.bytes_dropped


def test_a_meter_that_is_added_begins_at_nothing() -> None:
    carry = MeterCarry()
    carry.written({1: counted(4), 2: counted(4)})
    carry.added({1: object()})
    assert carry.carried({1: counted(2), 2: counted(2)}) == {1: counted(2), 2: counted(6)}
