"""What runs in a system: each process's command line, environment, and what must answer before it is started."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from controller.config import StateDir, System, Uplink

OVSDB_SERVER, VSWITCHD, WEIR_DB, CONTROLLER, AGENT = "ovsdb-server", "ovs-vswitchd", "weir-db", "controller", "agent"
LOOP_INTERVAL = "WEIR_LOOP_INTERVAL_S"
OPENFLOW = "WEIR_OPENFLOW"
# The controller reads files that only their owner may (a clone in a home directory) and may do nothing else.
_WITHOUT_PRIVILEGE = ("setpriv", "--bounding-set=-all,+dac_read_search", "--no-new-privs", "--")

# Of the switch, as ovs-ctl has it: frames wait in a small buffer, and are lost while something else has the processor.
_BEFORE_OTHERS = ("nice", "-n", "-10")


@dataclass(frozen=True, slots=True)
class Program:
    """argv as it is executed. needs: Unix sockets that must accept a connection before it is started."""

    name: str
    argv: tuple[str, ...]
    environment: Mapping[str, str] = field(default_factory=dict)
    needs: tuple[Path, ...] = ()


def of_system(system: System, directory: StateDir) -> tuple[Program, ...]:
    """In the order in which they are started; they are stopped the other way round."""
    enter = () if system.namespace is None else ("nsenter", f"--net=/run/netns/{system.namespace}", "--")
    open_vswitch = _embedded_ovs(enter, directory) if system.ovs == "embedded" else ()
    weir_db = _database(WEIR_DB, enter, directory.db / "weir.db", directory.weir_db_socket)
    ovs_socket = Path(system.ovs_rundir) / "db.sock"
    agent = Program(
        AGENT,
        (*enter, sys.executable, "-m", "controller.cli.main", "agent", *agent_options(system, directory)),
        {"OVS_RUNDIR": system.ovs_rundir, **_loop(system)},
        (directory.weir_db_socket, ovs_socket),
    )
    return (*open_vswitch, weir_db, _controller(system, enter, directory), agent)


def agent_options(system: System, directory: StateDir) -> tuple[str, ...]:
    """The arguments of `weir agent` for the agent of this system."""
    uplinks = [f"--uplink={uplink.name}={port_device(system, uplink)}" for uplink in system.uplinks]
    target = f"--controller={openflow_target(system, directory)}"
    return (f"--bridge={system.bridge}", f"--chassis={system.chassis}", target, *uplinks)


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


def _embedded_ovs(enter: tuple[str, ...], directory: StateDir) -> tuple[Program, ...]:
    socket = directory.run / "db.sock"
    database = _database(OVSDB_SERVER, enter, directory.db / "conf.db", socket)
    daemon = ("ovs-vswitchd", f"unix:{socket}", f"--pidfile={directory.run / 'ovs-vswitchd.pid'}")
    vswitchd = Program(VSWITCHD, (*enter, *_BEFORE_OTHERS, *daemon, *_TO_LOG), ovs_directories(directory), (socket,))
    return database, vswitchd


def ovs_directories(directory: StateDir) -> dict[str, str]:
    """The environment in which OVS's programs find the embedded system, and nothing of the machine's."""
    run, database = str(directory.run), str(directory.db)
    return {"OVS_RUNDIR": run, "OVS_DBDIR": database, "OVS_LOGDIR": str(directory.log), "OVS_SYSCONFDIR": database}


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


def inherited_environment() -> dict[str, str]:
    """What a process of a system gets from whoever starts it: enough to find programs and speak a language."""
    wanted = ("PATH", "HOME", "LANG", "LC_ALL", "TZ", "PYTHONPATH", "COVERAGE_PROCESS_START")
    return {name: os.environ[name] for name in wanted if name in os.environ}
