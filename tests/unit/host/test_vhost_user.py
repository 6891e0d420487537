"""Kind vhost-user: whose directory the socket lies in, and what is refused before anything is made."""

from __future__ import annotations

import os
import stat
from dataclasses import replace
from pathlib import Path

import pytest

from controller.config import StateDir
from controller.host.kinds.kind import PassView
from controller.host.kinds.vhost_user import TYPE, VhostUsers, directory_mode
from controller.host.settings import AgentConfig
from controller.system import leftovers
from ovsdb.rows import Snapshot, VirtualInterface
from ovsdb.switch import PortStatus
from policies.parser import parse

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root: it gives a directory to another group")

VIF = VirtualInterface(
    name="vm", number=7, policy="acme/web", segment="lab", kind="vhost-user", mac="02:00:00:00:00:07",
    addresses=(), chassis="h1",
)  # fmt: skip


@pytest.fixture
def kind(tmp_path: Path) -> VhostUsers:
    state = StateDir(tmp_path / "s")
    state.run.mkdir(parents=True)
    state.path.chmod(0o700)
    state.run.chmod(0o700)
    return VhostUsers(AgentConfig("h1", "br-weir", state, state.run, "weir-x"))


def view(*vifs: VirtualInterface, ports: dict[str, PortStatus] | None = None, now_s: float = 0.0) -> PassView:
    snapshot = Snapshot(interfaces={vif.name: vif for vif in vifs})
    return PassView(snapshot, ports or {}, (), now_s, port_types=(TYPE,))


@pytest.mark.parametrize(
    ("socket", "directory"), [(0o600, 0o700), (0o660, 0o770), (0o666, 0o777), (0o640, 0o700), (0o000, 0o700)]
)
def test_who_may_connect_may_make_the_socket(socket: int, directory: int) -> None:
    assert directory_mode(socket) == directory


def test_without_dpdk_it_says_what_to_do(kind: VhostUsers, tmp_path: Path) -> None:
    made = kind.converge([VIF], replace(view(VIF), port_types=("tap", "internal")))["vm"]
    assert made.port is None and "--datapath dpdk" in (made.fault or "")
    assert not (tmp_path / "s" / "run" / "vhost").exists()


def test_a_port_and_a_directory_of_its_own(kind: VhostUsers, tmp_path: Path) -> None:
    made = kind.converge([VIF], view(VIF))["vm"]
    socket = tmp_path / "s" / "run" / "vhost" / "vm.7" / "sock"
    assert made.fault is None and made.port is not None and not made.has_queues and made.is_policed
    assert (made.port.name, made.port.type) == ("wu7", TYPE)
    assert made.port.options == {"vhost-server-path": str(socket)} and made.port.mtu_request == 1500
    assert made.details == {"socket": str(socket), "queues": "1", "connected": "false"}
    assert stat.S_IMODE(socket.parent.stat().st_mode) == 0o770
    assert stat.S_IMODE((tmp_path / "s").stat().st_mode) == 0o700  # nobody else asked to get in


@needs_root
def test_a_group_gets_through_to_its_directory_and_sees_nothing_else(kind: VhostUsers, tmp_path: Path) -> None:
    group = 64055
    vif = replace(VIF, options={"socket_group": str(group), "socket_mode": "0660"})
    assert kind.converge([vif], view(vif))["vm"].fault is None
    assert stat.S_IMODE((tmp_path / "s").stat().st_mode) == stat.S_IMODE((tmp_path / "s/run").stat().st_mode) == 0o711


def test_what_a_vm_left_goes_with_the_vif(kind: VhostUsers, tmp_path: Path) -> None:
    other = replace(VIF, name="other", number=8, chassis="h2")  # another agent's, in the same state directory
    kind.converge([VIF, other], view(VIF, other))
    (tmp_path / "s/run/vhost/vm.7/sock").touch()
    kind.sweep([], view(other))
    assert [path.name for path in (tmp_path / "s/run/vhost").iterdir()] == ["other.8"]
    kind.remove_all()
    assert not list((tmp_path / "s/run/vhost").iterdir())


def test_a_directory_removed_by_hand_is_made_anew(kind: VhostUsers, tmp_path: Path) -> None:
    kind.converge([VIF], view(VIF))
    (tmp_path / "s/run/vhost/vm.7").rmdir()
    kind.converge([VIF], view(VIF, now_s=1.0))
    assert (tmp_path / "s/run/vhost/vm.7").is_dir()


def test_a_path_that_no_socket_can_have(kind: VhostUsers) -> None:
    vif = replace(VIF, name="x" * 63)
    long = replace(kind._config, state=StateDir(Path("/" + "d" * 60)))
    made = VhostUsers(long).converge([vif], view(vif))[vif.name]
    assert made.port is None and "too long for a Unix socket" in (made.fault or "")


def test_a_guest_that_is_there_is_shown(kind: VhostUsers) -> None:
    seen = PortStatus("wu7", status={"mode": "client", "status": "connected", "num_of_vrings": "4"})
    details = kind.converge([VIF], view(VIF, ports={"wu7": seen}))["vm"].details
    assert (details["connected"], details["guest_queues"], details["queues"]) == ("true", "2", "1")
    assert "came with 2 queues instead of 1. Start it with" in details["queues_differ"]


@pytest.mark.parametrize(
    ("options", "policy", "queues"),
    [({}, "queues: 2", "2"), ({"queues": "4"}, "queues: 2", "4"), ({}, "cpu: 20 %", "1")],
)
def test_its_queues_are_its_own_number_or_its_policys(
    kind: VhostUsers, options: dict[str, str], policy: str, queues: str
) -> None:
    text = f"weir: 1\npolicies: {{acme: {{children: {{web: {{{policy}, best-effort: true}}}}}}}}\n"
    vif = replace(VIF, options=options)
    seen = PortStatus("wu7", status={"status": "connected", "num_of_vrings": str(2 * int(queues))})
    made = kind.converge([vif], replace(view(vif, ports={"wu7": seen}), policies=parse({"p.yaml": text})))["vm"]
    assert made.details["queues"] == queues and "queues_differ" not in made.details


@needs_root
def test_a_group_that_is_taken_away_has_nothing_left(kind: VhostUsers, tmp_path: Path) -> None:
    for options, group in (({"socket_group": "64055"}, 64055), ({}, os.getegid())):
        vif = replace(VIF, options=options)
        assert kind.converge([vif], view(vif))["vm"].fault is None
        assert (tmp_path / "s/run/vhost/vm.7").stat().st_gid == group


def test_another_vif_of_the_same_name_does_not_inherit_the_socket(kind: VhostUsers, tmp_path: Path) -> None:
    """The first one went, and the other came, while no agent was there."""
    kind.converge([VIF], view(VIF))
    (tmp_path / "s/run/vhost/vm.7/sock").touch()
    other = replace(VIF, number=8)
    socket = Path(kind.converge([other], view(other))["vm"].details["socket"])
    kind.sweep([other], view(other))
    assert not socket.exists() and [path.name for path in (tmp_path / "s/run/vhost").iterdir()] == [socket.parent.name]


def deep_tree(base: Path, levels: int) -> None:
    """Deeper than any path can say."""
    home = os.open(base, os.O_RDONLY)
    try:
        for _ in range(levels):
            os.mkdir("d", dir_fd=home)
            deeper = os.open("d", os.O_RDONLY, dir_fd=home)
            os.close(home)
            home = deeper
    finally:
        os.close(home)


def test_what_a_tenant_piles_up_stops_nobody_and_goes_when_the_system_does(kind: VhostUsers, tmp_path: Path) -> None:
    kind.converge([VIF], view(VIF))
    base = tmp_path / "s/run/vhost"
    (base / "vm.7/sock").touch()
    deep_tree(base / "vm.7", 3000)
    for _ in range(2):
        kind.sweep([], view())
    assert [path.name for path in base.iterdir()] == [".old"]
    (old,) = base.iterdir()
    assert stat.S_IMODE(old.stat().st_mode) == 0o700
    (left,) = old.iterdir()
    assert [path.name for path in left.iterdir()] == ["d"]
    kind.converge([VIF], view(VIF))  # the name is free again
    assert not list((base / "vm.7").iterdir())
    kind.remove_all()
    leftovers.remove(base)
    assert not base.exists()
