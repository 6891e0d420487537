"""Starting and stopping a system: everything `weir up` makes, and `weir down` takes away again.

What is to be made is recorded first (system.json), so that whatever interrupts `weir up`, `weir down` knows. Taking
away asks the machine, not the record: processes by their mark, the namespace by its name, links by where they are.
"""

from __future__ import annotations

import fcntl
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path

from controller import config
from controller.config import ConfigError, StateDir, System
from controller.host import send_buffer
from controller.host.errors import HostError
from controller.host.settings import BUFFER_RECORDS
from controller.system import (
    bridge,
    databases,
    devices,
    directories,
    dpdk,
    leftovers,
    listening,
    logs,
    network,
    processes,
    programs,
    requirements,
    supervisor,
)
from controller.system.errors import SystemFault
from controller.system.processes import SUPERVISOR
from controller.system.readiness import Watch
from controller.system.requirements import Request

_ROUNDS = 3  # of ending what is found: a process may have been starting another one
_RUN_FILES = (
    "raised-buffers.*.new",
    "*.ctl", "*.mgmt", "*.snoop", "*.pid", "db.sock", "weir-db.sock", "stream.sock", "api.sock",
    "openflow.sock", "processes.json", "processes.new", "supervisor.lock", "agent.*.lock",
)  # fmt: skip
_RUN_DIRECTORIES = ("vhost", "dpdk")  # of VMs' sockets; of OVS-DPDK


@contextmanager
def exclusively(directory: StateDir) -> Iterator[None]:
    """One `weir up` or `weir down` at a time. Raises SystemFault while there is another."""
    descriptor = os.open(directory.path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise SystemFault(
                f"{directory.path}: another weir up or weir down is at work here", "Wait until it is done"
            ) from None
        yield
    finally:
        os.close(descriptor)


def present(directory: StateDir) -> System | None:
    """The system that was started here and not taken down; None also when its record is damaged."""
    try:
        return config.load(directory)
    except ConfigError:
        return None


def supervisor_runs(directory: StateDir) -> bool:
    return any(one.name == SUPERVISOR for one in processes.of_system(directory.path))


def differences(system: System, request: Request) -> list[str]:
    """How a running system differs from what is asked for now."""
    pairs = {
        "--ovs": (system.ovs, request.ovs),
        "--datapath": (system.datapath, request.datapath),
        "--uplink": (_words(system), _words(request)),
        requirements.METRICS: (system.metrics or "absent", _where(request) or "absent"),
        "--raise-buffers": (_asked(system.raise_buffers), _asked(request.raise_buffers)),
    }
    return [f"{option} is {now}, not {wanted}" for option, (now, wanted) in pairs.items() if now != wanted]


def _where(request: Request) -> str | None:
    return (
        None if request.metrics is None else listening.written(*listening.read(requirements.METRICS, request.metrics))
    )


def _asked(is_so: bool) -> str:
    return "given" if is_so else "absent"


def _words(of: System | Request) -> str:
    texts = sorted(uplink.name + (f"={uplink.device}" if uplink.device else "") for uplink in of.uplinks)
    return ", ".join(texts) or "none"


def plan(request: Request, directory: StateDir, ovs_rundir: Path) -> System:
    """What `request` comes to on this machine. Raises SystemFault when something here stands in its way."""
    embedded = request.ovs == "embedded"
    system = System(
        chassis=_chassis(directory),
        ovs=request.ovs,
        datapath=request.datapath,
        namespace=directory.namespace if embedded else None,
        ovs_rundir=str(directory.run if embedded else ovs_rundir.resolve()),
        uplinks=request.uplinks,
        loop_interval_s=request.loop_interval_s,
        raise_buffers=request.raise_buffers,
        metrics=_where(request),
        dpdk=dpdk.plan(*request.dpdk) if embedded and request.datapath == "dpdk" else None,
        home_inode=network.home_inode(),
    )
    if system.metrics is not None:
        listening.check_free(requirements.METRICS, *listening.read(requirements.METRICS, system.metrics))
    network.check_devices(system)
    bridge.check_free(system, directory)
    return replace(system, uplinks=devices.look(system.uplinks))


def _chassis(directory: StateDir) -> str:
    """What the Weir DB knows this host by: the host may be called something else by now. A new one: its name today."""
    known = directory.chassis_file.read_text().strip() if directory.chassis_file.exists() else ""
    return known or requirements.chassis_name(socket.gethostname())


def can_go_on(system: System, directory: StateDir) -> bool:
    """Whether what is left of a system is enough for its supervisor to go on with."""
    reachable = system.namespace is None or network.exists(directory)
    return reachable and bool(processes.of_system(directory.path))


def start(system: System, directory: StateDir, say: Callable[[str], None]) -> Watch:
    """Makes and starts everything; controller and agent come up behind it, under the watch returned.

    Raises SystemFault, HostError or OSError half-way; `stop` takes back what was made until then.
    """
    for path in (directory.run, directory.db, directory.log):
        directories.make(path)
    config.save(system, directory)
    say(f"starting in {directory.path}")
    network.make(system, directory)
    databases.prepare(directory, dpdk.other_config(system.dpdk) if system.ovs == "embedded" else None)
    if system.dpdk is not None:
        dpdk.add_hugepages(system.dpdk)
    directory.chassis_file.write_text(system.chassis + "\n")
    watch = Watch(directory)
    start_supervisor(directory)
    return watch


def start_supervisor(directory: StateDir) -> None:
    """Starts it in the background, in the namespace of the caller, where devices come from and go back to."""
    log = directory.log / f"{SUPERVISOR}.log"
    logs.bound(log)
    logs.note(log, "starting")
    argv = (sys.executable, "-m", supervisor.__name__, "--state-dir", str(directory.path))
    with log.open("ab") as output:
        started = subprocess.Popen(
            argv,
            env={**programs.inherited_environment(), **processes.mark(directory.path, SUPERVISOR)},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            cwd="/",
            start_new_session=True,
        )
    while started.poll() is None and not supervisor_runs(directory):  # exec shows the environment a moment late
        time.sleep(0.005)


def stop(system: System | None, directory: StateDir) -> list[str]:
    """Takes everything away that is there, whatever is missing. Returns what the user should know.

    Databases and logs stay. Raises SystemFault or HostError for what cannot be removed.
    """
    _end_processes(directory)
    notes = _lower_buffers(directory)
    if system is not None:
        bridge.take_away(system, directory)
        if system.dpdk is not None:
            dpdk.take_hugepages_back(system.dpdk)
    notes += network.take_away(system, directory)
    for pattern in _RUN_FILES:
        for file in directory.run.glob(pattern):
            file.unlink(missing_ok=True)
    for name in _RUN_DIRECTORIES:
        leftovers.remove(directory.run / name)
    with suppress(OSError):  # somebody else's files are in it, or it was never made
        directory.run.rmdir()
    directory.system_file.unlink(missing_ok=True)
    directory.system_file.with_suffix(".new").unlink(missing_ok=True)
    return notes


def _lower_buffers(directory: StateDir) -> list[str]:
    """Of the machine's own Open vSwitch. Where that fails the record stays, for the next `weir down`."""
    notes = []
    for record in directory.run.glob(BUFFER_RECORDS):
        try:
            send_buffer.put_back(record)
        except HostError as fault:
            notes.append(f"buffers of Open vSwitch stay raised: {fault}")
    return notes


def remove_databases(directory: StateDir) -> None:
    """Forgets what was wanted. For a system that never came up."""
    databases.remove(directory)
    directory.chassis_file.unlink(missing_ok=True)
    with suppress(OSError):
        directory.db.rmdir()


def _end_processes(directory: StateDir) -> None:
    """The supervisor first, which stops the others in order; then whatever is left of them. Raises SystemFault."""
    order = (SUPERVISOR, programs.AGENT, programs.CONTROLLER, programs.VSWITCHD)
    everything = supervisor.GRACE_S * 6
    for name in order:
        running = [one for one in processes.of_system(directory.path) if one.name == name]
        processes.end(running, everything if name == SUPERVISOR else supervisor.GRACE_S)
    for _ in range(_ROUNDS):
        if not (running := processes.of_system(directory.path)):
            return
        processes.end(running, supervisor.GRACE_S)
    if running := processes.of_system(directory.path):
        named = ", ".join(f"{one.name} (pid {one.pid})" for one in running)
        raise SystemFault(
            f"{directory.path}: what runs here does not end, or starts anew: {named}",
            "See what holds or starts it (ps -o pid,ppid,stat,wchan,args), then run weir down again",
        )


def left_over(directory: StateDir) -> bool:
    """Whether anything of a system is there, running or not."""
    return directory.system_file.exists() or network.exists(directory) or bool(processes.of_system(directory.path))
