"""Whoever may not ask a system is told so, and what to do."""

from __future__ import annotations

import multiprocessing
import os
import shutil
import socket
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from controller.client.connection import opened
from controller.system.errors import SystemFault
from ovsdb.weir_db import WeirDb

NOBODY = 65534


@pytest.fixture
def state() -> Iterator[Path]:
    """With a socket. Not below a directory of pytest's, which is its user's alone."""
    path = Path(tempfile.mkdtemp(prefix="weir-"))
    (path / "run").mkdir()
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path / "run" / "weir-db.sock"))
        yield path
    shutil.rmtree(path)


def _asks(state: Path, user: int) -> str:
    os.seteuid(user)
    try:
        with opened(str(state)):
            return "connected"
    except (SystemFault, OSError) as fault:
        return f"{type(fault).__name__}: {fault}"
    finally:
        os.seteuid(os.getuid())


def said(state: Path, user: int) -> str:
    """In a process of its own: credentials are all threads'."""
    with multiprocessing.get_context("fork").Pool(1) as pool:
        return pool.apply(_asks, (state, user))


@pytest.mark.skipif(os.geteuid() != 0, reason="needs to become another user")
@pytest.mark.parametrize("mode", [0o700, 0o711, 0o755])
def test_whoever_may_not_ask_is_told_to_use_sudo(state: Path, mode: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(WeirDb, "connect", lambda database: None)  # nobody answers there
    state.chmod(mode)
    (state / "run" / "weir-db.sock").chmod(0o750)
    remedy = f"SystemFault: {state}: only its owner may look into it. Run the command with sudo."
    assert said(state, NOBODY) == remedy
    assert said(state, 0) == "connected"


def test_there_is_no_system(tmp_path: Path) -> None:
    with pytest.raises(SystemFault, match="no system runs in"), opened(str(tmp_path)):
        pass
