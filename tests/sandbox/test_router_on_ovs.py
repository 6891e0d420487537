"""The router as flow entries on a real Open vSwitch, with real packets between namespaces, and no controller."""

from __future__ import annotations

import re
import socket
import struct
from collections.abc import Callable, Iterator
from ipaddress import ip_address

import pytest

from controller.dataplane.macs import link_local
from controller.dataplane.text import mac
from tests.support import frames
from tests.support.bridges import GATEWAY_MAC, ROUTER_MAC, Vif, bridge
from tests.support.frames import BROADCAST, mac_bytes
from tests.support.ovs_sandbox import wait_until
from tests.support.switched_lan import BRIDGE, OUTSIDE_MAC, Instance, SwitchedLan, arrivals_until, switched_lan

VIFS = {
    "a": Vif(1, "red", ("10.20.0.11/24", "fd20::11/64"), "front"),
    "b": Vif(2, "blue", ("10.21.0.11/24", "fd21::11/64"), "back"),
    "c": Vif(3, "red", ("10.20.0.12/24", "fd20::12/64"), "front"),
    "lab": Vif(4, "red", ("10.30.0.11/24", "fd30::11/64"), "lab"),
}
GATEWAYS = {"a": ("10.20.0.1", "fd20::1"), "b": ("10.21.0.254", "fd21::1"), "c": ("10.20.0.1", "fd20::1")}
SEGMENTS = """weir: 1
segments:
  front: {type: routed, subnets: [10.20.0.0/24, 'fd20::/64']}
  back: {type: routed, subnets: [10.21.0.0/24, 'fd21::/64'], gateway: [10.21.0.254]}
  edge: {type: routed, subnets: [10.22.0.0/24], uplink: wan, address: [192.0.2.2/24, '2001:db8::2/64'],
         via: [192.0.2.1, '2001:db8::1']}
  lab: {type: internal, subnets: [10.30.0.0/24, 'fd30::/64']}
policies:
"""
OPEN = SEGMENTS + "  red: {unmatched: allow}\n  blue: {unmatched: allow}\n"
SHUT = SEGMENTS + "  red: {}\n  blue: {}\n"
ONE_WAY = "  red: {rules: [allow: {direction: egress}]}\n  blue: {rules: [allow: {direction: ingress}]}\n"
REPLIES_ONLY = SEGMENTS + ONE_WAY
OUTSIDE4, OUTSIDE6, BEYOND = "192.0.2.1", "2001:db8::1", "203.0.113.9"
GATEWAY, ROUTER = mac(GATEWAY_MAC), mac(ROUTER_MAC)
OWN6, GATEWAY6, ROUTER6 = (str(ip_address(link_local(one))) for one in (VIFS["a"].mac, GATEWAY_MAC, ROUTER_MAC))
PORT, MARKED = 7000, b"the last of these"


@pytest.fixture(scope="module")
def lan() -> Iterator[SwitchedLan]:
    with switched_lan(VIFS) as one:
        one.hold(bridge(OPEN, *VIFS.values()))
        for name, gateways in GATEWAYS.items():
            for gateway in gateways:
                one.instances[name].run("ip", "route", "add", "default", "via", gateway)
        furnish_outside(one.instances["outside"])
        yield one


def furnish_outside(outside: Instance) -> None:
    """A neighbour of the router that knows the way back, and a host behind it."""
    for address, device in ((f"{OUTSIDE4}/24", "eth0"), (f"{OUTSIDE6}/64", "eth0"), (f"{BEYOND}/32", "lo")):
        outside.run("ip", "address", "add", address, "dev", device, *(["nodad"] if ":" in address else []))
    outside.run("ip", "route", "add", "10.20.0.0/14", "via", "192.0.2.2")
    outside.run("ip", "route", "add", "fd20::/12", "via", "2001:db8::2")


def hold(lan: SwitchedLan, text: str) -> None:
    lan.hold(bridge(text, *VIFS.values()))


def ping(instance: Instance, *argv: str) -> str:
    """What ping says; "" when no answer came."""
    done = instance.run("ping", "-c1", "-W2", "-n", *argv, check=False)
    return done.stdout if done.returncode == 0 else ""


@pytest.mark.parametrize("address", ["10.20.0.1", "10.21.0.254", "fd20::1", "fd21::1", "192.0.2.2", "2001:db8::2"])
@pytest.mark.parametrize("size", ["0", "56", "1472", "1473", "4000", "20001"])
def test_every_address_of_the_router_answers_pings_of_every_size(lan: SwitchedLan, address: str, size: str) -> None:
    hold(lan, OPEN)
    for name in ("a", "outside"):
        assert "ttl=64" in ping(lan.instances[name], "-s", size, address), name


def test_pings_with_options_are_answered(lan: SwitchedLan) -> None:
    hold(lan, OPEN)
    assert "RR:" in ping(lan.instances["a"], "-R", "10.20.0.1")
    assert ping(lan.instances["a"], "-T", "tsonly", "10.20.0.1")


def test_the_gateway_has_one_mac_and_says_that_it_is_a_router(lan: SwitchedLan) -> None:
    hold(lan, SHUT)
    for name, gateways in GATEWAYS.items():
        instance = lan.instances[name]
        instance.run("ip", "neigh", "flush", "dev", "eth0")
        for gateway in gateways:
            assert not ping(instance, gateway), "its policy denies it"
            shown = instance.run("ip", "neigh", "show", gateway).stdout
            assert f"lladdr {GATEWAY} " in shown
            assert ("router" in shown) == (":" in gateway)


def test_a_ping_of_the_gateway_is_judged_as_egress_and_answered_as_a_reply(lan: SwitchedLan) -> None:
    hold(lan, REPLIES_ONLY)
    for gateway in GATEWAYS["a"]:
        assert ping(lan.instances["a"], gateway) and ping(lan.instances["a"], "-s", "3000", gateway)
    for gateway in GATEWAYS["b"]:
        assert not ping(lan.instances["b"], gateway)


def test_arp_probes_and_announcements_get_the_right_answer_or_none(lan: SwitchedLan) -> None:
    """A probe for the gateway's address is answered; an instance that announces it is not heard."""
    hold(lan, OPEN)
    own = mac(VIFS["a"].mac)
    with lan.instances["a"].raw() as raw, lan.instances["c"].raw() as other:
        raw.send(arp(own, BROADCAST, 1, "0.0.0.0", "10.20.0.1"))
        reply = next(frame for frame in iter(lambda: raw.recv(2000), b"") if frame[20:22] == b"\0\2")
        assert (reply[22:28], reply[28:32]) == (mac_bytes(GATEWAY), socket.inet_aton("10.20.0.1"))
        raw.send(arp(own, BROADCAST, 1, "10.20.0.1", "10.20.0.1"))
        raw.send(arp(own, BROADCAST, 1, "10.20.0.11", "10.20.0.12") + MARKED)
        heard = arrivals_until(other, MARKED)
        assert not any(frame[12:14] == b"\x08\x06" and mac_bytes(own) in frame for frame in heard)


@pytest.mark.parametrize(
    ("name", "source", "target", "router"),
    [
        ("a", "fd20::11", "fd20::1", GATEWAY),
        ("a", OWN6, "fd20::1", GATEWAY),
        ("a", OWN6, GATEWAY6, GATEWAY),
        ("outside", OUTSIDE6, "2001:db8::2", ROUTER),
        ("outside", OUTSIDE6, ROUTER6, ROUTER),
    ],
)
@pytest.mark.parametrize("has_option", [True, False])
def test_who_asks_the_router_itself_gets_an_answer_as_long_as_the_question(
    lan: SwitchedLan, name: str, source: str, target: str, router: str, has_option: bool
) -> None:
    """By unicast, as one does that doubts what it knows: it need not say its own MAC, and is not told the other's."""
    hold(lan, OPEN)
    own = lan.instances[name].mac
    with lan.instances[name].raw() as raw:
        raw.send(frames.ether(own, router, 0x86DD, frames.solicit(source, target, target, own if has_option else None)))
        answer = next(frame for frame in iter(lambda: raw.recv(2000), b"") if frame[54:55] == b"\x88")
    option = b"\x02\x01" + mac_bytes(router) if has_option else b""
    packet = frames.ipv6(target, source, frames.ICMP6, b"")[6:40]
    assert (answer[:14], answer[20:54]) == (mac_bytes(own) + mac_bytes(router) + b"\x86\xdd", packet)
    assert answer[58:] == b"\xe0\0\0\0" + ip_address(target).packed + option
    length = len(answer[54:])
    pseudo = answer[22:54] + struct.pack("!II", length, frames.ICMP6)
    assert frames.checksum(pseudo + answer[54:]) == 0


@pytest.mark.parametrize("address", ["10.21.0.11", "fd21::11"])
@pytest.mark.parametrize("size", ["56", "4000"])
def test_packets_are_routed_between_segments_and_lose_one_of_their_ttl(
    lan: SwitchedLan, address: str, size: str
) -> None:
    hold(lan, OPEN)
    assert "ttl=63" in ping(lan.instances["a"], "-s", size, address)


@pytest.mark.parametrize(("family", "address"), [(socket.AF_INET, "10.21.0.11"), (socket.AF_INET6, "fd21::11")])
def test_tcp_goes_through_the_router(lan: SwitchedLan, family: int, address: str) -> None:
    hold(lan, OPEN)
    server = lan.instances["b"].socket(family, socket.SOCK_STREAM)
    client = lan.instances["a"].socket(family, socket.SOCK_STREAM)
    with server, client:
        server.bind((address, PORT))
        server.listen()
        server.settimeout(5)
        client.settimeout(5)
        client.connect((address, PORT))
        served, peer = server.accept()
        assert peer[0] in {text.split("/")[0] for text in VIFS["a"].addresses}
        with served:
            served.settimeout(5)
            client.sendall(b"x" * 50_000)
            client.shutdown(socket.SHUT_WR)
            received = 0
            while data := served.recv(65536):
                received += len(data)
            assert received == 50_000


@pytest.mark.parametrize(
    ("red", "blue", "passes"),
    [
        ("{unmatched: allow}", "{unmatched: allow}", True),
        ("{rules: [allow: {direction: egress, to: {segment: back}}]}", "{rules: [allow: {from: {vif: vif1}}]}", True),
        ("{rules: [allow: {direction: egress, to: {segment: front}}]}", "{unmatched: allow}", False),
        ("{unmatched: allow}", "{rules: [allow: {direction: ingress, from: {vif: vif3}}]}", False),
    ],
)
def test_both_sides_judge_what_is_routed(lan: SwitchedLan, red: str, blue: str, passes: bool) -> None:
    hold(lan, f"{SEGMENTS}  red: {red}\n  blue: {blue}\n")
    for address in ("10.21.0.11", "fd21::11"):
        assert bool(ping(lan.instances["a"], address)) == passes


def test_internal_segments_are_not_routed(lan: SwitchedLan) -> None:
    hold(lan, OPEN)
    lab = lan.instances["lab"]
    for prefix, gateway in (("10.21.0.0/24", "10.30.0.1"), ("fd21::/64", "fd30::1")):
        lab.run("ip", "neigh", "replace", gateway, "lladdr", GATEWAY, "dev", "eth0")
        lab.run("ip", "route", "replace", prefix, "via", gateway)
    assert not ping(lab, "10.21.0.11") and not ping(lab, "fd21::11")
    lan.instances["b"].run("ip", "route", "replace", "10.30.0.0/24", "via", "10.21.0.254")
    assert not ping(lan.instances["b"], "10.30.0.11")


def test_a_packet_whose_ttl_is_used_up_goes_nowhere(lan: SwitchedLan) -> None:
    hold(lan, OPEN)
    for address in ("10.21.0.11", "fd21::11"):
        assert not ping(lan.instances["a"], "-t", "1", address)
        assert ping(lan.instances["a"], "-t", "2", address)
    assert ping(lan.instances["a"], "-t", "1", "10.20.0.1")
    assert sent_up(lan, 1)


def sent_up(lan: SwitchedLan, number: int) -> bool:
    """Whether the entry of table punt that belongs to the VIF has had packets."""
    lan.ovs.appctl("revalidator/purge")
    lines = lan.ovs.ofctl("dump-flows", BRIDGE, f"table=58,reg0={number}").splitlines()
    return any(re.search(r"n_packets=[1-9]", line) for line in lines)


SMALL = OPEN.replace("gateway: [10.21.0.254]", "gateway: [10.21.0.254], mtu: 1400").replace(
    "uplink: wan,", "uplink: wan, mtu: 1450,"
)


@pytest.mark.parametrize(
    ("name", "address", "most"),
    [
        ("a", "10.21.0.11", 1400 - 28),
        ("a", "fd21::11", 1400 - 48),
        ("a", OUTSIDE4, 1450 - 28),
        ("a", BEYOND, 1450 - 28),
        ("a", OUTSIDE6, 1450 - 48),
        ("outside", "10.21.0.11", 1400 - 28),
        ("outside", "fd21::11", 1400 - 48),
    ],
)
def test_what_is_too_large_for_where_it_goes_goes_to_the_controller(
    lan: SwitchedLan, name: str, address: str, most: int
) -> None:
    hold(lan, SMALL)
    outside = lan.instances["outside"]
    both = "10.20.0.11", "fd20::11"
    wait_until(lambda: all(ping(outside, own) for own in both), "the router has learned its neighbour")
    number = VIFS[name].number if name in VIFS else 0
    assert ping(lan.instances[name], "-M", "do", "-s", str(most), address)
    before = asks(lan, number)
    assert not ping(lan.instances[name], "-M", "do", "-s", str(most + 1), address)
    assert asks(lan, number) == before + 1


def asks(lan: SwitchedLan, number: int) -> int:
    """Packets so far that the VIF's entry of table punt has had."""
    lan.ovs.appctl("revalidator/purge")
    lines = lan.ovs.ofctl("dump-flows", BRIDGE, f"table=58,reg0={number}").splitlines()
    return sum(int(found[1]) for line in lines if (found := re.search(r"n_packets=(\d+)", line)))


def test_where_segments_take_the_same_nothing_is_measured(lan: SwitchedLan) -> None:
    hold(lan, SMALL)
    assert "check_pkt_larger" in lan.ovs.ofctl("dump-flows", BRIDGE)
    hold(lan, OPEN)
    assert "check_pkt_larger" not in lan.ovs.ofctl("dump-flows", BRIDGE)


def test_outside_and_inside_reach_each_other_once_the_neighbour_is_learned(lan: SwitchedLan) -> None:
    """The neighbour asks for the router's MAC, so the router knows its own from then on, and keeps it."""
    hold(lan, OPEN)
    outside, a = lan.instances["outside"], lan.instances["a"]
    for address in ("10.20.0.11", "fd20::11"):
        assert "ttl=63" in ping(outside, address)
    for address in (OUTSIDE4, OUTSIDE6, BEYOND):
        assert "ttl=63" in ping(a, address)
    hold(lan, SHUT)
    hold(lan, OPEN)
    learned = [line for line in lan.ovs.ofctl("dump-flows", BRIDGE).splitlines() if " cookie=0x5ee2" in line]
    assert any("reg15=0xc0000201" in line and "load:0x2000000ffff->" in line for line in learned), learned
    assert ping(a, OUTSIDE4)


def test_a_neighbour_is_learned_from_its_answer_and_from_what_a_next_router_says_of_itself(lan: SwitchedLan) -> None:
    hold(lan, OPEN)
    forget(lan)
    a, outside = lan.instances["a"], lan.instances["outside"]
    outside.run("ip", "neigh", "replace", "192.0.2.2", "lladdr", ROUTER, "dev", "eth0")
    assert not ping(a, BEYOND)
    for said in (
        arp(OUTSIDE_MAC, ROUTER, 2, OUTSIDE4, "192.0.2.2"),
        arp(OUTSIDE_MAC, BROADCAST, 1, OUTSIDE4, OUTSIDE4),
    ):
        forget(lan)
        say(outside, said)
        wait_until(lambda: ping(a, BEYOND), "the router has learned its next router")


def arp(source: str, destination: str, op: int, sender: str, target: str) -> bytes:
    return frames.ether(source, destination, 0x0806, frames.arp(op, source, sender, target))


def say(outside: Instance, frame: bytes) -> None:
    with outside.raw() as raw:
        raw.send(frame)


def forget(lan: SwitchedLan) -> None:
    """All neighbours that the switch has learned."""
    lan.ovs.ofctl("del-flows", BRIDGE, "cookie=0x5ee2000000000000/0xffff000000000000")


def test_what_comes_from_outside_with_a_source_inside_is_forged(lan: SwitchedLan) -> None:
    hold(lan, OPEN)
    outside, b = lan.instances["outside"], lan.instances["b"]
    with b.raw() as raw:
        for source in ("10.20.0.11", "10.21.0.254", "192.0.2.2", "127.0.0.1", "224.0.0.1", "169.254.0.9"):
            say(outside, udp_from_outside(source, "10.21.0.11", b"forged"))
        say(outside, udp_from_outside("198.51.100.7", "10.21.0.11", MARKED))
        assert not any(b"forged" in frame for frame in arrivals_until(raw, MARKED))


def test_nothing_from_outside_is_routed_out_again_or_to_many(lan: SwitchedLan) -> None:
    hold(lan, OPEN)
    outside, b = lan.instances["outside"], lan.instances["b"]
    with outside.raw() as raw, b.raw() as inside:
        for to in (BEYOND, "192.0.2.77", "10.21.0.255", "10.21.0.0", "255.255.255.255", "224.0.0.251", "169.254.0.9"):
            say(outside, udp_from_outside("198.51.100.7", to, b"turned"))
        say(outside, udp_from_outside("198.51.100.7", "10.21.0.11", MARKED))
        assert not any(b"turned" in frame for frame in arrivals_until(inside, MARKED))
        b.run("ping", "-c1", "-w10", OUTSIDE4)
        raw.setblocking(False)
        got = []
        try:
            while True:
                got.append(raw.recv(2000))
        except BlockingIOError:
            pass
        own = [frame for frame in got if b"turned" in frame and frame[6:12] == mac_bytes(ROUTER)]
        assert got and not own


def udp_from_outside(source: str, destination: str, payload: bytes) -> bytes:
    return udp(OUTSIDE_MAC, ROUTER, source, destination, payload)


def udp(source_mac: str, destination_mac: str, source: str, destination: str, payload: bytes) -> bytes:
    packet = frames.ipv4(source, destination, frames.UDP, frames.udp(5000, 5001, payload))
    return frames.ether(source_mac, destination_mac, 0x0800, packet)


def test_link_local_and_multicast_are_not_routed(lan: SwitchedLan) -> None:
    """They are sent to the router's MAC by a host that takes it for their next hop."""
    hold(lan, OPEN)
    own = mac(VIFS["a"].mac)
    with lan.instances["a"].raw() as raw, lan.instances["b"].raw() as other:
        for to in ("224.0.0.251", "169.254.7.7", "10.21.0.255", "255.255.255.255"):
            raw.send(udp(own, GATEWAY, "10.20.0.11", to, b"stays here"))
        raw.send(udp(own, GATEWAY, "10.20.0.11", "10.21.0.11", MARKED))
        assert not any(b"stays here" in frame for frame in arrivals_until(other, MARKED))


def test_on_a_tagged_uplink_questions_answers_and_packets_carry_the_tag(lan: SwitchedLan) -> None:
    """By hand: this kernel has no VLAN devices."""
    hold(lan, OPEN.replace("uplink: wan,", "uplink: wan, vlan: 120,"))
    outside, a = lan.instances["outside"], lan.instances["a"]
    asked = frames.arp(1, OUTSIDE_MAC, OUTSIDE4, "192.0.2.2")
    with outside.raw() as raw, lan.instances["b"].raw() as inside:
        raw.setsockopt(263, 8, 1)  # SOL_PACKET, PACKET_AUXDATA: the kernel takes the tag off and tells it there
        raw.send(frames.ether(OUTSIDE_MAC, BROADCAST, 0x0806, asked))
        raw.send(frames.ether(OUTSIDE_MAC, BROADCAST, 0x0806, asked, vlan=120))
        frame, tag = tagged(raw, lambda frame: frame[20:22] == b"\0\2")
        assert (frame[22:28], tag) == (mac_bytes(ROUTER), 120)
        packet = frames.ipv4(OUTSIDE4, "10.21.0.11", frames.UDP, frames.udp(5000, 5001, MARKED))
        raw.send(frames.ether(OUTSIDE_MAC, ROUTER, 0x0800, packet, vlan=120))
        arrivals_until(inside, MARKED)
        a.run("ping", "-c1", "-W1", BEYOND, check=False)
        frame, tag = tagged(raw, lambda frame: frame[23] == 1 and frame[6:12] == mac_bytes(ROUTER))
        assert (frame[:6], frame[22], tag) == (mac_bytes(OUTSIDE_MAC), 63, 120)


def tagged(raw: socket.socket, is_it: Callable[[bytes], bool]) -> tuple[bytes, int]:
    """The next such frame, without its tag, and that."""
    while True:
        frame, told, _, _ = raw.recvmsg(2000, 100)
        if is_it(frame):
            return frame, struct.unpack_from("=IIIHHHH", told[0][2])[5] & 0xFFF
