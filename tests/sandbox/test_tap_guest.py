"""Kind tap in a whole system, with a real VM: its address from Weir, its gateway, a neighbour; it may be reset."""

from __future__ import annotations

import os

import pytest

from tests.support.ovs_sandbox import wait_until
from tests.support.system import NOTHING, SystemUnderTest
from tests.support.virtual_machine import BRING_UP, link, need_lab, vm

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")

POLICY = """
weir: 1
segments:
  front: {type: routed, subnets: [10.41.0.0/24, 'fd00:41::/64'], mtu: 1400}
  back: {type: routed, subnets: [10.42.0.0/24], mtu: 1400}
policies:
  acme:
    children:
      all: {unmatched: allow}
"""
VM_USER = 64055
PROBED_S = 60.0


@pytest.fixture(scope="module", autouse=True)
def _a_kernel_to_boot() -> None:
    need_lab("a tap")


def test_a_vm_behind_a_tap(system: SystemUnderTest, policy: object) -> None:
    system.weir("up", "--policy", str(policy))
    made = ("--policy", "acme/all", "--segment", "front")
    system.weir("vif", "create", "vm", "--kind", "tap", "--owner", str(VM_USER), *made)
    system.weir("vif", "create", "peer", *made)
    system.weir("vif", "create", "far", "--policy", "acme/all", "--segment", "back")
    addresses = {name: system.json("vif", "show", name)["addresses"] for name in ("vm", "peer", "far")}
    own, peer, far = (addresses[name][0].partition("/")[0] for name in ("vm", "peer", "far"))
    with vm(system, "vm", user=VM_USER) as guest:
        assert link(guest) == {"mtu": 1400, "mac": system.json("vif", "show", "vm")["mac"]}
        assert f"address={own}/24 router=10.41.0.1" in guest.run(BRING_UP, 60)
        for address in ("10.41.0.1", peer, far):
            guest.run(f"ping -c 3 -W 2 {address}")
        wait_until(lambda: answers_probes(system, "vm"), "its latency is known", PROBED_S)
        before = system.pids()
        system.kill(["agent", "controller"])
        guest.run(f"ping -c 3 -W 2 {far}")
        system.await_restart(before, ["agent", "controller"])
        system.await_well()
        guest.reboot()
        guest.run(BRING_UP, 60)
        guest.run(f"ping -c 3 -W 2 {far}")
        system.weir("vif", "delete", "vm")  # beneath the VM
        assert guest.attempt(f"ping -c 1 -W 1 {peer}")[0] != 0 and guest.runs
    with pytest.raises(AssertionError):
        system.home.run("nsenter", f"--net=/run/netns/{system.directory.namespace}", "--", "ip", "link", "show", "wt1")


def answers_probes(system: SystemUnderTest, name: str) -> bool:
    path = system.json("vif", "show", name)["path"]
    return path is not None and path["latency_ms"]["p50"] is not None


def test_down_beneath_a_running_vm_leaves_nothing(system: SystemUnderTest, policy: object) -> None:
    system.weir("up", "--policy", str(policy))
    system.weir("vif", "create", "vm", "--kind", "tap", "--policy", "acme/all", "--segment", "front")
    with vm(system, "vm") as guest:
        guest.run(BRING_UP, 60)
        system.weir("down")
        assert system.traces() == NOTHING and guest.runs
        assert guest.attempt("ping -c 1 -W 1 10.41.0.1")[0] != 0
