"""Which processes are a system's, whatever other processes of the machine call themselves."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from controller.system import processes
from tests.unit.system.named_child import named_child

NOBODY = 65534


def test_a_name_that_is_no_text_hides_nothing(tmp_path: Path) -> None:
    with named_child(b"\xff", processes.mark(tmp_path, "x")) as child:
        assert [(one.name, one.pid) for one in processes.of_system(tmp_path)] == [("x", child.pid)]


@pytest.mark.skipif(os.geteuid() != 0, reason="needs another user's process")
@pytest.mark.parametrize("name", [b"\xff", b"\rUid: 0", b"\x0bUid: 0", b"\x0cUid: 0"])
def test_a_process_of_somebody_else_is_none_of_a_system_whatever_it_calls_itself(tmp_path: Path, name: bytes) -> None:
    with named_child(name, processes.mark(tmp_path, "x"), NOBODY):
        assert processes.of_system(tmp_path) == []
