"""Who may open what taps are attached through, as far as its mode tells."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from controller.host.tun import closed_to

SOMEBODY = 64055


@pytest.fixture
def device(tmp_path: Path) -> Path:
    found = tmp_path / "tun"
    found.touch()
    if os.geteuid() == 0:
        os.chown(found, 0, 0)
    return found


@pytest.mark.skipif(os.geteuid() != 0, reason="whose a file is only root can choose")
@pytest.mark.parametrize("mode", [0o600, 0o660, 0o664])
def test_who_cannot_attach_is_told_what_to_do(device: Path, mode: int) -> None:
    device.chmod(mode)
    note = closed_to(SOMEBODY, str(device))
    assert note is not None and f"user {SOMEBODY}" in note and f"chmod 0666 {device}" in note
    os.chown(device, SOMEBODY, 0)
    assert closed_to(SOMEBODY, str(device)) is None
    os.chown(device, 0, SOMEBODY)
    assert closed_to(SOMEBODY, str(device)) is None  # they may be of that group


def test_what_is_open_to_all_is_open(device: Path) -> None:
    device.chmod(0o666)
    assert closed_to(SOMEBODY, str(device)) is None


def test_root_needs_no_leave(device: Path) -> None:
    device.chmod(0o600)
    assert closed_to(0, str(device)) is None


def test_where_there_is_none_its_maker_says_so(tmp_path: Path) -> None:
    assert closed_to(SOMEBODY, str(tmp_path / "none")) is None
