"""What the agent finds by trying is what `tc` finds by hand, and nothing of it is left."""

from __future__ import annotations

import os
import subprocess
import threading
from pathlib import Path

import pytest

from controller.host import privilege
from controller.host.probe import kernel, meters
from tests.support.agent_host import POLICY, Host, vif
from tests.support.ovs_sandbox import wait_until

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")

ROOT = "qdisc add dev lo root"
RED = "red limit 60000 min 5000 max 15000 avpkt 1000 burst 10 bandwidth 10mbit"
POLICED = "filter add dev lo parent 1: protocol ip prio 1 u32 match u32 0 0"
BY_HAND = {  # any of these
    "htb": [[f"{ROOT} htb default 1"]],
    "tbf": [[f"{ROOT} tbf rate 1mbit burst 10kb limit 10kb"]],
    "bfifo": [[f"{ROOT} bfifo limit 10000"]],
    "head_drop": [[f"{ROOT} pfifo_head_drop limit 10"]],
    "red": [[f"{ROOT} {RED}"]],
    "fq_codel": [[f"{ROOT} fq_codel"]],
    "ecn": [[f"{ROOT} {RED} ecn"], [f"{ROOT} fq_codel ecn"]],
    "u32": [[f"{ROOT} handle 1: htb default 1", f"{POLICED} flowid 1:1"]],
    "police": [["actions add action police rate 1mbit burst 10k drop"]],
}


def works(commands: list[str]) -> bool:
    """In a namespace of its own, gone with the shell."""
    text = " && ".join(f"tc {command}" for command in commands)
    done = subprocess.run(["unshare", "--net", "sh", "-c", text], capture_output=True, timeout=20, check=False)
    return done.returncode == 0


@pytest.fixture(scope="module")
def found() -> dict[str, str]:
    return kernel.abilities()


def test_everything_is_tried(found: dict[str, str]) -> None:
    assert found.keys() == BY_HAND.keys()


@pytest.mark.parametrize("ability", BY_HAND)
def test_what_is_said_is_what_tc_does(found: dict[str, str], ability: str) -> None:
    assert (found[ability] == "true") == any(map(works, BY_HAND[ability])), found[ability]
    assert found[ability] == "true" or found[ability].startswith("no: the kernel says ")


def test_the_thread_is_back_where_it_was_and_nothing_is_left() -> None:
    own = Path("/proc/thread-self/ns/net")
    before, links, descriptors = os.readlink(own), os.listdir("/sys/class/net"), os.listdir("/proc/self/fd")
    kernel.abilities()
    assert os.readlink(own) == before and os.listdir("/sys/class/net") == links
    assert len(os.listdir("/proc/self/fd")) == len(descriptors)


def test_the_agents_few_privileges_suffice_and_without_any_nothing_is_known() -> None:
    everything = kernel.abilities()

    def with_(keep: tuple[int, ...]) -> dict[str, str]:
        found: list[dict[str, str]] = []

        def run() -> None:
            privilege.give_up(keep)
            found.append(kernel.abilities())

        thread = threading.Thread(target=run)  # privileges are a thread's
        thread.start()
        thread.join()
        return found[0]

    assert with_(tuple(privilege.NEEDED.values())) == everything
    assert with_(()) == {}


def test_the_agent_reports_what_it_found(host: Host, found: dict[str, str]) -> None:
    host.start()
    row = host.await_tried(host.request(vif("web1", 7)))
    assert row.capabilities.items() >= found.items()
    told = wait_until(lambda: (row := host.chassis().capabilities).get("meters") and row, "the switch has answered")
    assert told["meters"] == told["packet_meters"] == "true"
    assert row.capabilities["egress_policer"] == "no: Open vSwitch runs without DPDK"
    host.ovs.vsctl("set", "open_vswitch", ".", "ovs_version=3.1.0")  # as the distribution's start script does
    wait_until(lambda: host.chassis().capabilities.get("ovs_version") == "3.1.0", "the version is told")


def test_what_nobody_should_have_asked_for_is_an_error_of_the_agent(host: Host) -> None:
    """Written past the commands, which refuse it; and gone when it is not asked for any more."""
    host.start()
    host.request(vif("web1", 7, policy="acme/free"))
    host.await_state("web1", "ready")
    asking = POLICY.replace("unmatched: allow", "unmatched: allow, queues: 2")
    host.request(policy=asking)
    words = r"^p\.yaml:\d+:\d+: policies\.acme\.children\.free\.queues: queues cannot be kept for kind veth: "
    host.await_error("web1", words)
    host.request(policy=asking.replace("queues: 2", "queues: 2, best-effort: true"))
    host.await_state("web1", "ready")


def test_the_switch_is_asked_for_its_meters(host: Host) -> None:
    host.start()
    host.await_tried(host.request())
    said = host.ovs.run("ovs-ofctl", "-OOpenFlow13", "meter-features", "br-weir")
    assert "max_meter:" in said
    has = "kbps" in said and "drop" in said, "pktps" in said and "drop" in said
    assert meters.abilities(host.ovs.rundir, "br-weir") == {
        name: "true" for name, is_there in zip(("meters", "packet_meters"), has, strict=True) if is_there
    }
