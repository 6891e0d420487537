from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from controller.config import StateDir, System, Uplink
from controller.system import lifecycle, programs, requirements
from controller.system.errors import WrongRequest
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
    # its own switch has large buffers without being asked
    assert started[-1].argv[-3:] == ("--uplink=out=out", "--uplink=wan=wan", "--raise-buffers")


def test_the_switch_of_a_kernel_datapath_is_started_when_it_can_count_processors() -> None:
    kernel = programs.of_system(replace(EMBEDDED, datapath="kernel"), DIRECTORY)
    assert {program.name: program.from_s for program in kernel if program.from_s} == {"ovs-vswitchd": 11.0}
    assert "--datapath=kernel" in kernel[-1].argv
    assert not any(program.from_s for program in programs.of_system(EMBEDDED, DIRECTORY))


def test_on_the_machines_own_switch_nothing_is_entered_and_devices_keep_their_names() -> None:
    started = programs.of_system(OWN, DIRECTORY)
    assert [program.name for program in started] == ["weir-db", "controller", "agent"]
    name = f"{DIRECTORY.namespace}.openflow.sock"
    assert started[1].environment["WEIR_OPENFLOW"] == f"unix:/run/ovs/{name}"
    assert not any("nsenter" in program.argv for program in started)
    assert started[-1].argv[-2:] == (f"--controller=unix:{name}", "--uplink=wan=eth1")
    assert started[-1].environment["OVS_RUNDIR"] == "/run/ovs"
    asked = programs.of_system(replace(OWN, raise_buffers=True), DIRECTORY)
    assert asked[-1].argv[-1] == "--raise-buffers"


def test_the_controller_is_started_without_privilege() -> None:
    controller = next(program for program in programs.of_system(EMBEDDED, DIRECTORY) if program.name == "controller")
    assert "--bounding-set=-all,+dac_read_search" in controller.argv


def test_the_switch_is_started_before_others_in_the_eyes_of_the_scheduler() -> None:
    started = {program.name: program for program in programs.of_system(EMBEDDED, DIRECTORY)}
    assert started["ovs-vswitchd"].argv[2:7] == ("--", "nice", "-n", "-10", "ovs-vswitchd")
    assert {name for name, program in started.items() if program.session_nice} == {"ovs-vswitchd"}


def test_metrics_are_served_where_somebody_asks_for_them_and_without_privilege() -> None:
    assert "metrics" not in {one.name for one in programs.of_system(EMBEDDED, DIRECTORY)}
    serving = programs.of_system(replace(EMBEDDED, metrics="[::1]:9476"), DIRECTORY)[-1]
    assert serving.name == "metrics" and serving.argv[0] == "setpriv"  # not nsenter
    assert "--listen=[::1]:9476" in serving.argv and f"--state-dir={DIRECTORY.path}" in serving.argv


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
    wanted = Request(uplinks=EMBEDDED.uplinks, metrics="9476")
    assert lifecycle.differences(EMBEDDED, wanted) == ["--metrics is absent, not 127.0.0.1:9476"]
    assert lifecycle.differences(replace(EMBEDDED, metrics="127.0.0.1:9476"), wanted) == []


def test_further_devices_of_an_uplink_are_numbered_in_their_order() -> None:
    two = parse_uplinks(["core=s2-eth3", "edge=s2-eth1", "core=s2-eth4"])
    assert {one.name: one.device for one in two} == {"core": "s2-eth3", "edge": "s2-eth1", "core#2": "s2-eth4"}
    requirements.check_agent("s2", "s2", two)
    assert lifecycle.differences(EMBEDDED, Request(uplinks=two)) != []
    for wrong in (["core=a", "core=a"], ["core", "core"], ["core=a", "edge=a"]):
        with pytest.raises(WrongRequest, match="named twice"):
            requirements.check_request(Request(uplinks=parse_uplinks(wrong)))
