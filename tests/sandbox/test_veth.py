"""Kind veth and its namespaces on a real kernel: every step repeatable, foreign things left alone."""

from __future__ import annotations

import os
import socket
import subprocess
from collections.abc import Iterator
from ipaddress import ip_address
from pathlib import Path

import pytest

from controller.host import links, namespace, offloads, sysctl
from controller.host.binding import Binder
from controller.host.errors import HostError
from controller.host.instance_end import InstanceEnd
from controller.host.instance_network import InstanceNetwork
from controller.host.kinds import veth
from controller.host.link_codec import Link, ask_addresses
from controller.host.links import Mark
from controller.host.process import start_time
from controller.host.route_codec import ask_routes
from controller.host.routes import PROTOCOL
from ovsdb.rows import VirtualInterface
from tests.support.ovs_sandbox import wait_until

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


def spec(path: Path, held_open: bool = False, before: tuple[Path, ...] = (), **changes: object) -> veth.VethSpec:
    fields: dict[str, object] = {
        "number": 7, "ifname": "eth0", "mac": MAC, "addresses": ("10.30.0.7/24", "fd00:30::7/64"),
        "mark": Mark(SYSTEM, "h1", "web1"), "network": InstanceNetwork(), "plain_frames": True,
    }  # fmt: skip
    end = InstanceEnd(**{**fields, **changes})  # type: ignore[arg-type]
    return veth.VethSpec(end, path, before, held_open)


def inner(path: Path, ifname: str = "eth0") -> Link | None:
    with links.netlink(path) as netlink:
        return links.find(netlink, ifname)


def await_carrier(path: Path) -> None:
    """The kernel tells it a moment after both ends are up."""
    wait_until(lambda: all(link is not None and link.running for link in (host_link(), inner(path))), "the carrier")


def host_link() -> Link | None:
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


def test_the_link_local_address_is_usable_at_once_whatever_the_kernel_is_late_with(instance: str) -> None:
    """Where a namespace wants duplicate detection, the kernel holds its own back for up to a second."""
    path = namespace.named(instance)
    with namespace.entered(path):
        sysctl.ensure("ipv6/conf/all/accept_dad", "1")
    for wanted in (("10.30.0.7/24", "fd00:30::7/64"), ("10.30.0.7/24",)):
        veth.ensure(spec(path, addresses=wanted))
        with links.netlink(path) as netlink, socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as probe:
            link = links.find(netlink, "eth0")
            assert link is not None
            probe.bind(("fe80::ff:fe00:7", 0, 0, link.index))
        veth.remove(7)


def test_doing_it_again_changes_nothing(instance: str) -> None:
    path = namespace.named(instance)
    veth.ensure(spec(path))
    await_carrier(path)
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


def test_an_end_in_a_place_that_is_not_known_is_made_anew(instance: str) -> None:
    other = f"{SYSTEM}.o"
    ip("netns", "add", other)
    veth.ensure(spec(namespace.named(other)))
    veth.ensure(spec(namespace.named(instance)))
    assert inner(namespace.named(other)) is None
    assert inner(namespace.named(instance)) is not None


def test_an_end_is_moved_and_renamed_and_the_hosts_end_stays(instance: str) -> None:
    here, there = namespace.named(f"{SYSTEM}.o"), namespace.named(instance)
    ip("netns", "add", f"{SYSTEM}.o")
    ip("-n", instance, "link", "add", "first0", "type", "veth", "peer", "name", "first1")  # other indexes there
    index = veth.ensure(spec(here))
    assert veth.ensure(spec(there, before=(here,), ifname="lan0", addresses=("10.30.0.9/24",))) == index
    link = inner(there, "lan0")
    assert inner(here) is None and link is not None and link.up and link.mac == MAC
    shown = ip("-n", instance, "addr", "show", "dev", "lan0")
    assert "10.30.0.9/24" in shown and "10.30.0.7" not in shown and "fe80::ff:fe00:7/64" in shown
    assert veth.ensure(spec(there)) == index  # back to the name eth0, where it is
    assert inner(there, "lan0") is None and inner(there) is not None


def test_an_end_cannot_be_moved_over_an_interface_of_somebody_else(instance: str) -> None:
    here, there = namespace.named(f"{SYSTEM}.o"), namespace.named(instance)
    ip("netns", "add", f"{SYSTEM}.o")
    ip("-n", instance, "link", "add", "eth0", "type", "veth", "peer", "name", "foreign0")
    veth.ensure(spec(here))
    await_carrier(here)
    before = host_link(), inner(here)
    with pytest.raises(HostError, match=r"has an interface eth0 already.*--ifname"):
        veth.ensure(spec(there, before=(here,)))
    assert (host_link(), inner(here)) == before


def test_an_end_whose_place_is_gone_is_made_anew(instance: str) -> None:
    here = namespace.named(f"{SYSTEM}.o")
    ip("netns", "add", f"{SYSTEM}.o")
    veth.ensure(spec(here))
    ip("netns", "delete", f"{SYSTEM}.o")
    veth.ensure(spec(namespace.named(instance), before=(here, Path("/proc/1/nothing"))))
    assert inner(namespace.named(instance)) is not None


def test_both_ends_have_the_segments_mtu(instance: str) -> None:
    path = namespace.named(instance)
    for mtu in (9000, 1400):
        veth.ensure(spec(path, network=InstanceNetwork(mtu)))
        link, outer = inner(path), host_link()
        assert link is not None and outer is not None and (link.mtu, outer.mtu) == (mtu, mtu)


GATEWAYS = InstanceNetwork(gateways=(ip_address("10.30.0.1"), ip_address("fd00:30::1")))


def defaults(instance: str) -> str:
    return ip("-n", instance, "route", "show", "default") + ip("-n", instance, "-6", "route", "show", "default")


def test_default_routes_lead_to_the_gateways_and_go_when_they_are_not_wanted(instance: str) -> None:
    path = namespace.named(instance)
    veth.ensure(spec(path, network=GATEWAYS))
    shown = defaults(instance)
    assert "default via 10.30.0.1 dev eth0 proto 119 metric 2055" in shown and "via fd00:30::1 dev eth0" in shown
    veth.ensure(spec(path, network=GATEWAYS))
    assert defaults(instance) == shown
    ip("-n", instance, "link", "set", "eth0", "down")  # takes the routes with it
    veth.ensure(spec(path, network=GATEWAYS))
    assert defaults(instance) == shown
    veth.ensure(spec(path, network=InstanceNetwork(gateways=(ip_address("10.30.0.254"),))))
    assert "10.30.0.254" in defaults(instance) and "10.30.0.1 " not in defaults(instance)
    veth.ensure(spec(path))
    assert defaults(instance) == ""


def test_of_what_an_instance_piles_up_only_ours_is_read(instance: str) -> None:
    path = namespace.named(instance)
    veth.ensure(spec(path, network=GATEWAYS))
    ip("-n", instance, "link", "add", "other0", "type", "veth", "peer", "name", "other1")
    ip("-n", instance, "link", "set", "other0", "up")
    for number in range(20):
        ip("-n", instance, "route", "add", f"198.51.100.{number}/32", "dev", "other0")
        ip("-n", instance, "route", "add", "default", "via", f"10.30.0.{number + 100}", "metric", str(number))
        ip("-n", instance, "address", "add", f"203.0.113.{number}/32", "dev", "other0")
        ip("-n", instance, "-6", "route", "add", f"2001:db8:{number}::/64", "dev", "eth0")
    with links.netlink(path) as netlink:
        link = links.find(netlink, "eth0")
        assert link is not None
        for family in (socket.AF_INET, socket.AF_INET6):
            assert len(netlink.lean.dump(ask_routes(family, link.index, PROTOCOL))) == 1
        assert len(netlink.lean.dump(ask_addresses(link.index))) == 3  # with the link-local one
    veth.ensure(spec(path, network=GATEWAYS))


def test_routes_of_somebody_else_stay_and_win(instance: str) -> None:
    path = namespace.named(instance)
    veth.ensure(spec(path))
    ip("-n", instance, "route", "add", "default", "via", "10.30.0.66")
    ip("-n", instance, "-6", "route", "add", "default", "via", "fd00:30::66")
    foreign = defaults(instance)
    veth.ensure(spec(path, network=GATEWAYS))
    assert "dev eth0 proto 119" in defaults(instance)
    assert "10.30.0.66" in ip("-n", instance, "route", "get", "192.0.2.1")
    assert "fd00:30::66" in ip("-n", instance, "route", "get", "2001:db8::1")
    veth.ensure(spec(path))
    assert defaults(instance) == foreign


def test_two_interfaces_of_one_namespace_each_have_their_routes(instance: str) -> None:
    path = namespace.named(instance)
    veth.ensure(spec(path, network=GATEWAYS))
    second = InstanceNetwork(gateways=(ip_address("10.31.0.1"),))
    veth.ensure(spec(path, number=8, ifname="eth1", addresses=("10.31.0.8/24",), network=second))
    assert "10.30.0.1" in ip("-n", instance, "route", "get", "192.0.2.1")  # the one made first
    veth.remove(7)
    assert "10.31.0.1" in ip("-n", instance, "route", "get", "192.0.2.1")


def ipv6_setting(path: Path, key: str) -> str | None:
    with namespace.entered(path):
        return sysctl.read(f"ipv6/conf/eth0/{key}")


def test_only_where_weir_chooses_no_addresses_an_instance_takes_those_of_routers(instance: str) -> None:
    path = namespace.named(instance)
    veth.ensure(spec(path, network=GATEWAYS))
    assert (ipv6_setting(path, "autoconf"), ipv6_setting(path, "accept_ra")) == ("0", "0")
    veth.ensure(spec(path, network=InstanceNetwork(hears_routers=True)))
    assert (ipv6_setting(path, "autoconf"), ipv6_setting(path, "accept_ra")) == ("0", "1")
    veth.ensure(spec(path, addresses=(), network=InstanceNetwork(hears_routers=True, takes_addresses=True)))
    assert (ipv6_setting(path, "autoconf"), ipv6_setting(path, "accept_ra")) == ("1", "1")


def test_without_wanted_addresses_only_ours_are_taken_away(instance: str) -> None:
    path = namespace.named(instance)
    veth.ensure(spec(path))
    ip("-n", instance, "addr", "add", "10.99.0.1/24", "dev", "eth0")  # a DHCP client
    veth.ensure(spec(path, addresses=()))
    shown = ip("-n", instance, "addr", "show", "dev", "eth0")
    assert "10.99.0.1/24" in shown and "10.30.0.7" not in shown and "fd00:30::7" not in shown


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
    assert Binder(SYSTEM, "h1").made() == ["web1"]
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


def test_an_interrupted_namespace_removal_is_completed() -> None:
    binder = Binder(SYSTEM, "h1")
    binder.place(vif())
    namespace._call("umount2", os.fsencode(namespace.named(f"{SYSTEM}-web1")), 2)  # and killed here
    namespace.named(f"{SYSTEM}-web2").touch()  # another host's, being made
    Binder(SYSTEM, "h1").sweep([], {"web2"}, (), 0.0)
    assert namespace.names(f"{SYSTEM}-") == [f"{SYSTEM}-web2"]
    namespace.remove(f"{SYSTEM}-web2")


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
    with pytest.raises(HostError, match=r"\. [A-Z].*\.$"):
        Binder(SYSTEM, "h1").place(vif(binding=binding))


def test_a_file_that_is_no_namespace_and_one_that_is_missing_are_told_apart() -> None:
    for path, said in (("/etc/passwd", "is no network namespace. Give a name"), ("/no/such", "does not exist. Create")):
        with pytest.raises(HostError, match=said):
            Binder(SYSTEM, "h1").place(vif(binding={"netns": path}))


def test_the_hosts_own_namespace_is_no_instances(instance: str) -> None:
    """That where the system was started, and the agent's unless it was made for the system."""
    home = namespace.named(f"{SYSTEM}.home")
    ip("netns", "add", home.name)
    home_inode = home.stat().st_ino
    with pytest.raises(HostError, match=r"is the host's own network namespace: .*\. Bind the VIF to one that is"):
        Binder(SYSTEM, "h1", home_inode=home_inode).place(vif(binding={"netns": str(home)}))
    with pytest.raises(HostError, match="is the host's own network namespace"):
        Binder("another", "h1").place(vif(binding={"netns": SYSTEM}))
    assert Binder("another", "h1", home_inode=home_inode).place(vif(binding={"netns": instance})) == namespace.named(
        instance
    )
    assert Binder(SYSTEM, "h1").place(vif(binding={"netns": SYSTEM})) == namespace.named(SYSTEM)


def test_the_machines_namespace_is_known_by_its_first_process(instance: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(namespace, "_MACHINES", namespace.named(instance))
    with pytest.raises(HostError, match="is the host's own network namespace"):
        Binder(SYSTEM, "h1").place(vif(binding={"netns": instance}))


def test_what_is_in_the_way_of_a_removal_is_said() -> None:
    directory = namespace.named(f"{SYSTEM}-web1")
    directory.mkdir()
    try:
        with pytest.raises(HostError, match=r"cannot be removed .*Try: ip netns delete"):
            namespace.remove(directory.name)
    finally:
        directory.rmdir()


def test_the_thread_comes_back_from_a_visit_that_fails(instance: str) -> None:
    here = namespace.identity(HERE)
    with pytest.raises(ZeroDivisionError), namespace.entered(namespace.named(instance)):
        assert namespace.identity(HERE) != here
        raise ZeroDivisionError
    assert namespace.identity(HERE) == here
    with pytest.raises(HostError), namespace.entered(Path("/etc/passwd")):
        raise AssertionError("entered what is no namespace")
    assert namespace.identity(HERE) == here
