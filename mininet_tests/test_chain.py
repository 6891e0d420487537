"""Three switches in a chain: the one in the middle has two devices for its uplink, and passes on what is not for it.

      h1 (red) h4 (blue)            (red) h2            (red) h3 h5 (blue)
      h6 (front)  h9 (red)   s1 ──── s2 ──── s3         (rear) h7
                                (front) h8

h9 moves to s3 and back.
"""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from controller.api.client import get
from controller.host.latency.frames import from_peer, host_macs
from lab.children import wait_until
from lab.ping import answers, pinging
from mininet_tests.network import Host, WeirNetwork, weir_network
from mininet_tests.topology import UPLINK, Place, Plan, Segment
from mininet_tests.traffic import connection, flush, mark, udp, wire_in, wires
from ovsdb.weir_db import WeirDb
from tests.support import frames

RED, BLUE = Segment("red", 1, "bridged", 10), Segment("blue", 2, "bridged", 20)
FRONT, REAR = Segment("front", 4, "routed"), Segment("rear", 5, "routed")
EDGE = Segment("edge", 6, "routed", 30, f"uplink: {UPLINK}, address: [10.9.0.2/24, 'fd00:9::2/64']")
PLACES = (
    Place(1, "s1", RED),
    Place(2, "s2", RED),
    Place(3, "s3", RED),
    Place(4, "s1", BLUE),
    Place(5, "s3", BLUE),
    Place(6, "s1", FRONT),
    Place(7, "s3", REAR),
    Place(8, "s2", FRONT),
    Place(9, "s1", RED),
)
FIRST, SECOND = ("s1-core", "s2-eth1"), ("s2-eth2", "s3-core")
PLAN = Plan(
    {"s1": FIRST[:1], "s2": (FIRST[1], SECOND[0]), "s3": SECOND[1:]},
    (FIRST, SECOND),
    (RED, BLUE, FRONT, REAR, EDGE),
    PLACES,
)
FAMILIES = ("v4", "v6")


@pytest.fixture(scope="module")
def network() -> Iterator[WeirNetwork]:
    with weir_network(PLAN) as running:
        yield running


@pytest.fixture
def hosts(network: WeirNetwork) -> dict[str, Host]:
    return network.hosts


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("pair", [("h1", "h3"), ("h1", "h2"), ("h2", "h3"), ("h4", "h5")], ids="-".join)
def test_vlans_cross_the_chain(hosts: dict[str, Host], pair: tuple[str, str], family: str) -> None:
    """Also that of which the switch in the middle has no interface."""
    one, other = (hosts[name] for name in pair)
    assert answers(one.namespace, getattr(other, family))
    assert answers(other.namespace, getattr(one, family))


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize(("one", "other"), [("h6", "h7"), ("h6", "h8"), ("h8", "h7")])
def test_routed_segments_cross_the_chain(hosts: dict[str, Host], one: str, other: str, family: str) -> None:
    """From host to host: a router that is between two others only passes on what it does not route."""
    assert "ttl=62" in hosts[one].ping(getattr(hosts[other], family))
    assert "ttl=62" in hosts[other].ping(getattr(hosts[one], family))


def test_nothing_is_lost_or_sent_twice(hosts: dict[str, Host]) -> None:
    with pinging(hosts["h1"].namespace, hosts["h3"].v4, duration_s=1.0) as echo:
        result = echo.result()
    assert (result.sent, result.lost) == (100, 0)
    for client, server in (("h1", "h3"), ("h6", "h7")):
        with connection(hosts[client], hosts[server], 8080) as made:
            made.transfer(1_000_000)


@pytest.mark.parametrize("other", ["s2", "s3"])
def test_agents_ask_each_other_and_answer_across_the_chain(network: WeirNetwork, other: str) -> None:
    """In the least VLAN of the uplink; each answer tells how long the one before it was kept."""
    with WeirDb(f"unix:{network.state.weir_db_socket}") as database:
        database.connect()
        snapshot = database.snapshot()
    mac = host_macs(snapshot.system_id, snapshot.chassis)[other].to_bytes(6, "big")
    with wire_in(network.ovs.namespace, FIRST[0]) as first:

        def answers_to_s1() -> bool:
            heard = [(one.vlan, from_peer(one.frame)) for one in first.sent_by(mac)]
            notes = [told[1] for vlan, told in heard if told is not None and vlan == RED.vlan]
            return any(note.is_answer and note.before and note.kept_ns > 0 for note in notes)

        wait_until(answers_to_s1, f"{other} answers s1")


def test_interfaces_of_a_chain_have_latencies(network: WeirNetwork, hosts: dict[str, Host]) -> None:
    def unknown() -> list[str]:
        shown = get(network.state.api_socket, "/v1/vifs")["vifs"]
        paths = {name: shown[name]["path"] for name in hosts}
        return [name for name, path in paths.items() if path is None or path["latency_ms"]["p50"] is None]

    wait_until(lambda: not unknown(), "all have figures")


def test_a_broadcast_reaches_all_once_and_does_not_come_back(network: WeirNetwork, hosts: dict[str, Host]) -> None:
    h1, h2, h3, h4, h5 = (hosts[name] for name in ("h1", "h2", "h3", "h4", "h5"))
    with wires(h1, h2, h3, h4, h5) as made, wire_in(network.ovs.namespace, FIRST[0]) as back:
        for sender in (h2, h1):
            payload = mark()
            packet = frames.ipv4(sender.v4, "10.1.0.255", frames.UDP, frames.udp(7, 7, payload))
            made[sender.name].send(frames.ether(sender.mac, frames.BROADCAST, 0x0800, packet))
            for witness in {"h1", "h2", "h3"} - {sender.name}:
                flush(sender, made[sender.name], made[witness])
            arrived = {name: sum(payload in one.frame for one in wire.arrivals()) for name, wire in made.items()}
            assert arrived == {name: int(name in {"h1", "h2", "h3"} - {sender.name}) for name in made}
        assert back.sent_by(frames.mac_bytes(h1.mac)) == []


def test_who_was_heard_gets_frames_by_one_device(network: WeirNetwork, hosts: dict[str, Host]) -> None:
    h1, h2, h3 = (hosts[name] for name in ("h1", "h2", "h3"))
    for host in (h1, h3):
        assert answers(h2.namespace, host.v4)
    to_h1, to_h3 = mark(), mark()
    with (
        wire_in(network.ovs.namespace, FIRST[0]) as first,
        wire_in(network.ovs.namespace, SECOND[1]) as second,
        wires(h1, h2, h3) as made,
    ):
        made["h2"].send(udp(h2, h1, 9)(to_h1))
        made["h2"].send(udp(h2, h3, 9)(to_h3))
        for witness in ("h1", "h3"):
            flush(h2, made["h2"], made[witness])
        assert (first.vlans(to_h1), second.vlans(to_h1)) == ({RED.vlan}, set())
        assert (first.vlans(to_h3), second.vlans(to_h3)) == (set(), {RED.vlan})


def test_who_moves_to_the_other_end_is_found_again(network: WeirNetwork, hosts: dict[str, Host]) -> None:
    h1, h2, h3, h9 = (hosts[name] for name in ("h1", "h2", "h3", "h9"))
    for old, new in (("s1", "s3"), ("s3", "s1")):
        for host in (h1, h2, h3):
            assert answers(host.namespace, h9.v4)
        move(network, h9, old, new)
        speak(h9)
        for host in (h1, h2, h3):
            assert answers(host.namespace, h9.v4)
            assert answers(host.namespace, h9.v6)
        with connection(h1, h9, 80) as made:
            made.exchange()


def move(network: WeirNetwork, host: Host, old: str, new: str) -> None:
    """Its link leads to another switch from now on, where it is a VIF in force when this returns."""
    port = host.place.port
    marked = ["--", "set", "interface", port, f"external_ids:iface-id={host.name}"]
    network.ovs.vsctl("del-port", old, port, "--", "add-port", new, port, *marked)

    def has_moved() -> bool:
        shown = json.loads(network.weir("vif", "show", host.name, "--json"))
        return (shown["state"], shown["bridge"]) == ("ready", new) and f'"{port}"' in network.flows(new)

    wait_until(has_moved, f"{host.name} is in force at {new}")


def speak(host: Host) -> None:
    """As whoever moves a machine tells all (a gratuitous ARP)."""
    with wires(host) as made:
        own = frames.arp(1, host.mac, host.v4, host.v4)
        made[host.name].send(frames.ether(host.mac, frames.BROADCAST, 0x0806, own))
