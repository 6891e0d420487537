"""What the agent may do: read from the kernel while it works, and each of it shown to be needed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from controller.host import namespace, privilege
from ovsdb.rows import VirtualInterface
from tests.support.agent_host import Host, inside, vif
from tests.support.ovs_sandbox import Daemon, wait_until

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
KEPT = sum(1 << number for number in privilege.NEEDED.values())


def sets(pid: int) -> dict[str, int]:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    found = dict(line.split(":\t") for line in lines if line.startswith(("Cap", "NoNewPrivs")))
    return {name: int(text, 16) for name, text in found.items()}


@dataclass
class Foreign:
    """What belongs to another user: a process, and the way to a network namespace."""

    pid: int
    path: Path


@pytest.fixture
def foreign(host: Host, instance: str) -> Iterator[Foreign]:
    closed = host.ovs.rundir / "closed"
    closed.mkdir()
    (closed / "ns").symlink_to(namespace.named(instance))
    os.chown(closed, 65534, 0)
    closed.chmod(0o700)
    stranger = Daemon(
        ["setpriv", "--reuid=65534", "--clear-groups", "sleep", "1000"], host.ovs.rundir / "s.log", instance
    )
    wait_until(lambda: Path(f"/proc/{stranger.pid}/comm").read_text() == "sleep\n", "it runs")
    yield Foreign(stranger.pid, closed / "ns")
    stranger.stop()


def test_the_agent_does_all_its_work_with_few_capabilities(host: Host, instance: str, foreign: Foreign) -> None:
    agent = host.start()
    host.request(vif("made", 7), vif("given", 8, binding={"netns": instance}))
    host.await_state("made", "ready")
    host.await_state("given", "ready")
    host.request(vif("strangers", 9, binding={"pid": str(foreign.pid)}, ifname="eth9"))
    host.await_state("strangers", "ready")
    assert "10.9.0.9/24" in inside(instance, "ip", "addr", "show", "dev", "eth9")
    found = sets(int(agent.pid))
    assert found == {
        "CapInh": 0, "CapPrm": KEPT, "CapEff": KEPT, "CapBnd": KEPT, "CapAmb": 0, "NoNewPrivs": 1,
    }  # fmt: skip
    host.await_tried(host.request(delete=("made", "given", "strangers")))
    assert host.links() == []


def wanted_of(capability: str, host: Host, instance: str, foreign: Foreign) -> tuple[VirtualInterface, str]:
    """What cannot be had without it, and what is said then."""
    refused = {
        "cap_dac_read_search": (vif("a", 7, binding={"netns": str(foreign.path)}), "Permission denied"),
        "cap_net_admin": (vif("a", 7, binding={"netns": instance}), "Operation not permitted"),
        "cap_sys_ptrace": (vif("a", 7, binding={"pid": str(foreign.pid)}), "Permission denied"),
        "cap_sys_admin": (vif("a", 7), "Operation not permitted"),
    }
    return refused[capability]


@pytest.mark.parametrize("name", [name for name in privilege.NEEDED if name not in ("cap_chown", "cap_net_broadcast")])
def test_without_one_of_them_a_vif_cannot_be_had(host: Host, instance: str, foreign: Foreign, name: str) -> None:
    wanted, said = wanted_of(name, host, instance, foreign)
    agent = host.start(without=name)
    host.request(wanted)
    error = host.await_error("a", said)
    agent.stop()
    host.start()
    assert host.await_state("a", "ready").error is None, error


VHOST_USER = """
import json, sys
from pathlib import Path
from controller.config import StateDir
from controller.host import privilege
from controller.host.kinds.kind import PassView
from controller.host.kinds.vhost_user import TYPE, VhostUsers
from controller.host.settings import AgentConfig
from ovsdb.rows import Snapshot, VirtualInterface
privilege.give_up(set(privilege.NEEDED.values()) - set(json.loads(sys.argv[2])))
state = StateDir(Path(sys.argv[1]))
kind = VhostUsers(AgentConfig("h1", "br-weir", state, state.run, "weir", {}))
vif = VirtualInterface("a", 7, "p", "s", "vhost-user", "02:00:00:00:00:07", (), "h1", options={"socket_group": "65534"})
print(kind.converge([vif], PassView(Snapshot(), {}, (), 0.0, port_types={TYPE}))["a"].fault)
"""


def test_without_cap_chown_a_socket_cannot_be_given_to_a_group(tmp_path: Path) -> None:
    """The kind alone does it: an agent asks for no such port where Open vSwitch runs without DPDK, as it does here."""
    (tmp_path / "run").mkdir()

    def fault(*without: int) -> str:
        argv = [sys.executable, "-c", VHOST_USER, str(tmp_path), json.dumps(without)]
        return subprocess.run(argv, check=True, capture_output=True, text=True).stdout.strip()

    assert "Operation not permitted" in fault(privilege.NEEDED["cap_chown"])
    assert fault() == "None"
    (own,) = (tmp_path / "run" / "vhost").iterdir()
    assert own.stat().st_gid == 65534
