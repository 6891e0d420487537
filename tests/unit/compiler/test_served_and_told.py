"""Table punt and what goes there: what a VIF asks of Weir, and copies of what it is told from outside."""

from __future__ import annotations

from dataclasses import replace

import pytest

from controller.compiler.compile import compile_bridge
from controller.compiler.services import OUTSIDE, meter_of
from controller.dataplane.asks import Ask
from controller.dataplane.cookies import CookieKind, decode
from controller.dataplane.entries import SwitchState
from controller.dataplane.macs import link_local
from controller.dataplane.pipeline import INGRESS_CONNTRACK, PUNT, check
from controller.dataplane.registers import ASK
from policies.parser import parse
from tests.support.bridges import UPLINK_OFPORT, Vif, bridge_of
from tests.support.flow_interpreter import FlowInterpreter, Sent

POLICY = """weir: 1
segments:
  office: {type: bridged, uplink: lan}
policies: {shut: {}, open: {unmatched: allow}}
"""
ONE, TWO = Vif(1, "shut", (), "office"), Vif(2, "shut", (), "office")
SERVER, ALL, ALL_NODES = 0x0211, (1 << 48) - 1, 0x333300000001
LOCAL = 0xFE80 << 112
CLIENT_LOCAL, TWO_LOCAL = link_local(ONE.mac), link_local(TWO.mac)


def udp4(source: int, target: int, ports: tuple[int, int]) -> dict[str, int]:
    ends = {"ipv4_src": source, "ipv4_dst": target, "udp_src": ports[0], "udp_dst": ports[1]}
    return {**ends, "eth_type": 0x800, "ip_proto": 17, "ip_ttl": 64, "vlan_vid": 0}


def udp6(source: int, target: int, ports: tuple[int, int]) -> dict[str, int]:
    ends = {"ipv6_src": source, "ipv6_dst": target, "udp_src": ports[0], "udp_dst": ports[1]}
    return {**ends, "eth_type": 0x86DD, "ip_proto": 17, "ip_ttl": 64, "vlan_vid": 0}


def icmp6(source: int, target: int, kind: int) -> dict[str, int]:
    ends = {"ipv6_src": source, "ipv6_dst": target, "icmpv6_type": kind, "icmpv6_code": 0}
    return {**ends, "eth_type": 0x86DD, "ip_proto": 58, "ip_ttl": 255, "vlan_vid": 0}


OFFER = udp4(1, 0xFFFFFFFF, (67, 68))
LEASE6 = udp6(LOCAL | 1, CLIENT_LOCAL, (547, 546))
ADVERT = icmp6(LOCAL | 1, 0xFF02 << 112 | 1, 134)
DISCOVER = udp4(0, 0xFFFFFFFF, (68, 67))
SOLICIT6 = udp6(CLIENT_LOCAL, 0xFF02 << 112 | 0x1_0002, (546, 547))
SOLICIT = icmp6(CLIENT_LOCAL, 0xFF02 << 112 | 2, 133)


def compiled(*vifs: Vif, learns: bool = False, served: bool = False) -> SwitchState:
    bridge = bridge_of(parse({"p": POLICY}), vifs)
    office = replace(bridge.segments["office"], learns=learns)
    there = tuple(replace(vif, is_served=served) for vif in bridge.vifs)
    state = compile_bridge(replace(bridge, segments={"office": office}, vifs=there))
    assert check(state) == []
    return state


def switch(*vifs: Vif, learns: bool = False, served: bool = False) -> FlowInterpreter:
    return FlowInterpreter(compiled(*vifs, learns=learns, served=served))


def from_outside(switch: FlowInterpreter, packet: dict[str, int], target: int) -> list[Sent]:
    return switch.send(UPLINK_OFPORT, eth_src=SERVER, eth_dst=target, **packet)


@pytest.mark.parametrize(("packet", "target"), [(OFFER, ONE.mac), (LEASE6, ONE.mac), (ADVERT, ONE.mac)])
def test_what_a_vif_is_told_from_outside_reaches_it_and_is_copied_on_its_own_account(
    packet: dict[str, int], target: int
) -> None:
    """Though its policy allows nothing."""
    learning = switch(ONE, TWO, learns=True)
    assert [one.port for one in from_outside(learning, packet, target)] == [1]
    assert learning.punted == [meter_of(1)]
    plain = switch(ONE, TWO)
    assert [one.port for one in from_outside(plain, packet, target)] == [1] and plain.punted == []


def test_what_is_told_to_all_is_copied_for_each() -> None:
    for packet, target in ((OFFER, ALL), (ADVERT, ALL_NODES)):
        learning = switch(ONE, TWO, learns=True)
        assert [one.port for one in from_outside(learning, packet, target)] == [1, 2]
        assert sorted(learning.punted) == [meter_of(1), meter_of(2)]


def test_what_another_vif_tells_is_no_lease() -> None:
    """Nor does it arrive, whatever policies allow: no VIF is a server, or a router."""
    one, two = (replace(vif, policy="open", addresses=(f"10.0.0.{vif.number}/24",)) for vif in (ONE, TWO))
    learning = switch(one, two, learns=True)
    forged = [{**packet, "ipv6_src": TWO_LOCAL} for packet in (LEASE6, ADVERT, {**LEASE6, "udp_src": 5547})]
    forged += [{**OFFER, "ipv4_src": 0x0A000002, "udp_src": port} for port in (67, 1067)]
    for packet in forged:
        assert learning.send(2, eth_src=TWO.mac, eth_dst=ONE.mac, **packet) == []
        assert learning.send(2, eth_src=TWO.mac, eth_dst=ALL, **packet) == []
    assert learning.punted == []
    other = {**LEASE6, "ipv6_src": TWO_LOCAL, "udp_dst": 545}
    assert [sent.port for sent in learning.send(2, eth_src=TWO.mac, eth_dst=ONE.mac, **other)] == [1]


def test_what_a_client_says_is_forwarded_and_shown() -> None:
    """It may give up what it has. What it asks of routers tells nothing."""
    for packet, target in ((DISCOVER, ALL), (SOLICIT6, 0x333300010002)):
        learning = switch(ONE, TWO, learns=True)
        sent = learning.send(1, eth_src=ONE.mac, eth_dst=target, **packet)
        assert UPLINK_OFPORT in [one.port for one in sent] and learning.punted == [meter_of(1)]
    learning = switch(ONE, TWO, learns=True)
    sent = learning.send(1, eth_src=ONE.mac, eth_dst=0x333300000002, **SOLICIT)
    assert UPLINK_OFPORT in [one.port for one in sent] and learning.punted == []


def test_what_a_served_vif_asks_goes_to_weir_alone() -> None:
    for packet, target in ((DISCOVER, ALL), (SOLICIT6, 0x333300010002), (SOLICIT, 0x333300000002)):
        serving = switch(ONE, TWO, served=True)
        assert serving.send(1, eth_src=ONE.mac, eth_dst=target, **packet) == []
        assert serving.punted == [meter_of(1)]


def test_copies_bear_the_vifs_cookie_and_say_what_they_are() -> None:
    state = compiled(ONE, learns=True)
    told = [body for key, body in state.flows.items() if key.table == INGRESS_CONNTRACK.id and key.priority == 210]
    assert len(told) == 3
    for body in told:
        origin = decode(body.cookie)
        assert origin is not None and (origin.kind, origin.number) == (CookieKind.SERVICE, 1)
        first = body.instructions.apply[0]
        assert (first.field, first.value) == (ASK, Ask.LEASE)  # type: ignore[union-attr]


def test_who_asks_nothing_has_no_meter_for_it() -> None:
    quiet, learning = compiled(ONE), compiled(ONE, learns=True)
    assert meter_of(1) not in quiet.meters and meter_of(1) in learning.meters
    assert meter_of(OUTSIDE) not in learning.meters
    punts = [key for key in quiet.flows if key.table == PUNT.id and key.priority == 100]
    assert punts == []


def test_a_vif_that_learns_renews_an_address_that_is_not_known_here() -> None:
    """What its server told it was missed: it asks again, and is heard, for nothing else leaves from that address."""
    mine = 0x0A000032
    for learns in (True, False):
        one = switch(ONE, learns=learns)
        for target, mac in ((1, SERVER), (0xFFFFFFFF, ALL)):
            sent = one.send(1, eth_src=ONE.mac, eth_dst=mac, **udp4(mine, target, (68, 67)))
            assert [out.port for out in sent] == ([UPLINK_OFPORT] if learns else [])
        assert one.punted == [meter_of(1)] * 2 * learns
        for ports, sender in (((67, 68), ONE.mac), ((5, 6), ONE.mac), ((68, 67), TWO.mac)):
            assert one.send(1, eth_src=sender, eth_dst=SERVER, **udp4(mine, 1, ports)) == []
    told = switch(ONE, learns=True)
    assert [one.port for one in from_outside(told, udp4(1, mine, (67, 68)), ONE.mac)] == [1]
    assert told.punted == [meter_of(1)]
