"""The buffers of a real vswitchd's sockets: seen, raised where asked, put back; nothing else on the host is touched."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from controller.host.rooms import RAISED_SEND_BYTES
from controller.host.send_buffer import RAISED_RECEIVE_BYTES, SendBuffer, buffers_of, new_socket_bytes, put_back
from tests.support.frame_flood import frame, packet_socket, run
from tests.support.ovs_sandbox import PrivateOvs, wait_until
from tests.support.system import Home, SystemUnderTest

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")

MANY_S = 100.0  # later than any look before


@pytest.fixture
def ovs() -> Iterator[PrivateOvs]:
    with PrivateOvs() as one:
        one.vsctl("add-br", "br0", "--", "set", "bridge", "br0", "datapath_type=netdev")
        yield one


def add_port(ovs: PrivateOvs, name: str) -> None:
    run("ip", "-n", ovs.namespace, "link", "add", name, "type", "veth", "peer", "name", f"{name}x")
    for end in (name, f"{name}x"):
        run("ip", "-n", ovs.namespace, "link", "set", end, "up")
    ovs.vsctl("add-port", "br0", name)


def sent_something(ovs: PrivateOvs) -> bool:
    sender = packet_socket(Path(f"/run/netns/{ovs.namespace}"), "p1x")
    sender.send(frame(1))
    sender.close()
    return any(kind == "send" for kind, _ in buffers_of(ovs.rundir).values())


def sizes(ovs: PrivateOvs, kind: str) -> set[int]:
    return {size for one, size in buffers_of(ovs.rundir).values() if one == kind}


def test_buffers_are_seen_raised_and_put_back(ovs: PrivateOvs, tmp_path: Path) -> None:
    add_port(ovs, "p1")
    add_port(ovs, "p2")
    wait_until(lambda: sent_something(ovs), "vswitchd passes a frame on")
    usual = new_socket_bytes()
    before = buffers_of(ovs.rundir)
    assert SendBuffer(ovs.rundir, None).size_bytes(0.0) == usual
    assert buffers_of(ovs.rundir) == before  # seeing changes nothing
    record = tmp_path / "raised.json"
    raising = SendBuffer(ovs.rundir, record)
    assert raising.size_bytes(0.0) == RAISED_SEND_BYTES
    assert sizes(ovs, "send") == {RAISED_SEND_BYTES} and sizes(ovs, "receive") == {RAISED_RECEIVE_BYTES}
    assert new_socket_bytes() == usual  # of anything else
    add_port(ovs, "p3")  # a new port's, within a look
    wait_until(lambda: len(buffers_of(ovs.rundir)) > len(before), "a socket for the new port")
    assert SendBuffer(ovs.rundir, None).size_bytes(0.0) == RAISED_SEND_BYTES
    raising.size_bytes(MANY_S)
    assert sizes(ovs, "receive") == {RAISED_RECEIVE_BYTES}
    put_back(record)
    after = buffers_of(ovs.rundir)
    assert {link: after[link] for link in before} == before
    assert sizes(ovs, "send") == {usual} and RAISED_RECEIVE_BYTES not in sizes(ovs, "receive")
    assert not record.exists()
    put_back(record)  # nothing left to do


def test_the_sockets_of_a_vswitchd_that_was_started_again_are_found(ovs: PrivateOvs, tmp_path: Path) -> None:
    add_port(ovs, "p1")
    add_port(ovs, "p2")
    wait_until(lambda: sent_something(ovs), "vswitchd passes a frame on")
    record = tmp_path / "raised.json"
    raising = SendBuffer(ovs.rundir, record)
    assert raising.size_bytes(0.0) == RAISED_SEND_BYTES
    ovs.restart_vswitchd()
    wait_until(lambda: sent_something(ovs), "the new one passes a frame on")
    assert RAISED_SEND_BYTES not in sizes(ovs, "send")
    assert raising.size_bytes(MANY_S) == RAISED_SEND_BYTES
    assert sizes(ovs, "send") == {RAISED_SEND_BYTES} and sizes(ovs, "receive") == {RAISED_RECEIVE_BYTES}
    put_back(record)  # knows the new one's
    assert sizes(ovs, "send") == {new_socket_bytes()} and RAISED_RECEIVE_BYTES not in sizes(ovs, "receive")


def test_a_vswitchd_that_does_not_run_has_what_a_new_socket_gets(tmp_path: Path) -> None:
    assert SendBuffer(tmp_path, None).size_bytes(0.0) == new_socket_bytes()
    (tmp_path / "ovs-vswitchd.pid").write_text(f"{os.getpid()}\n")  # a number that another process has by now
    assert SendBuffer(tmp_path, None).size_bytes(0.0) == new_socket_bytes()
    assert buffers_of(tmp_path) == {}


POLICY = """\
weir: 1
segments: {lab: {type: internal, subnets: [10.31.0.0/24]}}
policies: {red: {rules: [allow: {}]}}
"""


def test_an_open_vswitch_of_weirs_own_has_large_buffers(system: SystemUnderTest, policy: Path) -> None:
    system.weir("up", "--policy", str(policy))
    system.weir("vif", "create", "a", "--policy", "red")
    received = wait_until(lambda: larger(system.directory.run), "larger buffers")
    system.kill(["ovs-vswitchd"])  # the one that comes after it has them, too
    again = wait_until(lambda: larger(system.directory.run) - received, "larger buffers of the next one")
    assert again and not list(system.directory.run.glob("*.new"))


def larger(rundir: Path) -> set[str]:
    """Sockets that receive for a port, once all of those are raised."""
    found = {link: size for link, (kind, size) in buffers_of(rundir).items() if kind == "receive"}
    return set(found) if set(found.values()) == {RAISED_RECEIVE_BYTES} else set()


def test_the_machines_own_open_vswitch_has_larger_ones_on_request_and_until_weir_down() -> None:
    with PrivateOvs() as ovs:
        ovs.vsctl("add-br", "br0", "--", "set", "bridge", "br0", "datapath_type=netdev")
        add_port(ovs, "p1")  # somebody else's
        add_port(ovs, "p2")
        wait_until(lambda: sent_something(ovs), "vswitchd passes a frame on")
        before = buffers_of(ovs.rundir)
        home = Home("unused")
        home.name = ovs.namespace
        with SystemUnderTest(home) as system:
            system.weir("up", "--ovs", "system", "--raise-buffers", OVS_RUNDIR=str(ovs.rundir))
            wait_until(lambda: sizes(ovs, "send") == {RAISED_SEND_BYTES}, "a larger send buffer")
            system.weir("down")
            assert {link: now for link, now in buffers_of(ovs.rundir).items() if link in before} == before
            assert not list(system.directory.run.glob("raised-buffers*"))
