"""A private Open vSwitch: real daemons in a network namespace and directory of their own, gone afterwards.

    with PrivateOvs() as ovs:
        ovs.vsctl("add-br", "br0", "--", "set", "bridge", "br0", "datapath_type=netdev")

The daemons die with us, whatever happens; the namespace and directory go when the block ends.
"""

from __future__ import annotations

import itertools
import os
import shutil
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType

from lab.children import DEADLINE_S, LabError, run, wait_until, within

VSWITCH_SCHEMA = Path("/usr/share/openvswitch/vswitch.ovsschema")
BEFORE_OTHERS = ("nice", "-n", "-10")  # as ovs-ctl starts the switch on every machine
_counter = itertools.count()


def short_dir() -> Path:
    """A new directory whose path leaves room for Unix sockets below it."""
    return Path(tempfile.mkdtemp(prefix="w", dir="/tmp"))


class Daemon:
    """A child process that dies with this one, optionally in a network namespace; its output goes to a log file."""

    def __init__(self, argv: list[str], log: Path, namespace: str | None = None, env: Mapping[str, str] | None = None):
        started = argv if namespace is None else within(namespace, argv)
        with log.open("ab") as output:
            self.process = subprocess.Popen(
                ["setpriv", "--pdeathsig", "KILL", *started],
                env={**os.environ, **(env or {})},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
            )

    @property
    def pid(self) -> int:
        return self.process.pid

    def check_alive(self) -> None:
        """Raises LabError when it has ended."""
        if self.process.poll() is not None:
            raise LabError(f"{self.process.args!r} ended with status {self.process.returncode}")

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
        run(["ovsdb-tool", "create", str(database), str(schema)])
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

    def listens() -> bool:
        server.check_alive()
        return socket.exists()

    wait_until(listens, f"ovsdb-server on {socket}")
    return server


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
        self._make_namespace()
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

    def _make_namespace(self) -> None:
        run(["ip", "netns", "add", self.namespace])

    def _clean(self) -> None:
        self.stop_vswitchd()
        self.stop_server()
        run(["ip", "netns", "delete", self.namespace], check=False)
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
        options = ["--pidfile", "--no-chdir", log, "-vconsole:off", "-vsyslog:off", *dummy]
        argv = [*BEFORE_OTHERS, "ovs-vswitchd", self.remote, *options]
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
        """Standard output of a command run in the namespace. Raises LabError with its words when it fails."""
        return run(within(self.namespace, argv), check, self.env)

    def vsctl(self, *args: str) -> str:
        return self.run("ovs-vsctl", f"--db={self.remote}", f"--timeout={int(DEADLINE_S)}", *args)

    def ofctl(self, *args: str) -> str:
        return self.run("ovs-ofctl", "-OOpenFlow13", *args)

    def appctl(self, *args: str) -> str:
        return self.run("ovs-appctl", *args)
