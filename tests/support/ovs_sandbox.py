"""A private Open vSwitch and a private Weir DB for tests: real daemons, own namespace and directories, gone afterwards.

with PrivateOvs() as ovs, WeirDbServer(ovs.rundir) as weir_db:
    ovs.vsctl("add-br", "br0", "--", "set", "bridge", "br0", "datapath_type=netdev")
"""

from __future__ import annotations

import shutil
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import TypeVar

from lab.private_ovs import Daemon, PrivateOvs, short_dir, start_ovsdb_server

__all__ = ["Daemon", "PrivateOvs", "WeirDbServer", "short_dir", "wait_until"]

WEIR_SCHEMA = Path(__file__).resolve().parents[2] / "ovsdb" / "weir.ovsschema"
DEADLINE_S = 20.0
T = TypeVar("T")


def wait_until(condition: Callable[[], T], what: str, deadline_s: float = DEADLINE_S) -> T:
    """The first true value of `condition`. Raises AssertionError naming `what` when there is none in time."""
    end_s = time.monotonic() + deadline_s
    while True:
        value = condition()
        if value:
            return value
        assert time.monotonic() < end_s, f"{what}: not within {deadline_s} s; last value {value!r}"
        time.sleep(0.02)


class WeirDbServer:
    """An ovsdb-server holding a Weir DB, empty at first, kept over `stop` and `start`. remote: as the IDL wants it."""

    def __init__(self, directory: Path | None = None):
        self._own_directory = directory is None
        self.directory = directory or short_dir()
        self.remote = f"unix:{self.directory / 'weir-db.sock'}"
        self._server: Daemon | None = None

    def __enter__(self) -> WeirDbServer:
        self.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.stop()
        if self._own_directory:
            shutil.rmtree(self.directory, ignore_errors=True)

    def start(self) -> None:
        self._server = start_ovsdb_server(self.directory, "weir-db", WEIR_SCHEMA)

    def stop(self) -> None:
        if self._server is not None:
            self._server.stop()
            self._server = None

    def dump(self, table: str = "Virtual_Interface") -> str:
        """What `ovsdb-client dump` prints of a table."""
        argv = ["ovsdb-client", "dump", self.remote, "Weir", table]
        return subprocess.run(argv, check=True, capture_output=True, text=True).stdout
