"""The router on two hosts: real bridges whose uplinks are one network, with the outside behind the first of them.

The first bridge has two ports in that network, so it is a switch in its middle too.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import partial

import pytest

from controller.compiler.bridge import Bridge, RemoteVif
from controller.dataplane.text import mac
from policies.parser import parse
from tests.support import frames
from tests.support.bridges import ROUTER_MAC, UPLINK_OFPORT, Vif, bridge_of, identities_of
from tests.support.ovs_sandbox import wait_until
from tests.support.switched_lan import BRIDGE, Instance, SwitchedLan, switched_lan

POLICY = """weir: 1
segments:
  front: {type: routed, subnets: [10.20.0.0/24, 'fd20::/64']}
  back: {type: routed, subnets: [10.21.0.0/24, 'fd21::/64']}
  edge: {type: routed, subnets: [10.22.0.0/24], uplink: wan, address: [192.0.2.2/24, '2001:db8::2/64'],
         via: [192.0.2.1, '2001:db8::1']}
policies:
  red: {unmatched: allow}
  blue: {rules: [allow: {direction: ingress, from: [{segment: front}, 192.0.2.0/24, '2001:db8::/64']}]}
"""
SECOND_MAC = ROUTER_MAC ^ 0x0F0F
LINK_OFPORT = 101
FIRST = {
    "a": Vif(1, "red", ("10.20.0.11/24", "fd20::11/64"), "front"),
    "b": Vif(2, "blue", ("10.21.0.11/24", "fd21::11/64"), "back"),
}
SECOND = {
    "c": Vif(3, "red", ("10.20.0.12/24", "fd20::12/64"), "front"),
    "d": Vif(4, "blue", ("10.21.0.12/24", "fd21::12/64"), "back"),
}
ALL = (*FIRST.values(), *SECOND.values())


@dataclass(frozen=True)
class Hosts:
    first: SwitchedLan
    second: SwitchedLan

    def instance(self, name: str) -> Instance:
        return (self.first if name in self.first.instances and name in {*FIRST, "outside"} else self.second).instances[
            name
        ]


@pytest.fixture(scope="module")
def hosts() -> Iterator[Hosts]:
    with ExitStack() as stack:
        first, second = (stack.enter_context(switched_lan(vifs)) for vifs in (FIRST, SECOND))
        first.ovs.run(
            "ip", "link", "add", "vlink", "type", "veth", "peer", "name", "vlink", "netns", second.ovs.namespace
        )
        for lan in (first, second):
            lan.ovs.run("ip", "link", "set", "vlink", "up")
            lan.ovs.vsctl(
                "add-port", BRIDGE, "vlink", "--", "set", "interface", "vlink", f"ofport_request={LINK_OFPORT}"
            )
        first.hold(on_host(FIRST, SECOND, SECOND_MAC, ROUTER_MAC, (UPLINK_OFPORT, LINK_OFPORT), answers=True))
        second.hold(on_host(SECOND, FIRST, ROUTER_MAC, SECOND_MAC, (LINK_OFPORT,), answers=False))
        both = Hosts(first, second)
        for name, vif in {**FIRST, **SECOND}.items():
            for gateway in ("10.20.0.1", "fd20::1") if vif.segment == "front" else ("10.21.0.1", "fd21::1"):
                both.instance(name).run("ip", "route", "add", "default", "via", gateway)
        yield both


def on_host(
    own: dict[str, Vif], others: dict[str, Vif], their_mac: int, own_mac: int, ports: tuple[int, ...], *, answers: bool
) -> Bridge:
    made = bridge_of(parse({"policy.yaml": POLICY}), own.values(), identities_of(ALL))
    elsewhere = bridge_of(parse({"policy.yaml": POLICY}), others.values(), identities_of(ALL))
    edge = made.segments["edge"]
    assert edge.way_out is not None
    way_out = replace(edge.way_out, mac=own_mac, answers=answers)
    remote = (RemoteVif(vif.number, vif.addresses, vif.segment, "edge", their_mac) for vif in elsewhere.vifs)
    return replace(
        made,
        segments={**made.segments, "edge": replace(edge, uplink_ofports=ports, way_out=way_out)},
        remote=tuple(remote),
    )


def ping(instance: Instance, *argv: str) -> str:
    done = instance.run("ping", "-c1", "-W2", "-n", *argv, check=False)
    return done.stdout if done.returncode == 0 else ""


@pytest.mark.parametrize("size", ["56", "4000"])
@pytest.mark.parametrize(
    ("sender", "addresses"), [("a", ("10.21.0.12", "fd21::12")), ("c", ("10.21.0.11", "fd21::11"))]
)
def test_vifs_of_two_segments_on_two_hosts_reach_each_other(
    hosts: Hosts, sender: str, addresses: tuple[str, ...], size: str
) -> None:
    for address in addresses:
        assert "ttl=62" in ping(hosts.instance(sender), "-s", size, address)


def test_vifs_of_one_segment_on_two_hosts_reach_each_other_through_the_router(hosts: Hosts) -> None:
    for name, addresses in (("a", ("10.20.0.12", "fd20::12")), ("c", ("10.20.0.11", "fd20::11"))):
        instance = hosts.instance(name)
        for address in addresses:
            assert "ttl=62" in ping(instance, address)
            assert "02:aa:bb:cc:00:00" in instance.run("ip", "neigh", "show", address).stdout


def test_the_policy_of_the_receiver_is_judged_on_its_host(hosts: Hosts) -> None:
    """b and d take what comes from segment front, and not from each other; red takes what blue may not send."""
    for name, addresses in (("b", ("10.21.0.12", "fd21::12", "10.20.0.12")), ("d", ("10.21.0.11", "fd21::11"))):
        for address in addresses:
            assert not ping(hosts.instance(name), address)


def test_broadcasts_stay_on_their_host(hosts: Hosts) -> None:
    with hosts.instance("c").raw() as other, hosts.instance("outside").raw() as outside:
        hosts.instance("a").run("ping", "-b", "-c2", "-i0.2", "-W1", "-n", "10.20.0.255", check=False)
        assert ping(hosts.instance("a"), "10.20.0.12")
        own = bytes.fromhex("020000000001")
        for raw in (other, outside):
            raw.setblocking(False)
            assert not any(frame[6:12] == own for frame in waiting(raw))


def waiting(raw: object) -> Iterator[bytes]:
    while True:
        try:
            yield raw.recv(2000)  # type: ignore[attr-defined]
        except BlockingIOError:
            return


def test_the_outside_reaches_every_host_through_the_one_that_answers(hosts: Hosts) -> None:
    """The second host's router learns its neighbour from what that says to all, behind the first host's switch."""
    outside = hosts.instance("outside")
    for address in ("192.0.2.1/24", "2001:db8::1/64"):
        outside.run("ip", "address", "replace", address, "dev", "eth0", *(["nodad"] if ":" in address else []))
    outside.run("ip", "route", "replace", "10.20.0.0/14", "via", "192.0.2.2")
    outside.run("ip", "route", "replace", "fd20::/12", "via", "2001:db8::2")
    own = outside.mac
    with outside.raw() as raw:
        raw.send(frames.ether(own, frames.BROADCAST, 0x0806, frames.arp(1, own, "192.0.2.1", "192.0.2.1")))
        advert = frames.advert("2001:db8::1", "ff02::1", "2001:db8::1", own)
        raw.send(frames.ether(own, "33:33:00:00:00:01", 0x86DD, advert))
    for name, ttl in (("a", 63), ("c", 62)):  # what comes back to c goes through both hosts' routers
        for to in ("192.0.2.1", "2001:db8::1"):
            instance = hosts.instance(name)
            wait_until(partial(ping, instance, to), f"{name} reaches {to}")
            assert f"ttl={ttl}" in ping(instance, to)
    for address in ("10.20.0.11", "10.20.0.12", "fd20::11", "fd20::12", "10.21.0.12", "fd21::12"):
        assert "ttl=63" in ping(outside, address)
    for address in ("192.0.2.2", "2001:db8::2"):
        assert mac(ROUTER_MAC) in outside.run("ip", "neigh", "show", address).stdout
