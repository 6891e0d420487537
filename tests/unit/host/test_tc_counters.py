"""Counters out of messages whose layout was seen before are those that their attributes name."""

from __future__ import annotations

import struct

from hypothesis import given
from hypothesis import strategies as st

from controller.host.qdisc_frames import KIND, OPTIONS, STATISTICS, attribute, head
from controller.host.tc_counters import CounterReader

SMALL, LARGE = st.integers(0, 2**32 - 1), st.integers(0, 2**64 - 1)
GAP = st.sampled_from([b"", bytes(4)])  # on 64 bits the kernel's structure ends with one
BASIC = st.builds(lambda sent, packets, gap: attribute(1, struct.pack("=QI", sent, packets) + gap), LARGE, SMALL, GAP)
QUEUE = st.lists(SMALL, min_size=5, max_size=5).map(lambda figures: attribute(3, struct.pack("=5I", *figures)))
PACKETS = st.builds(lambda packets: attribute(8, struct.pack("=Q", packets)), LARGE)
OTHER = st.sampled_from([attribute(2, bytes(8)), attribute(4, bytes(20)), attribute(4, bytes(8)), b""])
# in the kernel's order, and some that no kernel sends
STATISTICS_OF = (
    st.tuples(BASIC, OTHER, QUEUE, OTHER)
    | st.tuples(BASIC, PACKETS, OTHER, QUEUE, OTHER)
    | st.tuples(QUEUE, BASIC)
    | st.tuples(OTHER)
    | st.just(())
)
OPTION = st.sampled_from([b"", bytes(4), bytes(24)])


@st.composite
def messages(draw: st.DrawFn) -> bytes:
    statistics = b"".join(draw(STATISTICS_OF))
    options = attribute(KIND, b"htb\0") + attribute(OPTIONS, draw(OPTION))
    return head(7, 8, 9) + options + (attribute(STATISTICS, statistics) if draw(st.booleans()) else b"")


@given(st.lists(messages(), max_size=12))
def test_what_is_read_does_not_depend_on_what_was_read_before(bodies: list[bytes]) -> None:
    reader = CounterReader()
    assert [reader.row(body) for body in bodies] == [CounterReader().row(body) for body in bodies]
    assert [reader.row(body) for body in bodies] == [CounterReader().row(body) for body in bodies]


def test_the_columns() -> None:
    basic, queue = attribute(1, struct.pack("=QI", 10**12, 20)), attribute(3, struct.pack("=5I", 1, 2000, 3, 4, 5))
    body = head(7, 8, 9) + attribute(KIND, b"htb\0") + attribute(STATISTICS, basic + queue)
    reader = CounterReader()
    assert reader.row(body) == reader.row(body) == (10**12, 20, 3, 2000)
    wide = attribute(8, struct.pack("=Q", 2**40))
    more = head(7, 8, 9) + attribute(STATISTICS, basic + wide + queue)
    assert reader.row(more) == (10**12, 2**40, 3, 2000) and reader.row(head(7, 8, 9)) == (0, 0, 0, 0)
