"""What is encoded comes back; anything else is refused."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.stream.messages import (
    Hello,
    HostSample,
    Message,
    MessageError,
    PathSample,
    QueueSample,
    Rates,
    Repair,
    Repairs,
    VifSample,
    decode,
    encode,
    part_of,
    whole,
)

COUNTERS = st.integers(0, (1 << 64) - 1)
NUMBERS = st.integers(1, (1 << 16) - 1)
QUEUES = st.none() | st.builds(QueueSample, COUNTERS, COUNTERS, COUNTERS, COUNTERS)
RATES = st.dictionaries(NUMBERS, COUNTERS, max_size=3)
CLASS_RATES = st.dictionaries(NUMBERS, st.dictionaries(st.text(), COUNTERS, max_size=2), max_size=2)
CLASSES = st.dictionaries(st.text(), st.builds(QueueSample, COUNTERS, COUNTERS, COUNTERS, COUNTERS), max_size=2)
TIMES = st.floats(allow_nan=False, allow_infinity=False)
REPAIRS = st.builds(Repair, TIMES, st.text(), st.text(), st.text(), st.text(), st.lists(NUMBERS, max_size=3).map(tuple))
VIF = st.builds(VifSample, QUEUES, QUEUES, QUEUES, CLASSES, CLASSES).filter(lambda sample: sample != VifSample())
VIFS = st.dictionaries(NUMBERS, VIF, max_size=3)
BUCKETS = st.dictionaries(st.integers(-5000, 5000), COUNTERS, max_size=3)
PATHS = st.builds(PathSample, COUNTERS, COUNTERS, st.none() | TIMES, BUCKETS, COUNTERS, TIMES)
PROBED = st.dictionaries(st.text(), PATHS, max_size=2)
MESSAGES = (
    st.builds(Hello, st.text())
    | st.builds(HostSample, st.text(), TIMES, VIFS, st.dictionaries(NUMBERS, PROBED, max_size=2))
    | st.builds(Rates, RATES, RATES, CLASS_RATES)
    | st.builds(Repairs, st.text(), st.lists(REPAIRS, max_size=3).map(tuple))
)


@given(MESSAGES)
def test_what_is_encoded_comes_back_in_one_line(message: Message) -> None:
    line = encode(message)
    assert decode(line) == message and line.endswith(b"\n") and line.count(b"\n") == 1


@given(VIFS, VIFS, TIMES, TIMES)
def test_a_part_of_a_sample_comes_to_the_whole(
    before: dict[int, VifSample], after: dict[int, VifSample], first_s: float, then_s: float
) -> None:
    old, new = HostSample("h1", first_s, before), HostSample("h1", then_s, after)
    part = decode(encode(part_of(new, old)))
    assert isinstance(part, HostSample) and whole(part, old) == new
    same = decode(encode(part_of(replace(old, time_s=then_s), old)))
    assert isinstance(same, HostSample) and same.part and not same.vifs
    with pytest.raises(MessageError):
        whole(same, None)


@given(
    st.binary() | st.recursive(st.none() | st.integers() | st.text(), st.lists).map(lambda v: json.dumps(v).encode())
)
def test_anything_else_is_refused(line: bytes) -> None:
    with pytest.raises(MessageError):
        decode(line)


def sample(time_s: object = 1.0, rows: object = (7, 1, 1, 1, 1), **more: object) -> bytes:
    body = {"type": "HostSample", "chassis": "h1", "time_s": time_s, "queues": {"shaper": rows}, **more}
    return json.dumps(body).encode()


def test_the_sample_that_the_next_ones_spoil_is_right() -> None:
    assert decode(sample()) == HostSample("h1", 1.0, {7: VifSample(shaper=QueueSample(1, 1, 1, 1))})


@pytest.mark.parametrize(
    "line",
    [
        sample(time_s="1"),
        sample(time_s=None),
        sample(time_s=True),
        sample(time_s=float("nan")),
        sample(time_s=float("inf")),
        sample(rows=[0, 1, 1, 1, 1]),
        sample(rows=[65536, 1, 1, 1, 1]),
        sample(rows=["x", 1, 1, 1, 1]),
        sample(rows=[7, -1, 1, 1, 1]),
        sample(rows=[7, 1.5, 1, 1, 1]),
        sample(rows=[7, "1", 1, 1, 1]),
        sample(rows=[7, True, 1, 1, 1]),
        sample(rows=[7, 1 << 64, 1, 1, 1]),
        sample(rows=[7, 1, 1, 1]),
        sample(rows=[7, 1, 1, 1, 1, 7, 1, 1, 1, 1]),
        sample(rows=[7, 1, 1, 1, 1, 6, 1, 1, 1, 1]),
        sample(rows={"7": 1}),
        sample(part=1),
        sample(surplus=1),
        b'{"type":"Hello","chassis":5}',
        b'{"type":"Hello","chassis":"h1","more":1}',
        b'{"type":"Hello"}',
        b'{"type":"Rates","egress_kbps":{"1":-5},"ingress_kbps":{}}',
        b'{"type":"Rates","egress_kbps":[],"ingress_kbps":{}}',
        b'{"type":["Hello"],"chassis":"h1"}',
        b'{"type":"Other"}',
        b"[" * 100_000,
        b"9" * 10_000,
    ],
)
def test_values_that_no_counter_has_are_refused(line: bytes) -> None:
    with pytest.raises(MessageError):
        decode(line)
