"""The Unix socket at which controller and Open vSwitch meet: nobody else gets in, either end finds the other again."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from controller.dataplane.entries import SwitchState
from tests.support.openflow_probe import SOCKET_VARIABLE
from tests.support.ovs_sandbox import Daemon, short_dir, wait_until
from tests.support.probed_switch import BRIDGE, ROOT, SWITCH, ProbedSwitch, entries, probed_switch

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")

NOBODY = ("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "--")
LISTENS = "0A"


@pytest.fixture
def switch() -> Iterator[ProbedSwitch]:
    with probed_switch() as switch:
        yield switch


def tcp_listeners(pid: int) -> list[str]:
    """Address and port, in hex, at which anybody listens in the network namespace of the process."""
    tables = [Path(f"/proc/{pid}/net/{kind}").read_text() for kind in ("tcp", "tcp6")]
    sockets = [line.split() for table in tables for line in table.splitlines()]
    return [fields[1] for fields in sockets if fields[3] == LISTENS]


def probe(address: Path, *argv: str) -> subprocess.CompletedProcess[str]:
    """Connects as a switch would and asks for an echo."""
    command = [*argv, "ovs-ofctl", "-OOpenFlow13", "--timeout=10", "probe", f"unix:{address}"]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_only_its_owner_gets_in_and_no_tcp_port_is_open(switch: ProbedSwitch) -> None:
    assert tcp_listeners(switch.manager.pid) == []
    assert switch.address.stat().st_mode & 0o777 == 0o600
    switch.ovs.rundir.chmod(0o755)  # the socket itself has to refuse
    assert probe(switch.address).returncode == 0
    refused = probe(switch.address, *NOBODY)
    assert refused.returncode == 1 and "Permission denied" in refused.stderr
    assert switch.probe.seen() == [("up", SWITCH)]


def test_a_killed_controller_is_found_again_with_all_flows(switch: ProbedSwitch) -> None:
    switch.become(SwitchState(entries(3)))
    switch.manager.stop(kill=True)
    assert switch.address.is_socket()  # left there, and in the way of the next
    switch.start_manager()
    switch.await_connected()
    assert switch.read().flows == entries(3)


def test_a_restarted_switch_comes_back(switch: ProbedSwitch) -> None:
    switch.ovs.restart_vswitchd(kill=True)
    expected = [("up", SWITCH), ("down", SWITCH), ("up", SWITCH)]
    wait_until(lambda: switch.probe.seen() == expected, "the switch is missed, and back")
    switch.become(SwitchState(entries(3)))


def test_an_interrupted_controller_takes_its_socket_away(switch: ProbedSwitch) -> None:
    def ended() -> bool:
        """An interrupt that meets a green thread at work is logged by Ryu, and no more: then another has to come."""
        switch.manager.process.send_signal(signal.SIGINT)
        with suppress(subprocess.TimeoutExpired):
            switch.manager.process.wait(timeout=2)
        return switch.manager.process.returncode is not None

    wait_until(ended, "the controller ends")
    assert not switch.address.exists()


def test_a_controller_that_cannot_listen_ends() -> None:
    directory = short_dir()
    environment = {SOCKET_VARIABLE: str(directory / "p"), "WEIR_OPENFLOW": f"unix:{directory}/none/s"}
    argv = [str(Path(sys.executable).with_name("ryu-manager")), "tests.support.openflow_probe"]
    manager = Daemon(argv, directory / "log", env={**environment, "PYTHONPATH": str(ROOT)})
    try:
        manager.process.wait(timeout=20)
        assert "No such file or directory" in (directory / "log").read_text()
    finally:
        manager.stop()
        shutil.rmtree(directory)


def test_the_machines_own_switch_finds_it_by_name_alone(switch: ProbedSwitch) -> None:
    """As `weir up --ovs system` tells it: the path it would allow is the one that it was started with."""
    switch.ovs.vsctl("set-controller", BRIDGE, f"unix:{switch.address.name}")
    expected = [("up", SWITCH), ("down", SWITCH), ("up", SWITCH)]
    wait_until(lambda: switch.probe.seen() == expected, "the switch is back by its new way")
    wait_until(lambda: "is_connected: true" in switch.ovs.vsctl("show"), "Open vSwitch says so")
