"""Where addresses are: who is told, what, and when."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import ip_interface

from ryu.lib.packet import arp, ethernet, icmpv6, ipv6, vlan
from ryu.lib.packet.packet import Packet

from controller.compiler.bridge import BridgeVif
from controller.services import announcements
from controller.services.announcements import AnnouncementBook
from controller.services.place import Place
from tests.unit.services.places import (
    GATEWAY_MAC,
    INTERNAL,
    LEARNING,
    ROUTED,
    UPLINK,
    WAY_OUT_MAC,
    mac_of,
    place,
    vif,
)

FIRST = vif(11, "internal", "10.2.0.9/24", "fd02::9/64")


def holding(*vifs: BridgeVif, remote: bool = False) -> Place:
    there = place()
    bridge = replace(there.bridge, vifs=(ROUTED, INTERNAL, LEARNING, *vifs))
    return replace(there, bridge=bridge if remote else replace(bridge, remote=()))


def text(mac: int) -> str:
    return mac.to_bytes(6, "big").hex(":")


def test_what_is_there_at_first_is_known() -> None:
    book = AnnouncementBook()
    assert book.due(holding(FIRST)) == [] == book.due(holding(FIRST))


def test_the_others_in_the_segment_hear_of_a_new_address() -> None:
    book = AnnouncementBook()
    book.due(holding())
    (ports4, frame4), (ports6, frame6) = book.due(holding(FIRST))
    assert ports4 == ports6 == (INTERNAL.ofport,)
    told = Packet(frame4).get_protocol(arp.arp)
    assert (told.opcode, told.src_mac, told.src_ip, told.dst_ip) == (1, text(mac_of(11)), "10.2.0.9", "10.2.0.9")
    assert Packet(frame4).get_protocol(ethernet.ethernet).dst == "ff:ff:ff:ff:ff:ff"
    ends, advert = Packet(frame6).get_protocol(ipv6.ipv6), Packet(frame6).get_protocol(icmpv6.icmpv6)
    assert (ends.src, ends.dst, ends.hop_limit) == ("fd02::9", "ff02::1", 255)
    assert (advert.data.dst, advert.data.res, advert.data.option.hw_src) == ("fd02::9", 0b001, text(mac_of(11)))
    assert book.due(holding(FIRST)) == []


def test_an_address_that_passes_to_another_is_told_again() -> None:
    book, later = AnnouncementBook(), replace(FIRST, number=12, ofport=112, mac=mac_of(12))
    for known in (holding(), holding(FIRST), holding()):
        book.due(known)
    assert len(book.due(holding(later))) == 2
    assert len(book.due(holding(FIRST))) == 2  # at once, as when two swap theirs
    assert book.due(holding()) == [] and book.due(holding()) == []


def test_it_is_told_beyond_the_host_where_the_segment_goes_on_there() -> None:
    book, outside = AnnouncementBook(), vif(13, "outside", "198.51.100.7/24")
    book.due(holding())
    assert [ports for ports, _ in book.due(holding(outside))] == [(LEARNING.ofport,), (UPLINK,)]
    tagged = replace(holding(outside).bridge.segments["outside"], vlan=7)
    there = holding(replace(outside, addresses=(ip_interface("198.51.100.8/24"),)))
    there = replace(there, bridge=replace(there.bridge, segments={**there.bridge.segments, "outside": tagged}))
    (_, plain), (_, out) = book.due(there)
    assert Packet(plain).get_protocol(vlan.vlan) is None and Packet(out).get_protocol(vlan.vlan).vid == 7


def test_what_comes_to_be_on_another_host_is_at_the_routers_mac() -> None:
    book = AnnouncementBook()
    book.due(holding())
    floods = book.due(holding(remote=True))
    assert [ports for ports, _ in floods] == [(ROUTED.ofport,)] * 2  # nothing of it crosses the router's uplink
    assert Packet(floods[0][1]).get_protocol(arp.arp).src_mac == text(GATEWAY_MAC)


def test_so_much_goes_at_once_and_what_went_meanwhile_is_not_told() -> None:
    many = [vif(20 + number, "internal", f"10.2.0.{20 + number}/24") for number in range(100)]
    book, here, seen = AnnouncementBook(), holding(*many), 0
    book.due(holding())
    while floods := book.due(here):
        copies = sum(len(ports) for ports, _ in floods)
        assert copies < announcements.MOST_COPIES + 101
        seen += len(floods)
    assert seen == 100
    book.due(holding())
    assert len(book.due(here)) < 100
    assert book.due(holding()) == []


def test_outside_they_hear_of_a_host_that_comes_to_answer_for_the_router() -> None:
    book = AnnouncementBook()
    book.due(place(answers=False))
    (ports4, frame4), (ports6, frame6) = book.due(place(answers=True))
    assert ports4 == ports6 == (UPLINK,)
    assert Packet(frame4).get_protocol(vlan.vlan).vid == Packet(frame6).get_protocol(vlan.vlan).vid == 7
    told, advert = Packet(frame4).get_protocol(arp.arp), Packet(frame6).get_protocol(icmpv6.icmpv6)
    assert (told.src_mac, told.src_ip, told.dst_ip) == (text(WAY_OUT_MAC), "192.0.2.2", "192.0.2.2")
    # 5: it is a router (or it would be struck from the lists of them), and replaces what is believed
    assert (advert.data.dst, advert.data.res, advert.data.option.hw_src) == ("2001:db8::2", 5, text(WAY_OUT_MAC))
    assert book.due(place(answers=True)) == [] == book.due(place(answers=False))
