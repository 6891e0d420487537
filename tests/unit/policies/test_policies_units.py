import pytest

from policies import units
from policies.errors import BadValue


@pytest.mark.parametrize(
    ("read", "text", "value"),
    [
        (units.rate_kbps, "10 mbit", 10_000),
        (units.rate_kbps, "10mbit", 10_000),
        (units.rate_kbps, " 10 MBit ", 10_000),
        (units.rate_kbps, "1.5 gbit", 1_500_000),
        (units.rate_kbps, "0.001 mbit", 1),
        (units.rate_kbps, "64000 bit", 64),
        (units.rate_kbps, "0 kbit", 0),
        (units.rate_kbps, "1000 gbit", 1_000_000_000),
        (units.packets_per_s, "20 kpps", 20_000),
        (units.packets_per_s, "1.5 mpps", 1_500_000),
        (units.size_bytes, "64 kib", 65_536),
        (units.size_bytes, "64 kb", 64_000),
        (units.size_bytes, "1500 b", 1500),
        (units.size_bytes, "1 mib", 1_048_576),
        (units.time_s, "20 ms", 0.02),
        (units.time_s, "250us", 0.00025),
        (units.time_s, "2 m", 120.0),
        (units.time_s, "8 h", 28_800.0),
        (units.time_s, "1 d", 86_400.0),
        (units.part, "20 %", 0.2),
        (units.part, "0.1%", 0.001),
        (units.time_or_size, "20 ms", (0.02, None)),
        (units.time_or_size, "64 KiB", (None, 65_536)),
        (units.time_or_size, "1 m", (60.0, None)),
        (units.time_or_size, "1 mb", (None, 1_000_000)),
    ],
)
def test_values(read, text, value):
    assert read(text) == value


@pytest.mark.parametrize(
    ("read", "text", "line"),
    [
        (units.rate_kbps, "10 mbps", "'10 mbps' is not a rate. Write '10 mbit' (bits) or '80 mbit' (10 megabytes)."),
        (
            units.rate_kbps,
            "1.5 MB/s",
            "'1.5 MB/s' is not a rate. Write '1.5 mbit' (bits) or '12 mbit' (1.5 megabytes).",
        ),
        (units.rate_kbps, "8 bps", "'8 bps' is not a rate. Write '8 bit' (bits) or '64 bit' (8 bytes)."),
        (units.rate_kbps, "1 gib", "'1 gib' is not a rate. Write '1 gbit' (bits) or '8 gbit' (1 gigabytes)."),
        (units.rate_kbps, "10 mbit/s", "'10 mbit/s' is not a rate. Write '10 mbit' (per second is understood)."),
        (units.rate_kbps, "10 mibit", "'10 mibit' is not a rate. Write '10 mbit' (per second is understood)."),
        (units.rate_kbps, "10 m", "'10 m' is not a rate. Write '10 mbit'."),
        (units.rate_kbps, "10", "'10' has no unit. Write '10 bit', '10 kbit', '10 mbit' or '10 gbit'."),
        (units.rate_kbps, "1 tbit", "'1 tbit' is not a rate. Write '1 bit', '1 kbit', '1 mbit' or '1 gbit'."),
        (units.rate_kbps, "2000 gbit", "'2000 gbit' is more than Weir can keep. Write at most '1000 gbit'."),
        (units.rate_kbps, "500 bit", "'500 bit' is finer than Weir counts. Write a whole multiple of '1 kbit'."),
        (units.rate_kbps, "-1 mbit", "'-1 mbit' is negative. Write a positive number, or remove the key."),
        (
            units.rate_kbps,
            "fast",
            "'fast' is not a rate. Write a number and a unit, such as '10 bit', '10 kbit', '10 mbit' or '10 gbit'.",
        ),
        (units.packets_per_s, "5", "'5' has no unit. Write '5 pps', '5 kpps' or '5 mpps'."),
        (units.packets_per_s, "5 kbit", "'5 kbit' is not a packet rate. Write '5 pps', '5 kpps' or '5 mpps'."),
        (units.size_bytes, "1.5 b", "'1.5 b' is finer than Weir counts. Write a whole multiple of '1 b'."),
        (units.size_bytes, "2000 mib", "'2000 mib' is more than Weir can keep. Write at most '1024 mib'."),
        (units.part, "101 %", "'101 %' is more than Weir can keep. Write at most '100 %'."),
        (units.part, "0.2", "'0.2' has no unit. Write '0.2 %'."),
        (
            units.time_or_size,
            "5",
            "'5' has no unit. "
            "Write '5 us', '5 ms', '5 s', '5 m', '5 h', '5 d', '5 b', '5 kb', '5 mb', '5 kib' or '5 mib'.",
        ),
    ],
)
def test_what_is_wrong_is_said_with_its_remedy(read, text, line):
    with pytest.raises(BadValue) as raised:
        read(text)
    assert str(raised.value) == line


@pytest.mark.parametrize(
    "text", ["1e3 mbit", "0x10 mbit", "inf mbit", "١٠ mbit", "10 \u212abit", "1_0 mbit", "", "9" * 99]
)
def test_numbers_of_other_kinds_are_refused(text):
    with pytest.raises(BadValue):
        units.rate_kbps(text)


@pytest.mark.parametrize(
    ("kbps", "text"), [(0, "0 kbit"), (1, "1 kbit"), (1500, "1500 kbit"), (90_000, "90 mbit"), (1_000_000, "1 gbit")]
)
def test_rate_text(kbps, text):
    assert units.rate_text(kbps) == text
