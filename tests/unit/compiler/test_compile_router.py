"""Tables router, route, way_out and punt; tests/laws/test_router_meaning.py has the rest."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import ip_interface

from controller.compiler.bridge import Bridge, RemoteVif
from controller.compiler.compile import compile_bridge
from controller.compiler.parts import Memo
from controller.dataplane.actions import SetField
from controller.dataplane.asks import Ask
from controller.dataplane.cookies import LEARNED, CookieKind, decode
from controller.dataplane.entries import PacketMeterBody
from controller.dataplane.meter_ids import NEIGHBOUR_METER, SERVICE_METERS
from controller.dataplane.pipeline import PUNT, ROUTE, ROUTER, check
from controller.dataplane.registers import FLOOD_CHUNK, MOST_BYTES
from policies.parser import parse
from tests.support.bridges import ROUTER_MAC, UPLINK_OFPORT, Vif, bridge_of, identities_of
from tests.support.flow_interpreter import FlowInterpreter, Sent

POLICY = """weir: 1
segments:
  front: {type: routed, subnets: [10.1.0.0/24]}
  edge: {type: routed, subnets: [10.2.0.0/24], uplink: wan, address: [192.0.2.2/24], via: [192.0.2.1]}
  office: {type: bridged, uplink: lan, vlan: 9}
policies: {p: {unmatched: allow}}
"""
HERE = Vif(1, "p", ("10.1.0.11/24",), "front")
THERE_MAC = ROUTER_MAC + 1


def made(*vifs: Vif, remote: tuple[RemoteVif, ...] = (), text: str = POLICY) -> Bridge:
    return replace(bridge_of(parse({"p": text}), vifs, identities_of(vifs)), remote=remote)


def ask_of(bridge: Bridge, in_port: int, **fields: int) -> int | None:
    """What the controller is asked about a packet, None: nothing."""
    state = compile_bridge(bridge)
    asked = []
    switch = FlowInterpreter(state)
    run = switch._run

    def noting(table: int, packet: dict[str, int], sent: list[Sent]) -> None:
        if table == PUNT.id:
            asked.append(packet["reg7"])
        run(table, packet, sent)

    switch._run = noting  # type: ignore[method-assign]
    switch.send(in_port, vlan_vid=0, **fields)
    return asked[0] if asked else None


def udp(destination: str, ttl: int = 64) -> dict[str, int]:
    to = int(ip_interface(destination).ip)
    source = int(ip_interface("10.1.0.11").ip)
    ends = {"eth_src": HERE.mac, "eth_dst": 0x02AABBCC0000, "ipv4_src": source, "ipv4_dst": to}
    return {**ends, "eth_type": 0x800, "ip_proto": 17, "udp_src": 5, "udp_dst": 6, "ip_ttl": ttl}


def test_what_the_controller_is_asked_about() -> None:
    remote = (RemoteVif(9, (ip_interface("10.1.0.19/24"),), "front", None, THERE_MAC),)
    bridge = made(HERE, remote=remote)
    asks = {to: ask_of(bridge, 1, **udp(to)) for to in ("10.1.0.77", "10.1.0.19", "192.0.2.9", "203.0.113.1")}
    assert asks == {
        "10.1.0.77": Ask.NO_HOST, "10.1.0.19": Ask.NO_HOST, "192.0.2.9": Ask.NEIGHBOUR, "203.0.113.1": Ask.NEIGHBOUR,
    }  # fmt: skip
    assert ask_of(bridge, 1, **udp("203.0.113.1", ttl=1)) == Ask.TTL_EXCEEDED
    assert ask_of(made(HERE, text=POLICY.replace(", via: [192.0.2.1]", "")), 1, **udp("203.0.113.1")) == Ask.NO_ROUTE
    assert ask_of(bridge, 1, **udp("224.0.0.9")) is None and ask_of(bridge, 1, **udp("10.1.0.255")) is None


SIZES = POLICY.replace("  office:", "  back: {type: routed, subnets: [10.3.0.0/24], mtu: 1300}\n  office:")
BACK = Vif(2, "p", ("10.3.0.11/24",), "back")


ADVERT_FIELDS = {"nd_reserved", "nd_options_type"}  # that the kernel's datapath cannot set


def test_where_the_switch_cannot_make_an_advertisement_the_controller_is_asked() -> None:
    text = POLICY.replace("10.1.0.0/24]", "10.1.0.0/24, fd01::/64]").replace(
        "address: [192.0.2.2/24], via: [192.0.2.1]", "address: ['2001:db8::2/64'], via: ['2001:db8::1']"
    )
    here = Vif(1, "p", ("10.1.0.11/24", "fd01::11/64"), "front")
    remote = RemoteVif(8, (ip_interface("fd01::18/64"),), "front", "edge", THERE_MAC)
    switch = made(here, remote=(remote,), text=text)
    bare = replace(switch, writes_adverts=False)

    def solicit(target: str, in_port: int, mac: int, source: str, sll: int) -> dict[str, int]:
        ends = {"eth_src": mac, "eth_dst": 0x3333FF000001, "ipv6_src": int(ip_interface(source).ip)}
        about = {"ipv6_nd_target": int(ip_interface(target).ip), "ipv6_nd_sll": sll}
        kind = {"eth_type": 0x86DD, "ip_proto": 58, "icmpv6_type": 135, "icmpv6_code": 0, "ip_ttl": 255}
        return {"in_port": in_port, "ipv6_dst": int(ip_interface("fd01::99").ip), **ends, **kind, **about}

    inside = [solicit(target, 1, here.mac, "fd01::11", here.mac) for target in ("fd01::1", "fd01::18")]
    outside = [solicit("2001:db8::2", UPLINK_OFPORT, 0x0200000000AA, "2001:db8::1", sll) for sll in (0xAA, 0)]
    for packet in (*inside, *outside):
        assert ask_of(bare, **packet) == Ask.NEIGHBOUR_SOLICIT and ask_of(switch, **packet) is None
    assert fields_set(switch) >= ADVERT_FIELDS and not ADVERT_FIELDS & fields_set(bare)
    assert check(compile_bridge(bare)) == []


def fields_set(bridge: Bridge) -> set[str]:
    bodies = compile_bridge(bridge).flows.values()
    return {one.field for body in bodies for one in body.instructions.apply if isinstance(one, SetField)}


def test_what_goes_where_less_is_taken_is_measured_as_it_came() -> None:
    remote = (RemoteVif(9, (ip_interface("10.3.0.19/24"),), "back", "edge", THERE_MAC),)
    bridge = made(HERE, BACK, remote=remote, text=SIZES)
    assert check(compile_bridge(bridge)) == []
    for destination in ("10.3.0.11", "10.3.0.19"):
        assert ask_of(bridge, 1, **udp(destination), frame_bytes=1314) is None
        assert ask_of(bridge, 1, **udp(destination), frame_bytes=1315) is Ask.TOO_BIG
        assert ask_of(bridge, 1, **udp(destination, ttl=1), frame_bytes=1315) is Ask.TTL_EXCEEDED
    assert ask_of(bridge, 1, **udp("198.51.100.1"), frame_bytes=9000) is Ask.NEIGHBOUR, "no routed segment takes more"
    assert (
        ask_of(bridge, 2, **{**udp("10.1.0.11"), "eth_src": BACK.mac, "ipv4_src": 0x0A03000B}, frame_bytes=9000) is None
    )


def test_what_has_been_measured_is_forgotten() -> None:
    """Its registers are those of what comes after: who receives it, and where in a flood."""
    state = compile_bridge(made(HERE, BACK, text=SIZES))
    (sent,) = FlowInterpreter(state).send(1, vlan_vid=0, **udp("10.3.0.11"), frame_bytes=1314)
    assert sent.port == BACK.number
    fits = [body for key, body in state.flows.items() if key.table == ROUTE.id and key.priority == 300]
    cleared = {SetField(FLOOD_CHUNK, 0), SetField(MOST_BYTES, 0)}
    assert [cleared <= set(body.instructions.apply) for body in fits].count(True) == 1


def test_each_vif_asks_within_a_meter_of_its_own() -> None:
    state = compile_bridge(made(HERE, Vif(2, "p", (), "office")))
    assert {number for number in state.meters if number in SERVICE_METERS} == {
        SERVICE_METERS.start, SERVICE_METERS.start + 1, NEIGHBOUR_METER,
    }  # fmt: skip
    assert isinstance(state.meters[SERVICE_METERS.start], PacketMeterBody)
    punts = [decode(body.cookie) for key, body in state.flows.items() if key.table == PUNT.id]
    assert {origin.number for origin in punts if origin and origin.kind is CookieKind.SERVICE} == {0, 1}
    assert check(state) == []


def test_who_scans_the_subnets_from_outside_does_not_use_up_what_neighbours_answer() -> None:
    switch = FlowInterpreter(compile_bridge(made(HERE)))
    scan = {**udp("10.1.0.77"), "eth_src": 0x0211, "eth_dst": ROUTER_MAC, "ipv4_src": int(ip_interface("1.2.3.4").ip)}
    assert switch.send(UPLINK_OFPORT, vlan_vid=0, **scan) == [] and switch.punted == [SERVICE_METERS.start]
    answer = {"eth_src": 0x0211, "eth_dst": ROUTER_MAC, "eth_type": 0x806, "arp_op": 2, "arp_sha": 0x0211}
    switch.send(UPLINK_OFPORT, vlan_vid=0, **answer, arp_spa=0xC0000201, arp_tpa=0xC0000202)
    assert switch.punted == [SERVICE_METERS.start, NEIGHBOUR_METER]


def test_a_vif_whose_addresses_weir_chose_asks_weir_alone() -> None:
    bridge = made(HERE)
    served = replace(bridge, vifs=tuple(replace(vif, is_served=True) for vif in bridge.vifs))
    request = {"eth_src": HERE.mac, "eth_dst": 0xFFFFFFFFFFFF, "eth_type": 0x800, "ip_proto": 17, "ip_ttl": 64}
    request |= {"ipv4_src": 0, "ipv4_dst": 0xFFFFFFFF, "udp_src": 68, "udp_dst": 67}
    assert ask_of(served, 1, **request) == Ask.DHCP4
    assert ask_of(bridge, 1, **request) is None


def test_what_a_vif_is_told_from_outside_is_copied_and_reaches_it() -> None:
    bridge = made(Vif(2, "p", (), "office"))
    learning = replace(bridge.segments["office"], learns=True)
    state = compile_bridge(replace(bridge, segments={**bridge.segments, "office": learning}))
    switch = FlowInterpreter(state)
    offer = {"eth_src": 0x0211, "eth_dst": 0x020000000002, "eth_type": 0x800, "ip_proto": 17, "udp_src": 67}
    sent = switch.send(UPLINK_OFPORT, vlan_vid=0x1009, **offer, udp_dst=68, ipv4_src=1, ipv4_dst=2, ip_ttl=64)
    assert [one.port for one in sent] == [2] and switch.punted == [SERVICE_METERS.start + 2]


def test_a_remote_vif_is_reached_through_its_hosts_router() -> None:
    remote = (RemoteVif(9, (ip_interface("10.1.0.19/24"),), "front", "edge", THERE_MAC),)
    (sent,) = FlowInterpreter(compile_bridge(made(HERE, remote=remote))).send(1, vlan_vid=0, **udp("10.1.0.19"))
    assert (sent.port, sent.packet["eth_dst"], sent.packet["eth_src"]) == (UPLINK_OFPORT, THERE_MAC, ROUTER_MAC)
    assert sent.packet["ip_ttl"] == 63


def test_a_remote_vif_with_the_gateways_address_stops_no_bridge() -> None:
    remote = (RemoteVif(9, (ip_interface("10.1.0.1/24"),), "front", "edge", THERE_MAC),)
    asked = {"eth_src": HERE.mac, "eth_dst": 0xFFFFFFFFFFFF, "eth_type": 0x806, "arp_op": 1, "arp_sha": HERE.mac}
    ends = {"arp_spa": 0x0A01000B, "arp_tpa": 0x0A010001}
    (sent,) = FlowInterpreter(compile_bridge(made(HERE, remote=remote))).send(1, vlan_vid=0, **asked, **ends)
    assert (sent.packet["arp_sha"], sent.packet["arp_spa"]) == (0x02AABBCC0000, 0x0A010001)


def test_what_another_hosts_router_sends_goes_to_vifs_here_and_never_back() -> None:
    remote = (RemoteVif(9, (ip_interface("10.1.0.19/24"),), "front", "edge", THERE_MAC),)
    switch = FlowInterpreter(compile_bridge(made(HERE, remote=remote)))
    between = {"eth_src": THERE_MAC, "eth_dst": ROUTER_MAC, "ipv4_src": int(ip_interface("10.2.0.9").ip)}
    came = switch.send(UPLINK_OFPORT, vlan_vid=0, **{**udp("10.1.0.11"), **between})
    assert [one.port for one in came] == [1]
    for destination in ("10.1.0.19", "203.0.113.1"):
        assert switch.send(UPLINK_OFPORT, vlan_vid=0, **{**udp(destination), **between}) == []


def test_neighbours_are_learned_into_a_table_of_the_switchs_own() -> None:
    learns = [
        action
        for body in compile_bridge(made(HERE)).flows.values()
        for action in body.instructions.apply
        if type(action).__name__ == "Learn"
    ]
    assert learns and {learn.cookie >> 48 for learn in learns} == {LEARNED >> 48}  # type: ignore[union-attr]


def test_neighbours_of_another_network_are_forgotten() -> None:
    """Those learned on another port or in another VLAN; what it learned stays in a switch over a change of policy."""
    before, moved = made(HERE), made(HERE, text=POLICY.replace("uplink: wan,", "uplink: wan, vlan: 5,"))
    edge = before.segments["edge"]
    other_port = replace(before, segments={**before.segments, "edge": replace(edge, uplink_ofports=(7,))})
    switch = FlowInterpreter(compile_bridge(before))
    answer = {"eth_src": 0x0211, "eth_dst": ROUTER_MAC, "eth_type": 0x806, "arp_op": 2, "arp_sha": 0x0211}
    switch.send(UPLINK_OFPORT, vlan_vid=0, **answer, arp_spa=0xC0000201, arp_tpa=0xC0000202)
    for bridge, ports in ((before, [UPLINK_OFPORT]), (moved, []), (other_port, []), (before, [UPLINK_OFPORT])):
        switch.hold(compile_bridge(bridge))
        sent = switch.send(1, vlan_vid=0, **udp("203.0.113.1"))
        assert [(one.port, one.packet["eth_dst"]) for one in sent] == [(port, 0x0211) for port in ports]


def test_one_vif_more_compiles_nothing_of_the_others_anew() -> None:
    vifs = [Vif(number, "p", (f"10.1.0.{number + 10}/24",), "front") for number in range(1, 60)]
    memo = Memo()
    before = compile_bridge(made(*vifs[:-1]), memo)
    after = compile_bridge(made(*vifs), memo)
    kept = {id(body) for body in before.flows.values()}
    new = [key for key, body in after.flows.items() if key.table in (ROUTER.id, ROUTE.id) and id(body) not in kept]
    assert len(new) <= 3 and after == compile_bridge(made(*vifs))


def test_a_bridge_without_routed_segments_has_no_router() -> None:
    text = "weir: 1\nsegments: {front: {type: internal}}\npolicies: {p: {}}"
    state = compile_bridge(made(HERE, text=text))
    assert not [key for key in state.flows if key.table in (ROUTE.id, PUNT.id)]
