from __future__ import annotations

import pytest

from controller.host.process import Process, start_time
from tests.unit.system.named_child import named_child


@pytest.mark.parametrize("name", [b"\xff\xfe", b"a) Z (b", b"\xc3", b"\r0 0"])
def test_whatever_a_process_calls_itself_it_is_told_from_a_later_one(name: bytes) -> None:
    with named_child(name) as child:
        started = start_time(child.pid)
        assert started is not None and Process(child.pid, started).runs
    assert start_time(child.pid) is None
