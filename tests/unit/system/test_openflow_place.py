"""Where controller and bridge meet: a place that both can use, with a path that fits into a socket's address."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from controller.config import DEFAULT_STATE_DIR, SOCKET_PATH_BYTES, StateDir, System, WrongStateDir, state_dir
from controller.system import bridge, programs
from controller.system.errors import SystemFault

DIRECTORY = StateDir(Path(DEFAULT_STATE_DIR))


def own(rundir: Path) -> System:
    return System(chassis="h", ovs="system", ovs_rundir=str(rundir))


def test_a_run_directory_of_another_user_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: tmp_path.stat().st_uid + 1)
    with pytest.raises(SystemFault, match="belongs to another user"):
        bridge.check_free(own(tmp_path), DIRECTORY)


def test_a_run_directory_that_is_too_long_is_refused(tmp_path: Path) -> None:
    rundir = tmp_path / ("x" * SOCKET_PATH_BYTES)
    rundir.mkdir()
    with pytest.raises(SystemFault, match=r"too long for the controller's Unix socket"):
        bridge.check_free(own(rundir), DIRECTORY)


def test_every_state_directory_that_is_taken_has_room_for_the_socket() -> None:
    longest = "/" + "x" * SOCKET_PATH_BYTES
    while True:
        try:
            directory = state_dir(longest)
            break
        except WrongStateDir:
            longest = longest[:-1]
    embedded = System(chassis="h", ovs_rundir=str(directory.run))
    assert len(os.fsencode(programs.openflow_socket(embedded, directory))) <= SOCKET_PATH_BYTES
