"""What is written must read back as the plan it came from: the kernel echoes most options as they were sent."""

from __future__ import annotations

import struct

import pytest

from controller.host import qdisc_codec as codec
from controller.host import qdisc_steering as steering
from controller.host.congestion import FqCodelPlan, RedPlan
from controller.host.qdisc_frames import Request, attribute, attributes
from controller.host.queue_tree import (
    ROOT,
    AddressPlan,
    BfifoPlan,
    Change,
    ClassPlan,
    FilterPlan,
    ForeignPlan,
    HeadDropPlan,
    HtbPlan,
    MarkPlan,
    QdiscPlan,
    RouterPlan,
    SteeringPlan,
    Steers,
    TbfPlan,
    Verb,
)

HANDLE = 0x7FFF0000


def sent(change: Change) -> list[Request]:
    return list(codec.requests_of(5, change, {}))


@pytest.mark.parametrize(
    "plan",
    [
        HtbPlan(HANDLE, 0xFFFE),
        BfifoPlan(30_000),
        HeadDropPlan(7),
        TbfPlan(10_000, 2000, 60_000),
        TbfPlan(100_000_000, 2001, 1_250_000),
        RedPlan(60_000, 10_000, 30_000, 4, 21, 9),
        RedPlan(60_000, 10_000, 30_000, 4, 21, 9, ecn=True),
        FqCodelPlan(40, 92_160, 5120, 102_400, 1514),
        FqCodelPlan(40, 92_160, 128, 2560, 1514, ecn=True),
    ],
)
def test_a_qdisc_reads_back(plan: QdiscPlan) -> None:
    (request,) = sent(Change(Verb.SET, ROOT, plan))
    assert codec.qdisc_row(request.body).plan == plan


@pytest.mark.parametrize("ceil_kbps", [1, 60_000, 34_359_738, 34_359_739, 1_000_000_000])
@pytest.mark.parametrize("burst_us", [1, 2000, 48_000_001])
def test_a_class_reads_back_at_any_rate(ceil_kbps: int, burst_us: int) -> None:
    plan = ClassPlan(HANDLE | 0xFFFF, 1, ceil_kbps, burst_us, 2 * burst_us, 1518, 7)
    (request,) = sent(Change(Verb.SET, HANDLE | 1, plan))
    row = codec.class_row(request.body)
    assert row is not None and (row.place, row.plan) == (HANDLE | 1, plan)


def test_a_qdisc_of_another_kind_is_foreign_and_cannot_be_written() -> None:
    body = bytes(20) + attribute(1, b"codel\0")
    assert codec.qdisc_row(body).plan == ForeignPlan("codel")
    with pytest.raises(TypeError, match="can only be read"):
        sent(Change(Verb.SET, ROOT, ForeignPlan("codel")))


def test_counters_are_read_and_count_beyond_32_bits() -> None:
    basic = attribute(1, struct.pack("=QI", 1 << 40, 7)) + attribute(8, struct.pack("=Q", 1 << 33))
    queue = attribute(3, struct.pack("=5I", 2, 3028, 9, 0, 0))
    sample = codec.qdisc_row(bytes(20) + attribute(1, b"pfifo\0") + attribute(7, basic + queue)).sample
    assert (sample.sent_bytes, sample.sent_packets) == (1 << 40, 1 << 33)
    assert (sample.dropped_packets, sample.backlog_bytes) == (9, 3028)


def steering_rows(*filters: SteeringPlan, steers: Steers = Steers.SOURCE) -> list[steering.FilterRow]:
    requests = sent(Change(Verb.SET, ROOT, HtbPlan(HANDLE, 0xFFFE, steers)))[1:]
    requests += [request for item in filters for request in sent(Change(Verb.SET, HANDLE, item))]
    return [steering.filter_row(request.body) for request in requests]


ROOT_TABLE = steering.FilterRow(0x0003, 0x80000000, {4: struct.pack("=I", 1)})
FILTER = FilterPlan(HANDLE, 0x02_77_00_00_01_FE, HANDLE | 9)


def test_filters_read_back() -> None:
    assert steering.steering_of(HANDLE, [ROOT_TABLE, *steering_rows(FILTER)]) == steering.Steering(
        Steers.SOURCE, {FILTER: 0}
    )
    assert steering.steering_of(HANDLE, []).steers is Steers.NOTHING


ROUTER = 0x06AB_CDEF_34FE
BEHIND = (
    *(RouterPlan(HANDLE, ROUTER, version, is_tagged) for version in (4, 6) for is_tagged in (False, True)),
    AddressPlan(HANDLE, 4, 0x0A000007, HANDLE | 1),
    AddressPlan(HANDLE, 4, 0, HANDLE | 2),
    AddressPlan(HANDLE, 6, 0xFD << 120 | 7, HANDLE | 1),
    AddressPlan(HANDLE, 6, 7, HANDLE | 0xC001),
)


def test_filters_by_source_address_read_back_beside_those_by_mac() -> None:
    rows = [ROOT_TABLE, *steering_rows(FILTER, *BEHIND)]
    assert steering.steering_of(HANDLE, rows) == steering.Steering(Steers.SOURCE, dict.fromkeys((FILTER, *BEHIND), 0))
    for wrong in (
        rows[:2] + rows[3:],
        [*rows, rows[-1]],
        [*rows, *steering_rows(*BEHIND[:1], steers=Steers.MARK)[-1:]],
    ):
        assert steering.steering_of(HANDLE, wrong).steers is None


@pytest.mark.parametrize("item", BEHIND)
def test_a_rule_that_differs_anywhere_is_not_ours(item: SteeringPlan) -> None:
    rows = [ROOT_TABLE, *steering_rows(item)]
    own = rows[-1].options
    assert own is not None
    for part, value in own.items():
        for at in range(len(value)):
            changed = value[:at] + bytes([value[at] ^ 0x01]) + value[at + 1 :]
            other = steering.FilterRow(rows[-1].protocol, 0, {**own, part: changed})
            assert item not in steering.steering_of(HANDLE, [*rows[:-1], other]).handles


def test_filters_by_code_point_read_back() -> None:
    marks = [MarkPlan(HANDLE, code_point, HANDLE | 1 + code_point) for code_point in (0, 46, 63)]
    rows = [ROOT_TABLE, *steering_rows(*marks, steers=Steers.MARK)]
    assert steering.steering_of(HANDLE, rows) == steering.Steering(Steers.MARK, dict.fromkeys(marks, 0))
    assert steering.steering_of(HANDLE, rows[:-3]) == steering.Steering(Steers.MARK)
    for wrong in (rows[1:], rows[:2] + rows[3:], [*rows, rows[-1]], [*rows, steering_rows(FILTER)[-1]]):
        assert steering.steering_of(HANDLE, wrong).steers is None


def test_a_code_point_is_the_bucket_of_its_filter_in_either_version_of_ip() -> None:
    rows = steering_rows(MarkPlan(HANDLE, 46, HANDLE | 9), steers=Steers.MARK)
    links = [row.options[5] for row in rows if row.options and 3 in row.options]
    found = [
        (
            [struct.unpack_from(">II", link, 16 + 16 * key) for key in range(link[2])],
            *struct.unpack_from("=h", link, 10),  # from where the bucket is taken,
            *struct.unpack_from(">I", link, 12),  # and which bits are
        )
        for link in links
    ]
    tag = (0xFFFF, 0x8100)
    assert found == [
        ([(0xFFFF, 0x0800)], 0, 0x00FC0000),
        ([tag, (0xFFFF, 0x0800)], 4, 0x00FC0000),
        ([(0xFFFF, 0x86DD)], 0, 0x0FC00000),
        ([tag, (0xFFFF, 0x86DD)], 4, 0x0FC00000),
    ]
    rule = rows[-1].options
    assert rule is not None and struct.unpack("=I", rule[2])[0] == 0x00100000 | 46 << 12 and rule[5][2] == 0


def test_filters_of_any_other_form_are_not_intact() -> None:
    rows = [ROOT_TABLE, *steering_rows(FILTER)]
    foreign = steering.FilterRow(0x0800, 1, None)
    for wrong in (rows[1:], rows[:2] + rows[3:], [*rows, foreign], [*rows, rows[-1]]):
        assert steering.steering_of(HANDLE, wrong).steers is None


def test_a_filter_compares_the_whole_source_mac_before_the_network_header() -> None:
    (request,) = sent(Change(Verb.SET, HANDLE, FILTER))
    rule = steering.filter_row(request.body).options
    assert rule is not None
    keys = [struct.unpack_from(">II", rule[5], place) for place in (16, 32)]
    offsets = [struct.unpack_from("=i", rule[5], place)[0] for place in (24, 40)]
    assert keys == [(0xFFFFFFFF, 0x02770000), (0xFFFF0000, 0x01FE0000)]
    assert offsets == [-12, -8]


def test_attributes_end_at_what_makes_no_sense() -> None:
    assert dict(attributes(attribute(3, b"abc") + struct.pack("=HH", 0, 1) + b"rest")) == {3: b"abc"}
