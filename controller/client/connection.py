"""The Weir DB of a state directory."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from controller import config
from controller.config import StateDir
from controller.system.errors import SystemFault
from ovsdb.weir_db import WeirDb


@contextmanager
def opened(state_dir: str | None) -> Iterator[tuple[StateDir, WeirDb]]:
    """Connected, and read once. Raises SystemFault when no system is there, DatabaseError when it does not answer."""
    directory = config.state_dir(state_dir)
    if not directory.weir_db_socket.exists():
        raise SystemFault(f"no system runs in {directory.path}", "Run weir up, or name its --state-dir")
    with WeirDb(f"unix:{directory.weir_db_socket}") as database:
        database.connect()
        yield directory, database
