"""Segments share the link between the switches and nothing else."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from mininet_tests.network import Host, WeirNetwork
from mininet_tests.traffic import Build, Wire, came, flush, mark, question, udp, wire_in, wires
from mininet_tests.two_switches import BLUE_VLAN, LINK, RED_VLAN, policy
from tests.support import frames

NEAR, FAR = LINK


@pytest.fixture(scope="module", autouse=True)
def hosts(network: WeirNetwork) -> dict[str, Host]:
    network.apply(policy())
    return network.hosts


@contextmanager
def on_the_link(network: WeirNetwork, device: str) -> Iterator[Wire]:
    """That end of the link: receives what comes to it, sends to the other."""
    with wire_in(network.ovs.namespace, device) as wire:
        yield wire


def tagged(*tags: int) -> Build:
    """Puts tags behind the addresses, the outer one first."""
    head = b"".join(b"\x81\x00" + tag.to_bytes(2, "big") for tag in tags)
    return lambda frame: frame[:12] + head + frame[12:]


def everything_that_might_cross(sender: Host, targets: list[Host]) -> list[bytes]:
    """Unicast to each target and broadcast, IPv4, IPv6 and ARP; untagged, and tagged in every way that might help."""
    plain = [udp(sender, target, 9, v6)(mark()) for target in targets for v6 in (False, True)]
    plain += [frames.ether(sender.mac, frames.BROADCAST, 0x0800, plain[0][14:] + mark())]
    plain += [
        frames.ether(sender.mac, target, 0x0806, frames.arp(1, sender.mac, sender.v4, other.v4))
        for other in targets
        for target in (frames.BROADCAST, other.mac)
    ]
    red, blue = RED_VLAN, BLUE_VLAN
    return plain + [
        tagged(*tags)(frame) for frame in plain for tags in ((0,), (red,), (blue,), (red, blue), (blue, blue))
    ]


@pytest.mark.parametrize(
    ("sender", "peers", "strangers"), [("h1", ("h3", "h5"), ("h2", "h4")), ("h2", ("h4",), ("h1", "h3"))]
)
def test_nothing_crosses_between_segments(
    hosts: dict[str, Host], sender: str, peers: tuple[str, ...], strangers: tuple[str, str]
) -> None:
    """peers: of the sender's segment, whom it reaches, but not with a tag. The first stranger is on its switch."""
    source, mac = hosts[sender], frames.mac_bytes(hosts[sender].mac)
    near, far = (hosts[name] for name in strangers)
    with wires(source, near, far, *(hosts[name] for name in peers)) as made:
        for frame in everything_that_might_cross(source, [near, far]):
            made[sender].send(frame)
        for name in peers:
            flush(source, made[sender], made[name])
            assert {arrival.vlan for arrival in made[name].sent_by(mac)} == {None}
        flush(near, made[near.name], made[far.name])
        for stranger in (near, far):
            assert made[stranger.name].sent_by(mac) == []


@pytest.mark.parametrize("pair", [("h1", "h3"), ("h2", "h4")], ids="-".join)
def test_a_segment_crosses_in_its_vlan(network: WeirNetwork, pair: tuple[str, str]) -> None:
    sender, receiver = (network.hosts[name] for name in pair)
    probe = mark()
    with on_the_link(network, FAR) as link, wires(sender, receiver) as made:
        made[sender.name].send(udp(sender, receiver, 9)(probe))
        flush(sender, made[sender.name], made[receiver.name])
        assert made[receiver.name].vlans(probe) == {None}
        assert link.vlans(probe) == {sender.place.segment.vlan}


def test_from_the_link_a_frame_enters_the_segment_of_its_vlan_alone(network: WeirNetwork) -> None:
    """What somebody outside sends to h3's MAC and to all."""
    h3, h4 = network.hosts["h3"], network.hosts["h4"]
    outside, red, blue = "02:00:00:00:ff:01", RED_VLAN, BLUE_VLAN
    tags = {"untagged": (), "red": (red,), "blue": (blue,), "another": (30,), "VLAN 0": (0,), "red in red": (red, red)}
    with on_the_link(network, NEAR) as link, wires(h3, h4) as made:
        marks = {(name, to): mark() for name in tags for to in (h3.mac, frames.BROADCAST)}
        for (name, to), payload in marks.items():
            packet = frames.ipv4("10.1.0.99", h3.v4, frames.UDP, frames.udp(7, 7, payload))
            link.send(tagged(*tags[name])(frames.ether(outside, to, 0x0800, packet)))
        for tag, witness in ((red, "h3"), (blue, "h4")):
            asked = question(outside, "10.1.0.99")
            link.send(tagged(tag)(asked))
            made[witness].await_mark(asked)
        arrived = {name: {key for key, payload in marks.items() if made[name].has(payload)} for name in ("h3", "h4")}
        assert arrived == {"h3": {("red", h3.mac), ("red", frames.BROADCAST)}, "h4": {("blue", frames.BROADCAST)}}


def test_an_internal_segment_stays_on_its_switch(network: WeirNetwork) -> None:
    h7, h8, h9, h1 = (network.hosts[name] for name in ("h7", "h8", "h9", "h1"))
    with on_the_link(network, FAR) as link, wires(h7, h8, h9, h1) as made:
        attempts = everything_that_might_cross(h7, [h9, h1])
        for frame in attempts:
            made["h7"].send(frame)
        flush(h7, made["h7"], made["h8"])
        with wires(network.hosts["h3"]) as beyond:
            flush(h1, made["h1"], beyond["h3"])
        for wire in (made["h9"], made["h1"], link):
            assert wire.sent_by(frames.mac_bytes(h7.mac)) == []
    assert came(h7, h8, udp(h7, h8, 9))
