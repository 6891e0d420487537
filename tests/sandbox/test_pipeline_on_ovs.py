"""The compiled pipeline on a real Open vSwitch, with real packets between namespaces."""

from __future__ import annotations

import re
import socket
import struct
from collections.abc import Iterator

import pytest

from controller.dataplane.entries import MeterBody
from tests.support import frames
from tests.support.bridges import Vif, bridge
from tests.support.frames import BROADCAST, mac_bytes
from tests.support.switched_lan import BRIDGE, OUTSIDE_MAC, SwitchedLan, arrivals_by, arrivals_until, switched_lan

VIFS = {
    "a": Vif(1, "red", ("10.0.0.1/24", "fd00::1/64"), meter=MeterBody(100_000, 20_000)),
    "b": Vif(2, "blue", ("10.0.0.2/24", "fd00::2/64")),
    "c": Vif(3, "blue", ("10.0.0.3/24", "fd00::3/64")),
}
MAC = {name: f"02:00:00:00:00:{vif.number:02x}" for name, vif in VIFS.items()}
SOL_PACKET, PACKET_AUXDATA = 263, 8
LINK_LOCAL_A = "fe80::ff:fe00:1"
SEGMENTS = "weir: 1\nsegments: {s: {type: bridged, uplink: wan, vlan: 120}}\npolicies:\n"
OPEN = SEGMENTS + "  red: {unmatched: allow}\n  blue: {unmatched: allow}\n"
WEB_ONLY = (
    SEGMENTS
    + """
  red:
    rules:
      - deny: {direction: egress, service: tcp/82}
      - allow: {direction: egress}
  blue:
    rules:
      - allow: {direction: ingress, from: [10.0.0.1, 'fd00::1'], service: [tcp/80, tcp/82, udp/53, icmp/8, sctp/7]}
"""
)


@pytest.fixture(scope="module")
def lan() -> Iterator[SwitchedLan]:
    with switched_lan(VIFS) as one:
        yield one


def hold(lan: SwitchedLan, text: str) -> None:
    lan.hold(bridge(text, *VIFS.values()))


def listener(lan: SwitchedLan, name: str, port: int) -> socket.socket:
    server = lan.instances[name].socket(socket.AF_INET, socket.SOCK_STREAM)
    server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    server.bind(("0.0.0.0", port))
    server.listen()
    server.settimeout(5)
    return server


def connect(lan: SwitchedLan, name: str, address: str, port: int, wait_s: float = 5) -> socket.socket:
    client = lan.instances[name].socket(socket.AF_INET, socket.SOCK_STREAM)
    client.settimeout(wait_s)
    try:
        client.connect((address, port))
    except OSError:
        client.close()
        raise
    return client


@pytest.mark.parametrize("address", ["10.0.0.2", "fd00::2"])
def test_neighbours_are_found_and_answer(lan: SwitchedLan, address: str) -> None:
    hold(lan, OPEN)
    lan.instances["a"].run("ip", "neigh", "flush", "dev", "eth0")
    assert lan.instances["a"].pings(address)


def test_neighbour_discovery_and_arp_need_no_rule(lan: SwitchedLan) -> None:
    hold(lan, SEGMENTS + "  red: {}\n  blue: {}\n")
    a = lan.instances["a"]
    a.run("ip", "neigh", "flush", "dev", "eth0")
    for address in ("10.0.0.2", "fd00::2"):
        assert not a.pings(address)
        assert MAC["b"] in a.run("ip", "neigh", "show", address).stdout


def test_rules_of_both_sides_hold_and_replies_pass(lan: SwitchedLan) -> None:
    hold(lan, WEB_ONLY)
    for port, passes in ((80, True), (81, False), (82, False)):
        with listener(lan, "b", port) as server:
            if not passes:
                with pytest.raises(TimeoutError):
                    connect(lan, "a", "10.0.0.2", port, wait_s=0.7)
                continue
            with connect(lan, "a", "10.0.0.2", port) as client, server.accept()[0] as served:
                client.sendall(b"ask")
                assert served.recv(10) == b"ask"
                served.sendall(b"answer")
                assert client.recv(10) == b"answer"
    assert lan.instances["a"].pings("10.0.0.2")
    assert not lan.instances["b"].pings("10.0.0.1")
    assert not lan.instances["a"].pings("fd00::2")
    with listener(lan, "b", 80), pytest.raises(TimeoutError):
        connect(lan, "c", "10.0.0.2", 80, wait_s=0.7)


def test_a_changed_rule_cuts_and_restores_an_established_connection(lan: SwitchedLan) -> None:
    hold(lan, WEB_ONLY)
    with listener(lan, "b", 80) as server, connect(lan, "a", "10.0.0.2", 80) as client, server.accept()[0] as served:
        client.sendall(b"before")
        assert served.recv(10) == b"before"
        hold(lan, WEB_ONLY.replace("tcp/80", "tcp/8080"))
        served.settimeout(0.7)
        client.sendall(b"while denied")
        with pytest.raises(TimeoutError):
            served.recv(20)
        client.settimeout(0.7)
        served.sendall(b"reply while denied")
        with pytest.raises(TimeoutError):
            client.recv(20)
        hold(lan, WEB_ONLY)
        served.settimeout(10)
        client.settimeout(10)
        assert served.recv(20) == b"while denied"
        assert client.recv(20) == b"reply while denied"


@pytest.mark.parametrize(("family", "address"), [(socket.AF_INET, "10.0.0.2"), (socket.AF_INET6, "fd00::2")])
def test_fragments_are_judged_as_the_whole_packet(lan: SwitchedLan, family: int, address: str) -> None:
    hold(lan, WEB_ONLY)
    allowed = lan.instances["b"].socket(family, socket.SOCK_DGRAM)
    denied = lan.instances["b"].socket(family, socket.SOCK_DGRAM)
    sender = lan.instances["a"].socket(family, socket.SOCK_DGRAM)
    with allowed, denied, sender:
        for receiver, port, wait_s in ((allowed, 53, 5), (denied, 54, 0.5)):
            receiver.bind((address, port))
            receiver.settimeout(wait_s)
        sender.settimeout(5)
        sender.sendto(b"x" * 4000, (address, 54))
        sender.sendto(b"y" * 4000, (address, 53))
        data, peer = allowed.recvfrom(5000)
        assert data == b"y" * 4000
        allowed.sendto(b"z" * 4000, peer)
        assert sender.recv(5000) == b"z" * 4000
        with pytest.raises(TimeoutError):
            denied.recv(5000)


def test_an_icmp_error_of_an_allowed_connection_passes(lan: SwitchedLan) -> None:
    hold(lan, WEB_ONLY)
    with lan.instances["a"].socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        sender.settimeout(5)
        sender.connect(("10.0.0.2", 53))
        sender.send(b"nobody listens")
        with pytest.raises(ConnectionRefusedError):
            sender.recv(10)


def test_sctp_replies_pass_though_its_ports_are_not_tracked(lan: SwitchedLan) -> None:
    hold(lan, WEB_ONLY)
    init = bytes.fromhex("0bb8 0007 00000000 00000000") + bytes.fromhex("01000014") + b"\1" * 16
    ack = bytes.fromhex("0007 0bb8 00000001 00000000") + bytes.fromhex("02000014") + b"\2" * 16
    other = bytes.fromhex("0008 0bb8 00000001 00000000") + bytes.fromhex("02000014") + b"\3" * 16
    with lan.instances["a"].raw() as a, lan.instances["b"].raw() as b:
        a.send(frames.ether(MAC["a"], MAC["b"], 0x800, frames.ipv4("10.0.0.1", "10.0.0.2", frames.SCTP, init)))
        arrivals_until(b, init)
        b.send(frames.ether(MAC["b"], MAC["a"], 0x800, frames.ipv4("10.0.0.2", "10.0.0.1", frames.SCTP, other)))
        b.send(frames.ether(MAC["b"], MAC["a"], 0x800, frames.ipv4("10.0.0.2", "10.0.0.1", frames.SCTP, ack)))
        assert not [frame for frame in arrivals_until(a, ack) if other in frame]


A, B = MAC["a"], MAC["b"]
ALL_NODES = "33:33:00:00:00:01"


def from_a(destination: str, eth_type: int, packet: bytes, vlan: int | None = None) -> bytes:
    return frames.ether(A, destination, eth_type, packet, vlan)


def to_b(source: str, protocol: int, payload: bytes) -> bytes:
    return frames.ipv4(source, "10.0.0.2", protocol, payload)


SOME_UDP = frames.udp(1, 2)
ADVERTISEMENT = frames.icmp6(LINK_LOCAL_A, "ff02::1", 134, bytes(12))
ALL_ROUTERS = "33:33:00:00:00:02"


def router_solicit(source: str, sll: str) -> bytes:
    body = frames.icmp6(source, "ff02::2", 133, bytes(4) + b"\x01\x01" + frames.mac_bytes(sll))
    return from_a(ALL_ROUTERS, 0x86DD, frames.ipv6(source, "ff02::2", 58, body))


SPOOFED = {
    "MAC": frames.ether("02:00:00:00:00:99", B, 0x800, to_b("10.0.0.1", 17, SOME_UDP)),
    "IPv4": from_a(B, 0x800, to_b("10.0.0.3", 17, SOME_UDP)),
    "unspecified IPv4": from_a(B, 0x800, to_b("0.0.0.0", 17, SOME_UDP)),
    "IPv6": from_a(B, 0x86DD, frames.ipv6("fd00::3", "fd00::2", 59, b"")),
    "link-local": from_a(B, 0x86DD, frames.ipv6("fe80::ff:fe00:3", "fd00::2", 59, b"")),
    "ARP sender address": from_a(BROADCAST, 0x806, frames.arp(2, A, "10.0.0.3", "10.0.0.2")),
    "ARP sender MAC": from_a(BROADCAST, 0x806, frames.arp(1, MAC["c"], "10.0.0.1", "10.0.0.2")),
    "ARP reply from nobody": from_a(BROADCAST, 0x806, frames.arp(2, A, "0.0.0.0", "10.0.0.2")),
    "ND claim": from_a(ALL_NODES, 0x86DD, frames.advert("fd00::1", "ff02::1", "fd00::3", A)),
    "ND claim without MAC": from_a(ALL_NODES, 0x86DD, frames.advert("fd00::1", "ff02::1", "fd00::3", None)),
    "ND claimed MAC": from_a(ALL_NODES, 0x86DD, frames.advert("fd00::1", "ff02::1", "fd00::1", MAC["c"])),
    "ND source MAC": from_a(ALL_NODES, 0x86DD, frames.solicit("fd00::1", "ff02::1", "fd00::2", MAC["c"])),
    "ND source MAC twice": from_a(ALL_NODES, 0x86DD, frames.solicit("fd00::1", "ff02::1", "fd00::2", MAC["c"], 2)),
    "ND probe": from_a(ALL_NODES, 0x86DD, frames.solicit("::", "ff02::1", "fd00::3", None)),
    "router solicitation": router_solicit("fd00::1", MAC["c"]),
    "router advertisement": from_a(ALL_NODES, 0x86DD, frames.ipv6(LINK_LOCAL_A, "ff02::1", 58, ADVERTISEMENT)),
    "tag": from_a(B, 0x800, to_b("10.0.0.1", 17, SOME_UDP), vlan=120),
    "tag of VLAN 0": from_a(B, 0x800, to_b("10.0.0.1", 17, SOME_UDP), vlan=0),
    "other protocol": from_a(B, 0x88CC, b"x" * 46),
}
TRUE = {
    "IPv4": from_a(B, 0x800, to_b("10.0.0.1", 17, SOME_UDP)),
    "GRE": from_a(B, 0x800, to_b("10.0.0.1", 47, b"x" * 30)),
    "ICMP that is not tracked": from_a(B, 0x800, to_b("10.0.0.1", 1, frames.icmp(9, 0, b"x" * 20))),
    "IPv6 link-local": from_a(B, 0x86DD, frames.ipv6(LINK_LOCAL_A, "fe80::ff:fe00:2", 59, b"x" * 9)),
    "ARP probe": from_a(BROADCAST, 0x806, frames.arp(1, A, "0.0.0.0", "10.0.0.77")),
    "ARP announcement": from_a(BROADCAST, 0x806, frames.arp(1, A, "10.0.0.1", "10.0.0.1")),
    "ND claim": from_a(ALL_NODES, 0x86DD, frames.advert("fd00::1", "ff02::1", "fd00::1", A)),
    "ND solicitation": from_a(ALL_NODES, 0x86DD, frames.solicit("fd00::1", "ff02::1", "fd00::77", A)),
    "ND solicitation, no MAC": from_a(ALL_NODES, 0x86DD, frames.solicit("fd00::1", "ff02::1", "fd00::78", None)),
    "ND probe": from_a(ALL_NODES, 0x86DD, frames.solicit("::", "ff02::1", "fd00::1", None)),
    "router solicitation": router_solicit(LINK_LOCAL_A, A),
    "DHCP request": from_a(BROADCAST, 0x800, frames.ipv4("0.0.0.0", "255.255.255.255", 17, frames.udp(68, 67))),
    "IPv4 broadcast": from_a(BROADCAST, 0x800, frames.ipv4("10.0.0.1", "10.0.0.255", 17, frames.udp(9, 9))),
}
LAST = from_a(B, 0x800, to_b("10.0.0.1", 17, frames.udp(3, 4, b"the last frame")))


def arriving(lan: SwitchedLan, frame: bytes) -> list[bytes]:
    """What the frame becomes at b when a sends it. What a's own kernel says of itself now and then is of IPv6."""
    with lan.instances["a"].raw() as a, lan.instances["b"].raw() as b:
        a.send(frame)
        found = arrivals_by(b, lambda: a.send(LAST), b"the last frame")
        return [one for one in found if one[6:12] in (frame[6:12], LAST[6:12]) and one[12:14] == frame[12:14]]


@pytest.mark.parametrize("what", SPOOFED)
def test_a_vif_speaks_only_for_itself(lan: SwitchedLan, what: str) -> None:
    hold(lan, OPEN)
    assert arriving(lan, SPOOFED[what]) == []


@pytest.mark.parametrize("what", TRUE)
def test_what_is_true_arrives(lan: SwitchedLan, what: str) -> None:
    hold(lan, OPEN)
    assert arriving(lan, TRUE[what]) == [TRUE[what]]


def test_broadcast_reaches_every_vif_once_and_the_uplink(lan: SwitchedLan) -> None:
    hold(lan, OPEN)
    frame = TRUE["ARP announcement"]
    with lan.instances["a"].raw() as a, lan.instances["c"].raw() as c, lan.instances["outside"].raw() as outside:
        a.send(frame)
        last = from_a(MAC["c"], 0x800, frames.ipv4("10.0.0.1", "10.0.0.3", 17, frames.udp(3, 4, b"the last frame")))
        assert arrivals_by(c, lambda: a.send(last), b"the last frame").count(frame) == 1
        assert vlan_of(outside, frame) == 120


def vlan_of(receiver: socket.socket, frame: bytes) -> int:
    """The tag under which the frame arrives; Linux keeps it apart."""
    receiver.setsockopt(SOL_PACKET, PACKET_AUXDATA, 1)
    while True:
        found, extra, _, _ = receiver.recvmsg(2000, 100)
        if found == frame:
            return next((struct.unpack("IIIHHHH", data)[5] for _, _, data in extra), 0)


def test_the_outside_reaches_known_macs_only_and_by_its_vlan(lan: SwitchedLan) -> None:
    hold(lan, OPEN)
    with lan.instances["outside"].raw() as outside, lan.instances["b"].raw() as b:

        def send(destination: str, vlan: int | None, payload: bytes) -> None:
            packet = frames.ipv4("10.0.0.200", "10.0.0.2", 17, frames.udp(5, 6, payload))
            outside.send(frames.ether(OUTSIDE_MAC, destination, 0x800, packet, vlan))

        send(B, None, b"untagged")
        send(B, 121, b"of another VLAN")
        send("02:00:00:00:00:77", 120, b"to nobody")
        send(BROADCAST, 120, b"to all")
        found = arrivals_by(b, lambda: send(B, 120, b"the last frame"), b"the last frame")
        assert [frame[42:].rstrip(b"\0") for frame in found if frame[6:12] == mac_bytes(OUTSIDE_MAC)] == [b"to all"]
        b.send(
            frames.ether(B, OUTSIDE_MAC, 0x800, frames.ipv4("10.0.0.2", "10.0.0.200", 17, frames.udp(6, 5, b"reply")))
        )
        outside.settimeout(5)
        while b"reply" not in outside.recv(2000):
            pass


def test_a_dump_reads_well(lan: SwitchedLan) -> None:
    hold(lan, WEB_ONLY)
    dump = lan.ovs.run("ovs-ofctl", "-OOpenFlow15", "--names", "--no-stats", "dump-flows", BRIDGE).replace('"', "")
    found = "table=ingress_policy, priority=44799,ct_state=-rel-rpl,tcp,reg12=0x"
    assert re.search(r"table=egress_meter, priority=100,reg0=0x1 actions=meter:1,set_field:0x[0-9a-f]+->reg5,", dump)
    assert re.search(rf"{found}[0-9a-f]+/0x[0-9a-f]+,nw_src=10\.0\.0\.1,tp_dst=80 actions=", dump), dump
    assert re.search(r"table=ingress_verdict, priority=100,reg1=0x2,reg6=0x1 actions=goto_table:ingress_commit", dump)
