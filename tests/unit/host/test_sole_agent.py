"""One agent a chassis."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from controller.config import StateDir
from controller.host.errors import HostError
from controller.host.settings import AgentConfig
from controller.host.sole_agent import alone


def test_a_second_one_is_refused_until_the_first_has_ended(tmp_path: Path) -> None:
    state = StateDir(tmp_path)
    config = AgentConfig("h1", "br-weir", state, state.run, "weir-x")
    with alone(config):  # no directory: nothing can run here
        assert not state.run.exists()
    state.run.mkdir()
    for _ in range(2):
        with (
            alone(config),
            alone(replace(config, chassis="h2")),
            pytest.raises(HostError, match=r"another agent of h1 is at work with .*\. Stop that one first"),
            alone(config),
        ):
            raise AssertionError("two of them")
