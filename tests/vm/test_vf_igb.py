"""Virtual functions of a real (emulated) SR-IOV NIC, igb in legacy mode: taken, handed over, given back."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.ovs_sandbox import wait_until
from tests.support.virtual_functions import (
    NIC,
    PEER,
    Agent,
    devices_inside,
    make_vfs,
    nic_state,
    ping,
    run,
    vf,
)

pytestmark = pytest.mark.guest(igb=True)

VFIO = {"pci": "vfio"}


@pytest.fixture(scope="module", autouse=True)
def modules() -> None:
    run("modprobe", "-a", "igb", "igbvf", "vfio-pci")


@pytest.fixture
def nic() -> str:
    """Its device, with two VFs that nobody uses."""
    return make_vfs(2)


@pytest.fixture
def agent(tmp_path: Path) -> Iterator[Agent]:
    agent = Agent(tmp_path)
    yield agent
    agent.making.remove_all()
    agent.close()


@pytest.fixture
def outside() -> Iterator[str]:
    """A host on the NIC's wire, 10.30.0.99."""
    run("ip", "netns", "add", "outside")
    device = next(Path("/sys/bus/pci/devices", PEER, "net").iterdir()).name
    run("ip", "link", "set", device, "netns", "outside")
    run("ip", "-n", "outside", "addr", "add", "10.30.0.99/24", "dev", device)
    run("ip", "-n", "outside", "link", "set", device, "up")
    yield "outside"
    run("ip", "-n", "outside", "link", "set", device, "netns", "1")
    run("ip", "netns", "delete", "outside")


def test_a_vf_is_an_interface_in_a_namespace_and_goes_back(nic: str, agent: Agent, outside: str) -> None:
    before = nic_state(nic)
    wanted = vf("a", options={"device": nic, "representor": "none", "trust": "true", "vlan": "0"})
    made = agent.made(wanted)["a"]
    assert made.fault is None and made.is_off_bridge and made.port is None
    assert made.details["vf"] == f"{nic}/0" and made.details["pci"] == "0000:01:10.0"
    assert made.details["max_tx_rate"] == "21 mbit, accepted by the NIC"
    assert made.details["min_tx_rate"].startswith("refused by the NIC")
    assert "no rule of its policy is enforced" in made.details["note"]
    inside = {one["ifname"]: one for one in devices_inside("weir-t-a")}
    assert inside["eth0"]["address"] == "02:00:00:00:0a:07" and "UP" in inside["eth0"]["flags"]
    assert "10.30.0.7" in [one["local"] for one in inside["eth0"]["addr_info"]]
    told = nic_state(nic)["settings"][0]
    assert (told["address"], told["trust"], told["spoofchk"]) == ("02:00:00:00:0a:07", True, True)
    ping("weir-t-a", "10.30.0.99")

    assert agent.made(wanted)["a"].fault is None
    agent.made()
    assert nic_state(nic) == before
    assert not Path("/run/netns/weir-t-a").exists()


def test_two_vifs_get_two_vfs_and_a_third_is_told_why_not(nic: str, agent: Agent) -> None:
    made = agent.made(vf("a", 7), vf("b", 8), vf("c", 9))
    assert [made[name].details.get("vf") for name in "ab"] == [f"{nic}/0", f"{nic}/1"]
    fault = made["c"].fault or ""
    assert f"no virtual function is free ({nic} has 2 of at most 7): {nic}/0 is VIF a's; {nic}/1 is VIF b's" in fault
    assert f"echo 7 > /sys/bus/pci/devices/{NIC}/sriov_numvfs" in fault
    agent.made(vf("b", 8), vf("c", 9))  # gives back what a had
    assert agent.made(vf("b", 8), vf("c", 9))["c"].details.get("vf") == f"{nic}/0"


def test_one_that_is_up_or_away_is_not_taken(nic: str, agent: Agent) -> None:
    used = next(name for name, one in nic_state(nic)["devices"].items() if one["parentdev"] == "0000:01:10.0")
    run("ip", "link", "set", used, "up")
    assert agent.made(vf("a"))["a"].details["vf"] == f"{nic}/1"
    pinned = agent.made(vf("b", 8, options={"device": nic, "vf": "0", "representor": "none"}))["b"]
    assert f"VF 0 of {nic} cannot be had" in (pinned.fault or "") and f"{used} is up" in (pinned.fault or "")


def test_legacy_mode_and_a_policy_that_must_hold_are_refused(nic: str, agent: Agent) -> None:
    made = agent.made(vf("a", options={}), vf("b", 8, policy="strict"))
    assert f"devlink dev eswitch set pci/{NIC} mode switchdev" in (made["a"].fault or "")
    assert "policy strict cannot be enforced on a VF without a representor" in (made["b"].fault or "")
    assert agent.kind._ledger.taken() == {}


def test_vfio_is_bound_with_its_group_and_given_back(nic: str, agent: Agent) -> None:
    before = nic_state(nic)
    made = agent.made(vf("a", binding=VFIO))["a"]
    assert made.fault is None and made.device is None
    assert nic_state(nic)["bound"]["0000:01:10.0"] == ("vfio-pci", "vfio-pci")
    assert nic_state(nic)["settings"][0]["address"] == "02:00:00:00:0a:07"
    group = Path("/dev/vfio", made.details["iommu_group"])
    holder = os.open(group, os.O_RDWR)
    try:
        with pytest.raises(AssertionError, match=f"still in use by a process that has {group} open"):
            agent.made()
    finally:
        os.close(holder)
    agent.made()
    after = nic_state(nic)
    assert after["bound"] == before["bound"] and after["settings"] == before["settings"]
    assert after["devices"].keys() == before["devices"].keys()


def test_from_one_instance_to_another_and_to_a_vm_and_back(nic: str, agent: Agent, outside: str) -> None:
    before = nic_state(nic)
    for name in ("one", "two"):
        run("ip", "netns", "add", name)
    assert agent.made(vf("a", binding={"netns": "one"}))["a"].fault is None
    assert agent.made(vf("a", binding={"netns": "two"}, ifname="net1"))["a"].fault is None
    assert [one["ifname"] for one in devices_inside("one")] == ["lo"]
    assert {one["ifname"] for one in devices_inside("two")} == {"lo", "net1"}
    ping("two", "10.30.0.99")
    assert agent.made(vf("a", binding=VFIO))["a"].fault is None
    assert nic_state(nic)["bound"]["0000:01:10.0"][0] == "vfio-pci"
    assert agent.made(vf("a", binding={"netns": "one"}))["a"].fault is None
    ping("one", "10.30.0.99")
    run("ip", "netns", "delete", "one")
    wait_until(lambda: len(nic_state(nic)["devices"]) == 2, "the kernel to bring the device home")
    assert "does not exist" in (agent.made(vf("a", binding={"netns": "one"}))["a"].fault or "")
    assert agent.made(vf("a", binding={"netns": "two"}))["a"].fault is None
    run("ip", "netns", "delete", "two")
    agent.made()
    assert nic_state(nic) == before


def test_a_vf_that_went_is_made_again(nic: str, agent: Agent) -> None:
    assert agent.made(vf("a"))["a"].fault is None
    count = Path("/sys/bus/pci/devices", NIC, "sriov_numvfs")
    count.write_text("0")
    assert "there is no virtual function" in (agent.made(vf("a"))["a"].fault or "")
    make_vfs(2)
    assert agent.made(vf("a"))["a"].fault is None
    assert any(one["ifname"] == "eth0" for one in devices_inside("weir-t-a"))
