"""What skips the policy, on a real Open vSwitch: no router takes it along, and no VIF serves DHCP."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest

from controller.dataplane.text import mac
from tests.sandbox.test_router_on_ovs import BEYOND, GATEWAY, ROUTER, SEGMENTS, VIFS, furnish_outside
from tests.support import frames
from tests.support.bridges import bridge
from tests.support.switched_lan import OUTSIDE_MAC, SwitchedLan, arrivals_until, switched_lan

OPEN = SEGMENTS + "  red: {unmatched: allow}\n  blue: {unmatched: allow}\n"
MARKED = b"the last of these"
BEYOND6 = "2001:db8:ffff::9"
FAMILIES = [(socket.AF_INET, "10.20.0.11", "10.20.0.12", 67, 68), (socket.AF_INET6, "fd20::11", "fd20::12", 547, 546)]
IN_FRAGMENTS = 2600  # bytes


@pytest.fixture(scope="module")
def lan() -> Iterator[SwitchedLan]:
    with switched_lan(VIFS) as one:
        one.hold(bridge(OPEN, *VIFS.values()))
        furnish_outside(one.instances["outside"])
        yield one


def between_neighbours(source4: str, source6: str, own: str) -> list[tuple[int, bytes]]:
    """Ethernet types and packets to b, of all that hosts need to work: IGMP, MLD, neighbour discovery, DHCP."""
    to4, to6 = "10.21.0.11", "fd21::11"
    four = [(2, b"\x16\0\xee\xff\xe0\0\0\x05"), (17, frames.udp(68, 67)), (17, frames.udp(67, 68))]
    six = [frames.icmp6(source6, to6, kind, bytes(20)) for kind in (130, 131, 132, 133, 134, 137, 143)]
    packets6 = [frames.ipv6(source6, to6, frames.ICMP6, message) for message in six]
    packets6.append(frames.solicit(source6, to6, to6, own))
    packets6.append(frames.advert(source6, to6, source6, own))
    packets6.append(frames.ipv6(source6, to6, 17, frames.transport(source6, to6, 17, (547, 546), b"weir")))
    return [
        *((0x0800, frames.ipv4(source4, to4, protocol, payload)) for protocol, payload in four),
        *((0x86DD, packet) for packet in packets6),
    ]


@pytest.mark.parametrize(
    ("name", "source4", "source6", "router"),
    [("a", "10.20.0.11", "fd20::11", GATEWAY), ("outside", BEYOND, BEYOND6, ROUTER)],
)
def test_what_is_between_neighbours_is_not_routed(
    lan: SwitchedLan, name: str, source4: str, source6: str, router: str
) -> None:
    own = OUTSIDE_MAC if name == "outside" else mac(VIFS[name].mac)
    last = frames.ipv4(source4, "10.21.0.11", 17, frames.udp(5, 7000, MARKED))
    with lan.instances[name].raw() as raw, lan.instances["b"].raw() as receiver:
        for eth_type, packet in (*between_neighbours(source4, source6, own), (0x0800, last)):
            raw.send(frames.ether(own, router, eth_type, packet))
        heard = arrivals_until(receiver, MARKED)
    sources = socket.inet_aton(source4), socket.inet_pton(socket.AF_INET6, source6)
    came = [frame for frame in heard if any(source in frame[14:54] for source in sources)]
    assert came == []


@pytest.mark.parametrize(("family", "server", "client", "server_port", "client_port"), FAMILIES)
def test_a_vif_is_no_dhcp_server_in_fragments(
    lan: SwitchedLan, family: int, server: str, client: str, server_port: int, client_port: int
) -> None:
    """Nothing of the sort arrives before what is sent after it: a packet as large to another port."""
    with bound(lan, "a", family, server, server_port) as says, bound(lan, "c", family, client, client_port) as hears:
        with bound(lan, "c", family, client, 7000) as other:
            for payload in (b"x", b"x" * IN_FRAGMENTS):
                says.sendto(payload, (client, client_port))
            says.sendto(b"y" * IN_FRAGMENTS, (client, 7000))
            assert other.recv(9000) == b"y" * IN_FRAGMENTS
        hears.settimeout(0)
        with pytest.raises(BlockingIOError):
            hears.recv(9000)


@pytest.mark.parametrize(("family", "server", "client", "server_port", "client_port"), FAMILIES)
def test_nor_by_replies_in_fragments(
    lan: SwitchedLan, family: int, server: str, client: str, server_port: int, client_port: int
) -> None:
    with bound(lan, "a", family, server, server_port) as says, bound(lan, "c", family, client, client_port) as hears:
        with bound(lan, "c", family, client, 7000) as other:
            for asks in (hears, other):
                asks.sendto(b"x", (server, server_port))
                assert says.recv(9000) == b"x"
            says.sendto(b"z" * IN_FRAGMENTS, (client, client_port))
            says.sendto(b"y" * IN_FRAGMENTS, (client, 7000))
            assert other.recv(9000) == b"y" * IN_FRAGMENTS
        hears.settimeout(0)
        with pytest.raises(BlockingIOError):
            hears.recv(9000)


def bound(lan: SwitchedLan, name: str, family: int, address: str, port: int) -> socket.socket:
    made = lan.instances[name].socket(family, socket.SOCK_DGRAM)
    made.settimeout(10)
    made.bind((address, port))
    return made
