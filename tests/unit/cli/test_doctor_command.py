"""What doctor takes for a machine without a system."""

from __future__ import annotations

from pathlib import Path

import pytest

from controller.cli.doctor_command import doctor
from controller.config import ConfigError, NoSystem, StateDir, load


def test_a_system_that_cannot_be_read_is_not_taken_for_none(tmp_path: Path) -> None:
    StateDir(tmp_path).system_file.write_text("{")
    with pytest.raises(ConfigError, match="cannot be read") as raised:
        doctor(tmp_path)
    assert not isinstance(raised.value, NoSystem)


def test_where_none_was_started_there_is_none(tmp_path: Path) -> None:
    with pytest.raises(NoSystem, match="no system was started here"):
        load(StateDir(tmp_path))
