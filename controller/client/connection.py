"""The Weir DB of a state directory."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

from controller import config
from controller.config import StateDir
from controller.system.errors import SystemFault
from ovsdb.weir_db import WeirDb


@contextmanager
def opened(state_dir: str | None) -> Iterator[tuple[StateDir, WeirDb]]:
    """Connected, and read once. Raises SystemFault when no system is there, or it is not ours to ask, DatabaseError
    when it does not answer.
    """
    directory = config.state_dir(state_dir)
    try:
        is_there = directory.weir_db_socket.exists()
        is_ours = not is_there or os.access(directory.weir_db_socket, os.W_OK, effective_ids=True)
    except PermissionError:
        is_ours = False
    if not is_ours:
        raise SystemFault(f"{directory.path}: only its owner may look into it", "Run the command with sudo")
    if not is_there:
        raise SystemFault(f"no system runs in {directory.path}", "Run weir up, or name its --state-dir")
    with WeirDb(f"unix:{directory.weir_db_socket}") as database:
        database.connect()
        yield directory, database
