"""What is encoded comes back; anything else is refused."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.stream.messages import (
    Hello,
    HostSample,
    Message,
    MessageError,
    QueueSample,
    Rates,
    VifSample,
    decode,
    encode,
)

COUNTERS = st.integers(0, (1 << 64) - 1)
NUMBERS = st.integers(1, (1 << 16) - 1)
QUEUES = st.none() | st.builds(QueueSample, COUNTERS, COUNTERS, COUNTERS, COUNTERS)
RATES = st.dictionaries(NUMBERS, COUNTERS, max_size=3)
TIMES = st.floats(allow_nan=False, allow_infinity=False)
MESSAGES = (
    st.builds(Hello, st.text())
    | st.builds(HostSample, st.text(), TIMES, st.dictionaries(NUMBERS, st.builds(VifSample, QUEUES, QUEUES, QUEUES)))
    | st.builds(Rates, RATES, RATES)
)
QUEUE = {"sent_bytes": 1, "sent_packets": 1, "dropped_packets": 1, "backlog_bytes": 1}


@given(MESSAGES)
def test_what_is_encoded_comes_back_in_one_line(message: Message) -> None:
    line = encode(message)
    assert decode(line) == message and line.endswith(b"\n") and line.count(b"\n") == 1


@given(
    st.binary() | st.recursive(st.none() | st.integers() | st.text(), st.lists).map(lambda v: json.dumps(v).encode())
)
def test_anything_else_is_refused(line: bytes) -> None:
    with pytest.raises(MessageError):
        decode(line)


def sample(time_s: object = 1.0, number: str = "7", **queue: object) -> bytes:
    vifs = {number: {"shaper": {**QUEUE, **queue}}}
    return json.dumps({"type": "HostSample", "chassis": "h1", "time_s": time_s, "vifs": vifs}).encode()


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
        sample(number="0"),
        sample(number="65536"),
        sample(number="x"),
        sample(sent_bytes=-1),
        sample(sent_bytes=1.5),
        sample(sent_bytes="1"),
        sample(sent_bytes=True),
        sample(sent_bytes=1 << 64),
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
