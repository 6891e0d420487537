"""What runs in a system: each process's command line, environment, and what must answer before it is started."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from controller.config import StateDir, System, Uplink
from controller.system import dpdk

OVSDB_SERVER, VSWITCHD, WEIR_DB, CONTROLLER, AGENT = "ovsdb-server", "ovs-vswitchd", "weir-db", "controller", "agent"
METRICS = "metrics"
LOOP_INTERVAL = "WEIR_LOOP_INTERVAL_S"
OPENFLOW = "WEIR_OPENFLOW"
# The controller reads files that only their owner may (a clone in a home directory) and may do nothing else.
_WITHOUT_PRIVILEGE = ("setpriv", "--bounding-set=-all,+dac_read_search", "--no-new-privs", "--")

# Of the switch, as ovs-ctl has it: frames wait in a small buffer, and are lost while something else has the processor.
_SWITCH_NICE = -10


@dataclass(frozen=True, slots=True)
class Program:
    """argv as it is executed. needs: Unix sockets that must accept a connection before it is started.

    from_s: not before so many seconds after the machine's boot. session_nice: of all its threads among other sessions.
    """

    name: str
    argv: tuple[str, ...]
    environment: Mapping[str, str] = field(default_factory=dict)
    needs: tuple[Path, ...] = ()
    from_s: float = 0.0
    session_nice: int = 0


def of_system(system: System, directory: StateDir) -> tuple[Program, ...]:
    """In the order in which they are started; they are stopped the other way round."""
    enter = () if system.namespace is None else ("nsenter", f"--net=/run/netns/{system.namespace}", "--")
    open_vswitch = _embedded_ovs(system, enter, directory) if system.ovs == "embedded" else ()
    weir_db = _database(WEIR_DB, enter, directory.db / "weir.db", directory.weir_db_socket)
    ovs_socket = Path(system.ovs_rundir) / "db.sock"
    agent = Program(
        AGENT,
        (*enter, sys.executable, "-m", "controller.cli.main", "agent", *agent_options(system, directory)),
        {"OVS_RUNDIR": system.ovs_rundir, **_loop(system)},
        (directory.weir_db_socket, ovs_socket),
    )
    return (*open_vswitch, weir_db, _controller(system, enter, directory), agent, *_metrics(system, directory))


def agent_options(system: System, directory: StateDir) -> tuple[str, ...]:
    """The arguments of `weir agent` for the agent of this system."""
    uplinks = [f"--uplink={uplink.name}={port_device(system, uplink)}" for uplink in system.uplinks]
    target = f"--controller={openflow_target(system, directory)}"
    bridge = (f"--bridge={system.bridge}", f"--datapath={system.datapath}")
    # its own Open vSwitch's sockets are nobody else's
    raising = ("--raise-buffers",) if system.raise_buffers or system.ovs == "embedded" else ()
    return (*bridge, f"--chassis={system.chassis}", target, *uplinks, *raising)


def openflow_socket(system: System, directory: StateDir) -> Path:
    """Where the controller listens: in Open vSwitch's run directory, as it connects to no socket elsewhere."""
    own = system.ovs == "embedded"
    return Path(system.ovs_rundir) / ("openflow.sock" if own else f"{directory.namespace}.openflow.sock")


def openflow_target(system: System, directory: StateDir) -> str:
    """Where the bridge finds the controller.

    The machine's own Open vSwitch is told the name alone: it knows its run directory, which may be reached by several
    paths (/run, /var/run), by one of them only.
    """
    socket = openflow_socket(system, directory)
    return f"unix:{socket if system.ovs == 'embedded' else socket.name}"


def port_device(system: System, uplink: Uplink) -> str:
    """The name of the uplink's device on the bridge: named by an embedded system; its own on the machine's own OVS."""
    return uplink.device if system.ovs == "system" and uplink.device else uplink.name


def _embedded_ovs(system: System, enter: tuple[str, ...], directory: StateDir) -> tuple[Program, ...]:
    socket = directory.run / "db.sock"
    database = _database(OVSDB_SERVER, enter, directory.db / "conf.db", socket)
    program = "ovs-vswitchd" if system.dpdk is None else str(dpdk.VSWITCHD)
    daemon = (program, f"unix:{socket}", f"--pidfile={directory.run / Path(program).name}.pid")
    argv = (*enter, "nice", "-n", str(_SWITCH_NICE), *daemon, *_TO_LOG)
    from_s = _HANDLERS_S if system.datapath == "kernel" else 0.0
    environment = {**ovs_directories(directory), "RUNTIME_DIRECTORY": str(directory.run)}  # the latter is DPDK's
    vswitchd = Program(VSWITCHD, argv, environment, (socket,), from_s, _SWITCH_NICE)
    return database, vswitchd


def ovs_directories(directory: StateDir) -> dict[str, str]:
    """The environment in which OVS's programs find the embedded system, and nothing of the machine's."""
    run, database = str(directory.run), str(directory.db)
    return {"OVS_RUNDIR": run, "OVS_DBDIR": database, "OVS_LOGDIR": str(directory.log), "OVS_SYSCONFDIR": database}


# Open vSwitch (3.1) counts processors 10 s after boot at the earliest. Before that it finds none, makes no thread that
# takes what the kernel's datapath has no flow for, and never makes up for it.
_HANDLERS_S = 11.0
_TO_LOG = ("--no-chdir", "-vconsole:info", "-vsyslog:off", "-vfile:off")


def _database(name: str, enter: tuple[str, ...], file: Path, socket: Path) -> Program:
    control = (f"--pidfile={socket.parent / name}.pid", f"--unixctl={socket.parent / name}.ctl")
    argv = (*enter, "ovsdb-server", str(file), f"--remote=punix:{socket}", *control, *_TO_LOG)
    return Program(name, argv, {"OVS_RUNDIR": str(socket.parent)})


def _loop(system: System) -> dict[str, str]:
    return {LOOP_INTERVAL: f"{system.loop_interval_s:g}"}


def _controller(system: System, enter: tuple[str, ...], directory: StateDir) -> Program:
    ryu_manager = (str(Path(sys.executable).with_name("ryu-manager")), "controller.app")
    listen = {OPENFLOW: f"unix:{openflow_socket(system, directory)}"}
    environment = {"PYTHONUNBUFFERED": "1", **listen, **_loop(system)}
    argv = (*enter, *_WITHOUT_PRIVILEGE, *ryu_manager)
    return Program(CONTROLLER, argv, environment, (directory.weir_db_socket,))


def _metrics(system: System, directory: StateDir) -> tuple[Program, ...]:
    """In the namespace that `weir up` ran in, where somebody can ask for them."""
    if system.metrics is None:
        return ()
    options = (f"--listen={system.metrics}", f"--state-dir={directory.path}")
    argv = (*_WITHOUT_PRIVILEGE, sys.executable, "-m", "controller.cli.main", "metrics", *options)
    return (Program(METRICS, argv, {"PYTHONUNBUFFERED": "1"}, (directory.api_socket,)),)


def inherited_environment() -> dict[str, str]:
    """What a process of a system gets from whoever starts it: enough to find programs and speak a language."""
    wanted = ("PATH", "HOME", "LANG", "LC_ALL", "TZ", "PYTHONPATH", "COVERAGE_PROCESS_START")
    return {name: os.environ[name] for name in wanted if name in os.environ}
