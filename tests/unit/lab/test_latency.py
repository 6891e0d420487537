from __future__ import annotations

from math import inf

import pytest

from lab.children import LabError
from lab.latency import read

SAID = """\
PING 10.1.0.100 (10.1.0.100) 56(84) bytes of data.
64 bytes from 10.1.0.100: icmp_seq=1 ttl=64 time=0.210 ms
64 bytes from 10.1.0.100: icmp_seq=2 ttl=64 time=12.5 ms
64 bytes from 10.1.0.100: icmp_seq=2 ttl=64 time=12.6 ms (DUP!)
64 bytes from 10.1.0.100: icmp_seq=4 ttl=64 time=3 ms

--- 10.1.0.100 ping statistics ---
4 packets transmitted, 3 received, +1 duplicates, 25% packet loss, time 31ms
rtt min/avg/max/mdev = 0.210/5.236/12.500/5.2 ms
"""


def test_what_is_lost_is_endless() -> None:
    found = read(SAID.splitlines())
    assert found.times_ms == (0.210, 12.5, 3.0) and found.lost == 1
    assert found.percentile_ms(0.5) == 3.0
    assert found.percentile_ms(0.75) == 12.5
    assert found.percentile_ms(0.99) == inf


def test_a_ping_that_sent_nothing_is_no_figure() -> None:
    with pytest.raises(LabError, match="unreachable"):
        read(["ping: connect: Network is unreachable"])
