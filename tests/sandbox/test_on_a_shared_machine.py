"""What `weir up` and `weir down` share with the machine, its devices, Open vSwitch and users: all stay as they were."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest

from controller.system import processes
from tests.support.ovs_sandbox import PrivateOvs, wait_until
from tests.support.system import NOTHING, Home, SystemUnderTest

POLICY = """\
weir: 1
segments: {lab: {type: internal, subnets: [10.31.0.0/24]}}
policies: {red: {rules: [allow: {}]}}
"""


def test_other_files_in_the_state_directory_stay(system: SystemUnderTest) -> None:
    kept = [system.directory.path / "mine", system.directory.run / "mine.sock.txt"]
    for file in kept:
        file.parent.mkdir(exist_ok=True)
        file.write_text("mine")
    system.weir("up")
    system.weir("down")
    assert [file.read_text() for file in kept] == ["mine", "mine"]


@pytest.mark.parametrize("users", [("--reuid=65534",), ("--ruid=65534",)])
def test_a_stranger_under_our_mark_is_neither_adopted_nor_ended(
    system: SystemUnderTest, users: tuple[str, ...]
) -> None:
    mark = processes.mark(system.directory.path, "agent")
    argv = ["setpriv", *users, "--clear-groups", "--", "sleep", "1000"]
    stranger = subprocess.Popen(argv, env={**os.environ, **mark}, start_new_session=True)
    try:
        wait_until(lambda: Path(f"/proc/{stranger.pid}/comm").read_text() == "sleep\n", "it has begun")
        system.weir("up")
        assert system.pids()["agent"] != stranger.pid
        system.weir("down")
        assert system.traces() == NOTHING
        assert stranger.poll() is None
    finally:
        stranger.kill()
        stranger.wait()


@pytest.mark.parametrize("place", ["", "run", "db", "log"])
def test_a_state_directory_that_others_control_is_refused(system: SystemUnderTest, place: str) -> None:
    path = system.directory.path / place
    path.mkdir(exist_ok=True)
    for owner, mode, words in ((65534, 0o755, "belongs to user 65534"), (0, 0o775, "can be written by others")):
        os.chown(path, owner, 0)
        path.chmod(mode)
        for command in ("up", "down"):
            refused = system.weir(command, check=False)
            assert (refused.returncode, f"{path} {words}" in refused.stderr) == (1, True), refused.stderr
            assert "Choose another state directory" in refused.stderr
        assert system.traces() == NOTHING


def test_a_new_state_directory_is_its_owners_alone(system: SystemUnderTest) -> None:
    system.directory.path.rmdir()
    system.weir("up")
    made = (system.directory.path, system.directory.run, system.directory.db, system.directory.log)
    assert [path.stat().st_mode & 0o777 for path in made] == [0o700] * 4


def test_a_device_goes_in_and_comes_back(system: SystemUnderTest) -> None:
    home = system.home
    home.run("ip", "link", "add", "nic0", "mtu", "1400", "type", "veth", "peer", "name", "wire")
    home.run("sysctl", "-w", "net.ipv6.conf.nic0.disable_ipv6=1")
    home.run("ip", "link", "set", "nic0", "up")
    before = _device(home, "nic0")
    system.weir("up", "--uplink", "out0=nic0")
    assert "nic0" not in home.links()
    assert system.json("status")["uplinks"] == {"out0": "out0"}
    inside = ["nsenter", f"--net=/run/netns/{system.directory.namespace}", "--"]
    subprocess.run([*inside, "ip", "link", "set", "out0", "mtu", "1300"], check=True)
    pids = system.pids()
    system.kill(["ovs-vswitchd"])  # it could not take back that the device hears everything
    system.await_restart(pids, ["ovs-vswitchd"])
    system.await_well()
    done = system.weir("down")
    assert done.stderr.splitlines()[0] == "nic0: given back, without the addresses and routes it may have had"
    assert home.links() == {"lo", "nic0", "wire"}
    assert _device(home, "nic0") == before


def _device(home: Home, name: str) -> dict[str, object]:
    """What of a device `weir down` leaves as it was."""
    (link,) = json.loads(home.run("ip", "-json", "link", "show", name).stdout)
    return {
        "mtu": link["mtu"],
        "flags": {"UP", "PROMISC"} & set(link["flags"]),
        "disable_ipv6": home.run("sysctl", "-n", f"net.ipv6.conf.{name}.disable_ipv6").stdout,
        "features": home.run("ethtool", "-k", name).stdout,
    }


def test_the_machines_own_open_vswitch(policy: Path) -> None:
    with PrivateOvs() as ovs:
        home = Home("unused")
        home.name = ovs.namespace
        ovs.vsctl("add-br", "theirs", "--", "set", "bridge", "theirs", "datapath_type=netdev")
        before = home.links()
        with SystemUnderTest(home) as system:
            home.run("ip", "link", "add", "nic0", "type", "veth", "peer", "name", "wire")
            device = _device(home, "nic0")
            system.weir(
                "up", "--ovs", "system", "--uplink", "out0=nic0", "--policy", str(policy), OVS_RUNDIR=str(ovs.rundir)
            )
            assert set(ovs.vsctl("list-br").split()) == {"theirs", "br-weir"}
            assert "tcp-segmentation-offload: off" in home.run("ethtool", "-k", "nic0").stdout
            system.weir("vif", "create", "a", "--policy", "red")
            system.await_well()
            with SystemUnderTest(home) as second:
                refused = second.weir("up", "--ovs", "system", check=False, OVS_RUNDIR=str(ovs.rundir))
                assert refused.returncode == 1
                assert f"belongs to the system {system.directory.namespace}" in refused.stderr
            system.weir("down")
            assert system.traces() == NOTHING
        assert ovs.vsctl("list-br").split() == ["theirs"]
        assert ovs.vsctl("--columns=_uuid", "list", "qos").strip() == ""
        assert home.links() == before | {"nic0", "wire"}
        assert _device(home, "nic0") == device
        assert "htb" not in home.run("tc", "qdisc", "show", "dev", "nic0").stdout


def test_system_mode_without_an_open_vswitch(system: SystemUnderTest, tmp_path: Path) -> None:
    done = system.weir("up", "--ovs", "system", check=False, OVS_RUNDIR=str(tmp_path))
    assert done.returncode == 1
    assert "does not run" in done.stderr
