from __future__ import annotations

from pathlib import Path

from controller.config import StateDir, System, Uplink
from controller.system import lifecycle, programs
from controller.system.requirements import Request, parse_uplinks

DIRECTORY = StateDir(Path("/tmp/x"))
EMBEDDED = System(
    chassis="h", namespace="weir-0a0a0a", ovs_rundir="/tmp/x/run", uplinks=(Uplink("out"), Uplink("wan", "eth1"))
)
OWN = System(chassis="h", ovs="system", ovs_rundir="/run/ovs", uplinks=(Uplink("wan", "eth1"),))


def test_an_embedded_system_runs_everything_in_its_namespace() -> None:
    started = programs.of_system(EMBEDDED, DIRECTORY)
    assert [program.name for program in started] == ["ovsdb-server", "ovs-vswitchd", "weir-db", "controller", "agent"]
    assert all(program.argv[:2] == ("nsenter", "--net=/run/netns/weir-0a0a0a") for program in started)
    assert started[-1].argv[-2:] == ("--uplink=out=out", "--uplink=wan=wan")


def test_on_the_machines_own_switch_nothing_is_entered_and_devices_keep_their_names() -> None:
    started = programs.of_system(OWN, DIRECTORY)
    assert [program.name for program in started] == ["weir-db", "controller", "agent"]
    name = f"{DIRECTORY.namespace}.openflow.sock"
    assert started[1].environment["WEIR_OPENFLOW"] == f"unix:/run/ovs/{name}"
    assert not any("nsenter" in program.argv for program in started)
    assert started[-1].argv[-2:] == (f"--controller=unix:{name}", "--uplink=wan=eth1")
    assert started[-1].environment["OVS_RUNDIR"] == "/run/ovs"


def test_the_controller_is_started_without_privilege() -> None:
    controller = next(program for program in programs.of_system(EMBEDDED, DIRECTORY) if program.name == "controller")
    assert "--bounding-set=-all,+dac_read_search" in controller.argv


def test_the_switch_is_started_before_others_in_the_eyes_of_the_scheduler() -> None:
    started = {program.name: program for program in programs.of_system(EMBEDDED, DIRECTORY)}
    assert started["ovs-vswitchd"].argv[2:7] == ("--", "nice", "-n", "-10", "ovs-vswitchd")


def test_the_bridge_of_an_embedded_system_meets_the_controller_at_a_unix_socket() -> None:
    started = {program.name: program for program in programs.of_system(EMBEDDED, DIRECTORY)}
    assert started["controller"].environment["WEIR_OPENFLOW"] == "unix:/tmp/x/run/openflow.sock"
    assert "--controller=unix:/tmp/x/run/openflow.sock" in started["agent"].argv


def test_what_differs_is_said() -> None:
    assert lifecycle.differences(EMBEDDED, Request(uplinks=parse_uplinks(["wan=eth1", "out"]))) == []
    assert lifecycle.differences(EMBEDDED, Request(ovs="system")) == [
        "--ovs is embedded, not system",
        "--uplink is out, wan=eth1, not none",
    ]
