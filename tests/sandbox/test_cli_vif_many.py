"""Many VIFs on a running system, what a restart keeps and a deletion frees, VIFs for VMs, and the same from Python."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from ipaddress import ip_interface
from pathlib import Path
from xml.etree import ElementTree

import pytest

import weir as public
from lab.ping import answers
from lab.udp import UdpReceiver, UdpSender
from tests.support.ovs_sandbox import wait_until
from tests.support.system import Home, SystemUnderTest

POLICY = """\
weir: 1
segments:
  lab: {type: internal, subnets: [10.30.0.0/24, 'fd00:30::/64']}
policies:
  web: {egress: {limit: 40 mbit}, unmatched: allow}
  open: {unmatched: allow}
"""


@pytest.fixture(scope="module")
def system(policy: Path) -> Iterator[SystemUnderTest]:
    with Home("many") as home, SystemUnderTest(home) as under_test:
        under_test.weir("up", "--policy", str(policy))
        yield under_test


def names(system: SystemUnderTest) -> set[str]:
    return {one["name"] for one in system.json("vif", "list")}


def own_addresses(system: SystemUnderTest, name: str) -> set[str]:
    said = system.weir("vif", "exec", name, "--", "ip", "-json", "address", "show", "eth0").stdout
    found = {f"{one['local']}/{one['prefixlen']}" for one in json.loads(said)[0]["addr_info"]}
    return {address for address in found if not address.startswith("fe80:")}


def test_twenty_of_which_one_fails(system: SystemUnderTest) -> None:
    homes = [f"wtm{system.home.name}-{number}" for number in range(1, 21) if number != 7]
    for name in homes:
        subprocess.run(["ip", "netns", "add", name], check=True)
    try:
        where = f"wtm{system.home.name}-{{}}"
        create = ("vif", "create", "n{}", "--count", "20", "--policy", "open", "--netns", where, "--json")
        done = system.weir(*create, check=False)
        assert done.returncode == 1
        made = [f"n{number}" for number in range(1, 21) if number != 7]
        assert [one["name"] for one in json.loads(done.stdout)] == made
        lines = done.stderr.splitlines()
        assert "19 of 20 VIFs created" in lines
        assert [line for line in lines if line.startswith("VIF 'n7': ")] and "does not exist" in done.stderr
        assert lines[-1] == "19 of 20 VIFs were created; nothing is left of the other 1."
        listed = system.json("vif", "list")
        assert {one["name"] for one in listed} == set(made)
        assert {one["state"] for one in listed} == {"ready"}
        assert len({one["mac"] for one in listed}) == len({tuple(one["addresses"]) for one in listed}) == 19
        for one in listed:
            assert own_addresses(system, one["name"]) == set(one["addresses"])
        last = next(one for one in listed if one["name"] == "n20")
        assert answers(homes[0], str(ip_interface(last["addresses"][0]).ip))
    finally:
        system.weir("vif", "delete", *sorted(names(system)))
        for name in homes:
            subprocess.run(["ip", "netns", "delete", name], check=False)
    assert names(system) == set()
    assert system.namespaces() == [system.directory.namespace]


def test_what_is_wrong_with_all_is_said_once(system: SystemUnderTest) -> None:
    done = system.weir("vif", "create", "x", "--count", "40", "--policy", "opn", check=False)
    assert (done.returncode, names(system)) == (2, set())
    (line,) = done.stderr.splitlines()
    assert line.endswith("and 32 more: there is no policy 'opn'. Did you mean 'open'?")


def test_addresses_and_macs_outlive_a_restart_and_are_free_after_a_deletion(
    system: SystemUnderTest, policy: Path
) -> None:
    system.weir("vif", "create", "k{}", "--count", "3", "--policy", "web", "--egress", "limit=9 mbit")
    system.weir("vif", "set", "k2", "--ip", "10.30.0.200", "--label", "app=x")
    before = {one["name"]: one for one in system.json("vif", "list")}
    system.weir("down")
    system.weir("up")
    kept = ("addresses", "mac", "number", "labels", "policy")
    for name, old in before.items():
        wait_until(lambda name=name: system.json("vif", "show", name)["state"] == "ready", f"{name} is back")
        now = system.json("vif", "show", name)
        assert {key: now[key] for key in kept} == {key: old[key] for key in kept}
        assert now["egress"]["own"] == {"limit_kbps": 9000}
        assert own_addresses(system, name) == set(old["addresses"])
    system.weir("vif", "delete", "k", "--count", "3")
    made = system.json("vif", "create", "again", "--policy", "open", "--ip", "10.30.0.200")
    assert made["number"] > max(one["number"] for one in before.values())
    assert system.json("vif", "create", "next", "--policy", "open")["addresses"] == before["k1"]["addresses"]
    system.weir("vif", "delete", "again", "next")


def test_a_tap_says_how_a_vm_gets_it(system: SystemUnderTest) -> None:
    made = system.json("vif", "create", "vm", "--policy", "open", "--kind", "tap", "--owner", "nobody")
    try:
        device = made["details"]["device"]
        assert f"ifname={device}" in made["attach"]["qemu"][1] and "vnet_hdr=off" in made["attach"]["qemu"][1]
        element = ElementTree.fromstring(made["attach"]["libvirt"])
        target = element.find("target")
        assert target is not None and target.get("dev") == device
        assert system.weir("vif", "show", "vm", "--libvirt").stdout.strip() == made["attach"]["libvirt"]
        assert made["mac"] in system.weir("vif", "show", "vm", "--qemu").stdout
        links = json.loads(system.weir("vif", "exec", "vm", "--", "ip", "-json", "link").stdout)
        assert device in {link["ifname"] for link in links}  # where QEMU can open it
        done = system.weir("vif", "show", "vm", "--qemu", "--libvirt", check=False)
        assert done.returncode == 2
    finally:
        system.weir("vif", "delete", "vm")


def test_what_is_only_for_other_kinds_is_refused(system: SystemUnderTest) -> None:
    for arguments, words in (
        (["--kind", "veth", "--queues", "2"], "--queues means nothing to kind veth. It is for tap or vhost-user"),
        (["--kind", "tap", "--netns", "x"], "a tap is opened by whoever runs the VM"),
        (["--kind", "vf", "--vf", "1"], "Say which with --device"),
        (["--kind", "vhost-user", "--descriptors", "500"], "Use 256, 512 or 1024"),
        (["--kind", "port", "--container", "c"], "made by somebody else"),
        (["--kind", "vhost-user"], "runs without DPDK, which vhost-user needs. Start the system with weir up"),
        (["--kind", "vf"], "has no NIC that can have virtual functions in the network namespace of its agent"),
    ):
        done = system.weir("vif", "create", "x", "--policy", "open", *arguments, check=False)
        assert (done.returncode, words in done.stderr, names(system)) == (2, True, set()), done.stderr
    system.weir("vif", "create", "x", "--policy", "open")
    done = system.weir("vif", "show", "x", "--qemu", check=False)
    assert (done.returncode, "kind veth has no QEMU arguments" in done.stderr) == (1, True)
    system.weir("vif", "delete", "x")


def test_the_same_from_python(system: SystemUnderTest) -> None:
    with public.Weir(system.directory.path) as weir:
        peer = weir.create_virtual_interface("peer", "open", segment="lab")
        made = weir.create_virtual_interface(
            "shop-1", "web", name="shop", labels={"app": "shop"}, demand=public.Demand(egress="limit=20 mbit")
        )
        assert (made.instance, made.state, made.egress) == ("shop-1", "ready", {"limit_kbps": 20_000})
        assert [one.name for one in weir.virtual_interfaces()] == ["peer", "shop"]
        here, there = (f"{system.directory.namespace}-{one.name}" for one in (made, peer))
        to = str(ip_interface(peer.addresses[0]).ip)
        assert answers(here, to)

        now = weir.adjust_resources(made, public.Demand(egress=public.Own(limit_kbps=5_000)))
        assert now.egress == {"limit_kbps": 5_000}
        with UdpReceiver(there, [7001]), UdpSender(here, to, 7001) as sender:
            sender.offer(20_000)
            wait_until(lambda: (weir.monitor_traffic(made).egress.passed_kbps or 0) > 3_500, "its traffic is seen")
            seen = weir.monitor_traffic(made)
            assert seen.egress.limit_kbps == 5_000 and (seen.egress.passed_kbps or 0) <= 6_000
            watched = weir.watch_traffic(made, 0.1)
            assert [next(watched).name for _ in range(2)] == ["shop", "shop"]

        vifs, is_changed = weir.change([made, "peer"], public.VifChange(labels={"tier": "front"}))
        assert is_changed and [one.labels["tier"] for one in vifs] == ["front", "front"]
        with pytest.raises(public.Rejected, match="is more than the 40 mbit of policy 'web'"):
            weir.adjust_resources("shop", public.Demand(egress="limit=50 mbit"))
        with pytest.raises(public.WrongRequest, match="Did you mean 'shop'"):
            weir.monitor_traffic("shup")
        version = weir.apply_policy({"p.yaml": POLICY.replace("40 mbit", "30 mbit")}, "less")
        assert weir.apply_policy({"p.yaml": POLICY.replace("40 mbit", "30 mbit")}) == version
        with pytest.raises(public.Rejected, match="VIF shop: its own egress limit of 5 mbit is more than the 4 mbit"):
            weir.apply_policy({"p.yaml": POLICY.replace("40 mbit", "4 mbit")})
        assert weir.attachment("shop") is None and weir.describe("shop")["policy"] == "web"
        weir.destroy_virtual_interface(made)
        weir.destroy_virtual_interface("peer")
        assert weir.virtual_interfaces() == []
