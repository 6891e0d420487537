"""Kind veth and its namespaces on a real kernel: every step repeatable, foreign things left alone."""

from __future__ import annotations

import os
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from controller.host import links, namespace, offloads, sysctl
from controller.host.binding import Binder
from controller.host.errors import HostError
from controller.host.kinds import veth
from controller.host.links import Mark
from controller.host.process import start_time
from ovsdb.rows import VirtualInterface

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")

SYSTEM = f"wv{os.getpid()}"
MAC = "02:00:00:00:00:07"
HERE = Path("/proc/thread-self/ns/net")
OWN = namespace.identity(HERE)


def ip(*arguments: str) -> str:
    return subprocess.run(["ip", *arguments], check=True, capture_output=True, text=True).stdout


@pytest.fixture(autouse=True)
def agent_namespace() -> Iterator[Path]:
    """The test runs where an agent would: in a namespace of its own; all namespaces that it makes go."""
    ip("netns", "add", SYSTEM)
    try:
        with namespace.entered(namespace.named(SYSTEM)):
            yield namespace.named(SYSTEM)
    finally:
        for name in namespace.names(SYSTEM):
            ip("netns", "delete", name)
    assert namespace.identity(HERE) == OWN


@pytest.fixture
def instance() -> str:
    name = f"{SYSTEM}.i"
    ip("netns", "add", name)
    return name


def vif(**changes: object) -> VirtualInterface:
    fields: dict[str, object] = {
        "name": "web1", "number": 7, "policy": "acme/web", "segment": "lab", "kind": "veth", "mac": MAC,
        "addresses": ("10.30.0.7/24", "fd00:30::7/64"),
    }  # fmt: skip
    return VirtualInterface(**{**fields, **changes})  # type: ignore[arg-type]


def spec(path: Path, **changes: object) -> veth.VethSpec:
    fields: dict[str, object] = {
        "number": 7, "ifname": "eth0", "mac": MAC, "addresses": ("10.30.0.7/24", "fd00:30::7/64"), "namespace": path,
        "mark": Mark(SYSTEM, "h1", "web1"), "plain_frames": True,
    }  # fmt: skip
    return veth.VethSpec(**{**fields, **changes})  # type: ignore[arg-type]


def inner(path: Path, ifname: str = "eth0") -> links.Link | None:
    with links.netlink(path) as netlink:
        return links.find(netlink, ifname)


def host_link() -> links.Link | None:
    with links.netlink(None) as netlink:
        return links.find(netlink, "wv7")


def test_the_interface_is_usable_at_once(instance: str) -> None:
    path = namespace.named(instance)
    veth.ensure(spec(path))
    link = inner(path)
    assert link is not None and link.up and link.mac == MAC
    shown = ip("-n", instance, "addr", "show", "dev", "eth0")
    assert "inet 10.30.0.7/24" in shown and "inet6 fd00:30::7/64" in shown and "inet6 fe80::ff:fe00:7/64" in shown
    assert "tentative" not in shown
    assert "LOWER_UP" in ip("-n", instance, "link", "show", "lo")
    with namespace.entered(path):
        assert not offloads.active("eth0")
        with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as probe:
            probe.bind(("fd00:30::7", 0))
    assert sysctl.read("ipv6/conf/wv7/disable_ipv6") == "1"
    assert "default" not in ip("-n", instance, "route")


def test_doing_it_again_changes_nothing(instance: str) -> None:
    path = namespace.named(instance)
    veth.ensure(spec(path))
    before = host_link(), inner(path), ip("-n", instance, "addr")
    descriptors = len(os.listdir("/proc/self/fd"))
    for _ in range(5):
        veth.ensure(spec(path))
    assert (host_link(), inner(path), ip("-n", instance, "addr")) == before
    assert len(os.listdir("/proc/self/fd")) == descriptors


def test_what_somebody_changed_is_put_right(instance: str) -> None:
    path = namespace.named(instance)
    veth.ensure(spec(path))
    ip("-n", instance, "link", "set", "eth0", "address", "02:11:11:11:11:11", "down")
    ip("-n", instance, "addr", "flush", "dev", "eth0")
    ip("-n", instance, "addr", "add", "10.99.0.1/24", "dev", "eth0")
    veth.ensure(spec(path))
    link = inner(path)
    assert link is not None and link.up and link.mac == MAC
    shown = ip("-n", instance, "addr", "show", "dev", "eth0")
    assert "10.30.0.7/24" in shown and "fd00:30::7/64" in shown and "10.99.0.1" not in shown


def test_addresses_from_elsewhere_stay_when_the_vif_has_none(instance: str) -> None:
    path = namespace.named(instance)
    veth.ensure(spec(path, addresses=()))
    ip("-n", instance, "addr", "add", "10.99.0.1/24", "dev", "eth0")
    veth.ensure(spec(path, addresses=()))
    assert "10.99.0.1/24" in ip("-n", instance, "addr")


def test_a_replaced_address_of_the_same_subnet_survives(instance: str) -> None:
    path = namespace.named(instance)
    veth.ensure(spec(path, addresses=("10.30.0.7/24",)))
    veth.ensure(spec(path, addresses=("10.30.0.8/24", "10.30.0.9/24")))
    shown = ip("-n", instance, "addr", "show", "dev", "eth0")
    assert "10.30.0.8/24" in shown and "10.30.0.9/24" in shown and "10.30.0.7" not in shown


def test_an_interrupted_creation_is_completed(instance: str) -> None:
    path = namespace.named(instance)
    veth._create(spec(path))  # and killed here: no mark, nothing up
    made = host_link()
    veth.ensure(spec(path))
    now = host_link()
    assert made is not None and now is not None and now.index == made.index and now.up


def test_a_name_that_is_taken_is_an_error_naming_the_remedy(instance: str) -> None:
    ip("-n", instance, "link", "add", "eth0", "type", "veth", "peer", "name", "foreign0")
    with pytest.raises(HostError, match=r"has an interface eth0 already.*--ifname"):
        veth.ensure(spec(namespace.named(instance)))
    assert host_link() is None
    veth.ensure(spec(namespace.named(instance), ifname="eth1"))


def test_a_foreign_link_of_our_name_is_left_alone(instance: str) -> None:
    ip("-n", SYSTEM, "link", "add", "wv7", "type", "veth", "peer", "name", "foreign0")
    with pytest.raises(HostError, match="not this agent's"):
        veth.ensure(spec(namespace.named(instance)))
    assert host_link() is not None


def test_a_pair_into_another_namespace_is_moved(instance: str) -> None:
    other = f"{SYSTEM}.o"
    ip("netns", "add", other)
    veth.ensure(spec(namespace.named(other)))
    veth.ensure(spec(namespace.named(instance)))
    assert inner(namespace.named(other)) is None
    assert inner(namespace.named(instance)) is not None


def test_remove_takes_both_ends_and_may_be_repeated(instance: str) -> None:
    veth.ensure(spec(namespace.named(instance)))
    veth.remove(7)
    veth.remove(7)
    assert host_link() is None and inner(namespace.named(instance)) is None


def test_a_namespace_is_made_marked_found_again_and_removed() -> None:
    binder = Binder(SYSTEM, "h1")
    place = binder.place(vif())
    assert place == namespace.named(f"{SYSTEM}-web1")
    assert f"{SYSTEM}-web1" in ip("netns", "list")
    assert Binder(SYSTEM, "h1").place(vif()) == place
    assert Binder(SYSTEM, "h1").made() == [Mark(SYSTEM, "h1", "web1")]
    assert Binder(SYSTEM, "h2").made() == []
    ip("netns", "exec", f"{SYSTEM}-web1", "true")
    binder.remove_made("web1")
    binder.remove_made("web1")
    assert not namespace.named(f"{SYSTEM}-web1").exists()


def test_a_namespace_of_that_name_that_somebody_else_made_is_refused() -> None:
    ip("netns", "add", f"{SYSTEM}-web1")
    with pytest.raises(HostError, match=f"ip netns delete {SYSTEM}-web1"):
        Binder(SYSTEM, "h1").place(vif())
    assert Binder(SYSTEM, "h1").made() == []


def test_an_interrupted_namespace_creation_is_completed() -> None:
    namespace.named(f"{SYSTEM}-web1").touch()
    assert Binder(SYSTEM, "h1").place(vif()) == namespace.named(f"{SYSTEM}-web1")


def test_by_name_by_path_and_by_pid_lead_to_the_same_place(instance: str) -> None:
    binder = Binder(SYSTEM, "h1")
    by_name = binder.place(vif(binding={"netns": instance}))
    by_path = binder.place(vif(binding={"netns": str(namespace.named(instance))}))
    with subprocess.Popen(["nsenter", f"--net=/run/netns/{instance}", "--", "cat"], stdin=subprocess.PIPE) as process:
        try:
            while namespace.identity(Path(f"/proc/{process.pid}/ns/net")) != namespace.identity(by_name):
                assert process.poll() is None
            by_pid = binder.place(vif(binding={"pid": str(process.pid)}))
            assert by_path == by_name
            assert namespace.identity(by_pid) == namespace.identity(by_name)
            veth.ensure(spec(by_pid))
            assert inner(by_name) is not None
        finally:
            process.kill()
    with pytest.raises(HostError, match="does not exist any more"):
        binder.place(vif(binding={"pid": str(process.pid)}))


def test_a_pid_that_belongs_to_another_process_now_is_refused() -> None:
    binder = Binder(SYSTEM, "h1")
    started = start_time(os.getpid())
    assert started is not None
    with pytest.raises(HostError, match="belongs to another process now"):
        binder.place(vif(binding={"pid": str(os.getpid()), "started": str(started - 1)}))


@pytest.mark.parametrize(
    "binding", [{"netns": "no-such"}, {"netns": "/no/such"}, {"netns": "/etc/passwd"}, {"netns": "../x"}, {"pid": "x"}]
)
def test_a_binding_that_leads_nowhere_says_so(binding: dict[str, str]) -> None:
    with pytest.raises(HostError, match=r"\. [A-Z]"):
        Binder(SYSTEM, "h1").place(vif(binding=binding))


def test_the_thread_comes_back_from_a_visit_that_fails(instance: str) -> None:
    here = namespace.identity(HERE)
    with pytest.raises(ZeroDivisionError), namespace.entered(namespace.named(instance)):
        assert namespace.identity(HERE) != here
        raise ZeroDivisionError
    assert namespace.identity(HERE) == here
    with pytest.raises(HostError), namespace.entered(Path("/etc/passwd")):
        raise AssertionError("entered what is no namespace")
    assert namespace.identity(HERE) == here
