"""A NIC in switchdev mode (simulated: netdevsim): representors on the bridge of a real agent.

Its virtual functions are representors and nothing else, so there is nothing to hand over: the VIF says that, and keeps
its port.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from controller.config import StateDir
from controller.host.agent import AgentConfig, teardown
from lab.private_ovs import Daemon, PrivateOvs
from ovsdb.weir_db import WeirDb
from tests.support.agent_host import Host
from tests.support.ovs_sandbox import WeirDbServer, wait_until
from tests.support.virtual_functions import POLICY, run, vf

pytestmark = pytest.mark.guest(netdevsim=True)

NIC = Path("/sys/bus/netdevsim/devices/netdevsim7")
ANY = {"device": "netdevsim7"}


class MachineOvs(PrivateOvs):
    """In the machine's own namespace, where its NICs are: under a name, as everybody expects one."""

    def _make_namespace(self) -> None:
        run("ip", "netns", "attach", self.namespace, "1")


@pytest.fixture
def nic() -> Iterator[str]:
    """The network device of one with two VFs."""
    run("modprobe", "-a", "netdevsim", "tun")
    (NIC.parents[1] / "new_device").write_text("7 1")
    wait_until(lambda: list((NIC / "net").iterdir()), "the device")
    (NIC / "sriov_numvfs").write_text("2")
    run("devlink", "dev", "eswitch", "set", "netdevsim/netdevsim7", "mode", "switchdev")
    found = {(path / "phys_port_name").read_text().strip(): path.name for path in (NIC / "net").iterdir()}
    run("ip", "link", "set", found["p1"], "up")
    yield found["p1"]
    (NIC.parents[1] / "del_device").write_text("7")


@pytest.fixture
def host() -> Iterator[Host]:
    with MachineOvs() as ovs:
        state = StateDir(ovs.rundir / "s")
        state.run.mkdir(parents=True)
        config = AgentConfig("h1", "br-weir", state, ovs.rundir, ovs.namespace, interval_s=0.2)
        with WeirDbServer(state.run) as server, WeirDb(server.remote) as db:
            db.connect()
            with Host(ovs, config, db, ovs.rundir / "agent.log") as host:
                host.request(policy=POLICY)
                yield host
                print(host.log.read_text(), (ovs.rundir / "vswitchd.log").read_text())  # shown when a test fails


def started(host: Host) -> Daemon:
    """The agent, which in an emulated machine takes its time, once it has made the bridge."""
    before = host.chassis().agent_cfg
    cfg = host.request(policy=POLICY)
    agent = host.start()
    wait_until(lambda: host.chassis().agent_cfg >= cfg > before, "the agent's first report", 90.0)
    return agent


def port_of(index: int) -> str:
    return next(
        path.name
        for path in (NIC / "net").iterdir()
        if (path / "phys_port_name").read_text().strip() == f"pf0vf{index}"
    )


def state(nic: str) -> dict[str, Any]:
    (shown,) = json.loads(run("ip", "-j", "-d", "link", "show", nic))
    ports = [json.loads(run("ip", "-j", "link", "show", port_of(index)))[0] for index in (0, 1)]
    return {
        "vfs": shown["vfinfo_list"],
        "ports": [(one["ifname"], "UP" in one["flags"], one["mtu"]) for one in ports],
        "offloads": [run("ethtool", "-k", port_of(index)) for index in (0, 1)],
    }


def test_its_representor_stands_for_it_on_the_bridge(nic: str, host: Host) -> None:
    before = state(nic)
    agent = started(host)
    host.request(vf("a", 7, policy="strict", options={"device": nic, "vf": "1", "trust": "true"}))
    error = host.await_error("a", "is no PCI device: its representor is all there is")
    assert error.startswith(f"VF 1 of {nic}")
    port = port_of(1)
    found = wait_until(lambda: one if (one := host.vif("a")) is not None and one.ofport else None, "its port")
    assert found is not None
    assert found.port_name == port and found.details["representor"] == port and found.details["vf"] == f"{nic}/1"
    assert host.ovs.vsctl("get", "interface", port, "external_ids:iface-id").strip() == "a"
    assert found.details["max_tx_rate"].startswith("refused by the NIC")  # in this mode; its meter holds the limit
    told = state(nic)["vfs"][1]
    assert (told["address"], told["trust"], told["spoofchk"]) == ("02:00:00:00:0a:07", True, True)

    agent.stop(kill=True)
    cfg = host.request(delete=("a",))
    started(host)
    host.await_tried(cfg)
    assert port not in host.ovs.vsctl("list-ports", "br-weir")
    assert state(nic) == before


def test_what_agents_made_goes_with_the_system(nic: str, host: Host) -> None:
    before = state(nic)
    agent = started(host)
    host.request(vf("a", 7, options=ANY), vf("b", 8, options=ANY))
    for name in "ab":
        host.await_error(name, "is no PCI device")
    assert {(host.vif(name) or vf(name)).details["representor"] for name in "ab"} == {port_of(0), port_of(1)}
    agent.stop(kill=True)
    teardown(host.config)
    assert state(nic) == before
    assert not json.loads((host.config.state.db / "virtual-functions.h1.json").read_text())


def test_legacy_mode_is_told_how_to_leave_it(nic: str, host: Host) -> None:
    run("devlink", "dev", "eswitch", "set", "netdevsim/netdevsim7", "mode", "legacy")
    started(host)
    host.request(vf("a", 7, options=ANY))
    error = host.await_error("a", "legacy mode")
    assert "devlink dev eswitch set netdevsim/netdevsim7 mode switchdev" in error
    run("devlink", "dev", "eswitch", "set", "netdevsim/netdevsim7", "mode", "switchdev")
    host.await_error("a", "is no PCI device")
