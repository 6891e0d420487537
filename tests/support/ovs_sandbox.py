"""A private Open vSwitch and a private Weir DB for tests: real daemons, own namespace and directories, gone afterwards.

    with PrivateOvs() as ovs, WeirDbServer(ovs.rundir) as weir_db:
        ovs.vsctl("add-br", "br0", "--", "set", "bridge", "br0", "datapath_type=netdev")

The daemons die with the test process, whatever happens to it; the namespace and directories go when the block ends.
"""

from __future__ import annotations

import itertools
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import TypeVar

WEIR_SCHEMA = Path(__file__).resolve().parents[2] / "ovsdb" / "weir.ovsschema"
VSWITCH_SCHEMA = Path("/usr/share/openvswitch/vswitch.ovsschema")
DEADLINE_S = 20.0
T = TypeVar("T")
_counter = itertools.count()


def wait_until(condition: Callable[[], T], what: str, deadline_s: float = DEADLINE_S) -> T:
    """The first true value of `condition`. Raises AssertionError naming `what` when there is none in time."""
    end_s = time.monotonic() + deadline_s
    while True:
        value = condition()
        if value:
            return value
        assert time.monotonic() < end_s, f"{what}: not within {deadline_s} s; last value {value!r}"
        time.sleep(0.02)


def short_dir() -> Path:
    """A new directory whose path leaves room for Unix sockets below it."""
    return Path(tempfile.mkdtemp(prefix="w", dir="/tmp"))


class Daemon:
    """A child process that dies with the test process, optionally in a network namespace; output goes to a log file."""

    def __init__(self, argv: list[str], log: Path, namespace: str | None = None, env: Mapping[str, str] | None = None):
        enter = [] if namespace is None else ["nsenter", f"--net=/run/netns/{namespace}", "--"]
        with log.open("ab") as output:
            self.process = subprocess.Popen(
                ["setpriv", "--pdeathsig", "KILL", *enter, *argv],
                env={**os.environ, **(env or {})},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
            )

    @property
    def pid(self) -> int:
        return self.process.pid

    def check_alive(self) -> None:
        assert self.process.poll() is None, f"{self.process.args!r} ended with status {self.process.returncode}"

    def stop(self, kill: bool = False) -> None:
        """Ends it: politely, then not; `kill` as `kill -9` would."""
        if self.process.poll() is None:
            self.process.kill() if kill else self.process.terminate()
        try:
            self.process.wait(timeout=5)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


def start_ovsdb_server(
    directory: Path, name: str, schema: Path, namespace: str | None = None, env: Mapping[str, str] | None = None
) -> Daemon:
    """An ovsdb-server for directory/NAME.db (made when absent) on directory/NAME.sock, ready when this returns."""
    database, socket = directory / f"{name}.db", directory / f"{name}.sock"
    if not database.exists():
        subprocess.run(["ovsdb-tool", "create", str(database), str(schema)], check=True)
    socket.unlink(missing_ok=True)
    server = Daemon(
        [
            "ovsdb-server",
            str(database),
            f"--remote=punix:{socket}",
            f"--unixctl={directory / f'{name}.ctl'}",
            f"--log-file={directory / f'{name}.log'}",
            "--no-chdir",
            "-vconsole:off",
            "-vsyslog:off",
        ],
        directory / f"{name}.out",
        namespace,
        env,
    )
    wait_until(lambda: server.check_alive() or socket.exists(), f"ovsdb-server on {socket}")
    return server


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


class PrivateOvs:
    """ovsdb-server and ovs-vswitchd in a network namespace of their own.

    dummy: the datapath without kernel devices, for thousands of ports; it has no QoS.
    rundir: holds db.sock and the bridges' .mgmt sockets. env: what ovs-* tools need to find them.
    """

    def __init__(self, dummy: bool = False):
        self.namespace = f"wt{os.getpid()}-{next(_counter)}"
        self.rundir = short_dir()
        self.env = {name: str(self.rundir) for name in ("OVS_RUNDIR", "OVS_DBDIR", "OVS_LOGDIR")}
        self.env["OVS_SYSCONFDIR"] = str(self.rundir)
        self._dummy = dummy
        self._server: Daemon | None = None
        self._vswitchd: Daemon | None = None

    @property
    def remote(self) -> str:
        """The Open_vSwitch database, as the IDL wants it."""
        return f"unix:{self.rundir / 'db.sock'}"

    @property
    def vswitchd_pid(self) -> int:
        assert self._vswitchd is not None
        return self._vswitchd.pid

    def __enter__(self) -> PrivateOvs:
        subprocess.run(["ip", "netns", "add", self.namespace], check=True)
        try:
            self.run("ip", "link", "set", "lo", "up")
            self.start_server()
            self.vsctl("--no-wait", "init")
            self.start_vswitchd()
        except BaseException:
            self._clean()
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._clean()

    def _clean(self) -> None:
        self.stop_vswitchd()
        self.stop_server()
        subprocess.run(["ip", "netns", "delete", self.namespace], check=False)
        shutil.rmtree(self.rundir, ignore_errors=True)

    def start_server(self) -> None:
        self._server = start_ovsdb_server(self.rundir, "db", VSWITCH_SCHEMA, self.namespace, self.env)

    def stop_server(self) -> None:
        if self._server is not None:
            self._server.stop()
            self._server = None

    def start_vswitchd(self) -> None:
        """Returns when the switch has taken the configuration that is in the database."""
        dummy = ["--enable-dummy=override", "--disable-system"] if self._dummy else []
        log = f"--log-file={self.rundir / 'vswitchd.log'}"
        argv = ["ovs-vswitchd", self.remote, "--pidfile", "--no-chdir", log, "-vconsole:off", "-vsyslog:off", *dummy]
        self._vswitchd = Daemon(argv, self.rundir / "vswitchd.out", self.namespace, self.env)
        self.vsctl("set", "Open_vSwitch", ".", f"external_ids:started={next(_counter)}")  # a change: only then it waits

    def stop_vswitchd(self, kill: bool = False) -> None:
        if self._vswitchd is not None:
            self._vswitchd.stop(kill)
            self._vswitchd = None

    def restart_vswitchd(self, kill: bool = False) -> None:
        self.stop_vswitchd(kill)
        self.start_vswitchd()

    def run(self, *argv: str, check: bool = True) -> str:
        """Standard output of a command run in the namespace. Raises AssertionError with its words when it fails."""
        enter = ["nsenter", f"--net=/run/netns/{self.namespace}", "--"]
        done = subprocess.run(
            [*enter, *argv],
            env={**os.environ, **self.env},
            capture_output=True,
            text=True,
            timeout=DEADLINE_S + 10,
        )
        assert not check or done.returncode == 0, f"{argv!r} ended with {done.returncode}: {done.stderr}{done.stdout}"
        return done.stdout

    def vsctl(self, *args: str) -> str:
        return self.run("ovs-vsctl", f"--db={self.remote}", f"--timeout={int(DEADLINE_S)}", *args)

    def ofctl(self, *args: str) -> str:
        return self.run("ovs-ofctl", "-OOpenFlow13", *args)

    def appctl(self, *args: str) -> str:
        return self.run("ovs-appctl", *args)
