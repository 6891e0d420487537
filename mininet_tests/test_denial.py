"""What a policy denies does not arrive: by service and address, by the sender's egress or the receiver's ingress."""

from __future__ import annotations

import pytest

from mininet_tests.network import Host, WeirNetwork
from mininet_tests.traffic import Build, all_that_came, came, connection, tcp, udp
from mininet_tests.two_switches import policy
from tests.support import frames

SERVER = """
  unmatched: deny, rules: [
    allow: {direction: ingress, from: [10.1.0.11, 'fd00:1::11'], service: [tcp/80, udp/53]},
    allow: {direction: ingress, service: tcp/443}]
""".replace("\n", " ")
SENDER = (
    "unmatched: allow, rules: [deny: {direction: egress, service: tcp/25}, deny: {direction: egress, to: 10.1.0.15}]"
)


@pytest.fixture(scope="module", autouse=True)
def hosts(network: WeirNetwork) -> dict[str, Host]:
    """h3 is a server; h1 may use all of it, h5 only https; h1 itself may not send mail, nor anything to h5."""
    network.apply(policy(h3=SERVER, h1=SENDER))
    return network.hosts


@pytest.mark.parametrize("v6", [False, True], ids=["v4", "v6"])
@pytest.mark.parametrize("name", ["h1", "h5", "h6"])
def test_a_server_gets_what_it_offers_to_whom(hosts: dict[str, Host], name: str, v6: bool) -> None:
    sender, server = hosts[name], hosts["h3"]
    probes = {f"tcp/{port}": tcp(sender, server, port, v6) for port in (80, 443, 22)}
    probes |= {f"udp/{port}": udp(sender, server, port, v6) for port in (53, 54)}
    allowed = {"h1": {"tcp/80", "tcp/443", "udp/53"}, "h5": {"tcp/443"}, "h6": {"tcp/443"}}
    assert all_that_came(sender, server, probes) == allowed[name]


def test_a_sender_is_held_to_its_own_policy(hosts: dict[str, Host]) -> None:
    h1, h5, h6 = hosts["h1"], hosts["h5"], hosts["h6"]
    assert all_that_came(h1, h6, {"mail": tcp(h1, h6, 25), "web": tcp(h1, h6, 80)}) == {"web"}
    assert all_that_came(h1, h5, {"to h5": udp(h1, h5, 9), "over IPv6": udp(h1, h5, 9, v6=True)}) == {"over IPv6"}
    assert came(h5, h6, tcp(h5, h6, 25))


@pytest.mark.parametrize("v6", [False, True], ids=["v4", "v6"])
def test_replies_pass_and_new_connections_back_do_not(hosts: dict[str, Host], v6: bool) -> None:
    h1, h3 = hosts["h1"], hosts["h3"]
    with connection(h1, h3, 80, v6) as made:
        made.exchange()
        assert not came(h3, h1, tcp(h3, h1, 80, v6))
        made.exchange()


def test_nobody_speaks_for_another(hosts: dict[str, Host]) -> None:
    """Each of these is what h5 would truly send, or almost, but it comes from h1, across the link."""
    h1, h5, h6 = hosts["h1"], hosts["h5"], hosts["h6"]
    spoofed = {
        "MAC": ip(h5.mac, h1.v4, h6),
        "IPv4": ip(h1.mac, h5.v4, h6),
        "both": ip(h5.mac, h5.v4, h6),
        "IPv6": ip(h1.mac, h5.v6, h6),
        "link-local": ip(h1.mac, "fe80::1", h6),
        "ARP address": other(h1.mac, h6, 0x0806, frames.arp(2, h1.mac, h5.v4, h6.v4)),
        "ARP hardware": other(h1.mac, h6, 0x0806, frames.arp(2, h5.mac, h1.v4, h6.v4)),
        "ND target": other(h1.mac, h6, 0x86DD, frames.advert(h1.v6, h6.v6, h5.v6, h1.mac)),
        "ND hardware": other(h1.mac, h6, 0x86DD, frames.advert(h1.v6, h6.v6, h1.v6, h5.mac)),
        "not IP": other(h1.mac, h6, 0x88B5, b""),
    }
    own = {
        "own IPv4": ip(h1.mac, h1.v4, h6),
        "own IPv6": ip(h1.mac, h1.v6, h6),
        "own ARP": other(h1.mac, h6, 0x0806, frames.arp(2, h1.mac, h1.v4, h6.v4)),
        "own ND": other(h1.mac, h6, 0x86DD, frames.advert(h1.v6, h6.v6, h1.v6, h1.mac)),
    }
    assert all_that_came(h1, h6, spoofed | own) == set(own)


def ip(mac: str, source: str, receiver: Host) -> Build:
    """A datagram of these source addresses."""

    def build(payload: bytes) -> bytes:
        v6 = ":" in source
        ends = (source, receiver.v6 if v6 else receiver.v4)
        body = frames.transport(*ends, frames.UDP, (7, 7), payload)
        packet = (frames.ipv6 if v6 else frames.ipv4)(*ends, frames.UDP, body)
        return frames.ether(mac, receiver.mac, 0x86DD if v6 else 0x0800, packet)

    return build


def other(mac: str, receiver: Host, eth_type: int, body: bytes) -> Build:
    """The mark stands behind what the packet's own length covers."""
    return lambda payload: frames.ether(mac, receiver.mac, eth_type, body.ljust(46, b"\0")) + payload
