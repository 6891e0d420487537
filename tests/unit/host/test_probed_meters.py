"""What the answer of a switch about its meters means."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest

from controller.host.probe import meters

DROP, REMARK = 1 << 1, 1 << 2
KBPS, PACKETS, BURST, STATS = 1, 2, 4, 8


def reply(most: int, bands: int, flags: int, bands_each: int) -> bytes:
    return struct.pack("!HH4xIIIBB2x", 11, 0, most, bands, flags, bands_each, 0)


@pytest.mark.parametrize(
    ("body", "rates", "packets"),
    [
        (reply(262_144, DROP, KBPS | PACKETS | BURST | STATS, 8), True, True),  # the userspace datapath
        (reply(200_000, DROP, KBPS | PACKETS | BURST | STATS, 1), True, True),  # the kernel's
        (reply(200_000, DROP, KBPS | BURST | STATS, 1), True, False),
        (reply(0, 0, 0, 0), False, False),  # a kernel before 4.18, whose meters Open vSwitch does not trust
        (reply(10, REMARK, KBPS | PACKETS, 1), False, False),
        (reply(10, DROP, PACKETS, 1), False, False),
    ],
)
def test_which_meters_there_are(body: bytes, rates: bool, packets: bool) -> None:
    found = meters.features(body)
    assert [found[name] == "true" for name in ("meters", "packet_meters")] == [rates, packets]
    assert all(word == "true" or word.startswith("no: ") for word in found.values())


def test_no_bridge_no_answer(tmp_path: Path) -> None:
    assert meters.abilities(tmp_path, "br-none") == {}
