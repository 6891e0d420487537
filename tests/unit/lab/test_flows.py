from __future__ import annotations

from lab.flows import changed, flows, meters

LINE = (
    ' cookie=0x5ee1010000000001, duration={age}s, table="egress_meter", n_packets={packets}, n_bytes=246,'
    " idle_age=3, priority=100,reg0=0x1 actions=meter:1,goto_table:forward\n"
)
METERS = """\
OFPST_METER_CONFIG reply (OF1.3) (xid=0x2):
meter=4 kbps burst stats bands=
type=drop rate=25500 burst_size=1350

meter=1 kbps burst stats bands=
type=drop rate=71400 burst_size=3780
"""


def test_a_line_is_read() -> None:
    (flow,) = flows(LINE.format(age="65.8", packets=7)).values()
    assert (flow.cookie, flow.table, flow.packets) == (0x5EE1010000000001, '"egress_meter"', 7)
    assert flow.body == "priority=100,reg0=0x1 actions=meter:1,goto_table:forward"


def test_counters_and_age_are_no_change() -> None:
    assert changed(LINE.format(age="65.8", packets=7), LINE.format(age="70.9", packets=90), 5.0) == []


def test_what_was_written_anew_is_told_by_its_age() -> None:
    found = changed(LINE.format(age="65.8", packets=7), LINE.format(age="1.2", packets=0), 5.0)
    assert [line.partition(":")[0] for line in found] == ["written anew"]


def test_what_came_and_went_is_told() -> None:
    line = LINE.format(age="1", packets=0)
    assert [one.partition(":")[0] for one in changed(line, "", 1.0)] == ["gone"]
    assert [one.partition(":")[0] for one in changed("", line, 1.0)] == ["new"]


def test_meters_are_read() -> None:
    assert meters(METERS) == {4: 25_500, 1: 71_400}
