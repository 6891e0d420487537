"""What a DHCP client is told; Ryu's packet library asks and reads the answers."""

from __future__ import annotations

import struct
from dataclasses import replace
from ipaddress import IPv4Address, ip_interface

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ryu.lib.packet import dhcp, ethernet, ipv4, udp
from ryu.lib.packet.packet import Packet

from controller.services import dhcp4, ip
from controller.services.dhcp4_message import Message, read, write
from controller.services.terms import Terms
from tests.unit.services.places import GATEWAY_MAC, INTERNAL_TERMS, ROUTED_TERMS, mac_of

DISCOVER, OFFER, REQUEST, DECLINE, ACK, NAK, RELEASE, INFORM = range(1, 9)
BROADCAST = "ff:ff:ff:ff:ff:ff"
MAC = "02:aa:bb:cc:00:01"


def packed(text: str) -> bytes:
    return IPv4Address(text).packed


def asks(kind: int, mac: str = MAC, source: str = "0.0.0.0", **fields: object) -> bytes:
    """A client's frame. fields: of Ryu's dhcp, and options by their number as in o50."""
    options = [dhcp.option(int(name[1:]), value) for name, value in fields.items() if name[1:].isdigit()]
    more = {name: value for name, value in fields.items() if not name[1:].isdigit()}
    listed = dhcp.options([dhcp.option(53, bytes([kind])), *options])
    packet = Packet()
    packet.add_protocol(ethernet.ethernet(BROADCAST, MAC, 0x0800))
    packet.add_protocol(ipv4.ipv4(proto=17, src=source, dst="255.255.255.255"))
    packet.add_protocol(udp.udp(68, 67))
    packet.add_protocol(dhcp.dhcp(**{"op": 1, "chaddr": mac, "xid": 0xABCD, "options": listed, **more}))
    packet.serialize()
    return bytes(packet.data)


class Answer:
    """As Ryu reads it."""

    def __init__(self, frame: bytes | None) -> None:
        assert frame is not None
        packet = Packet(frame)
        self.ethernet, self.ip = packet.get_protocol(ethernet.ethernet), packet.get_protocol(ipv4.ipv4)
        self.udp, self.message = packet.get_protocol(udp.udp), packet.get_protocol(dhcp.dhcp)
        self.options = {one.tag: one.value for one in self.message.options.option_list}
        assert (self.udp.src_port, self.udp.dst_port, self.message.op, self.message.xid) == (67, 68, 2, 0xABCD)
        assert self.ethernet.src == "02:aa:bb:cc:00:00"

    @property
    def kind(self) -> int:
        return int(self.options[53][0])


def told(terms: Terms, frame: bytes) -> Answer:
    return Answer(dhcp4.answer(terms, frame))


def test_a_routed_vif_is_offered_its_address_and_its_network() -> None:
    answer = told(ROUTED_TERMS, asks(DISCOVER))
    assert (answer.kind, answer.message.yiaddr) == (OFFER, "10.1.0.5")
    assert answer.options[1] == packed("255.255.255.0") and answer.options[28] == packed("10.1.0.255")
    assert answer.options[3] == answer.options[54] == packed("10.1.0.1")
    assert answer.options[121] == b"\0" + packed("10.1.0.1")
    assert answer.options[6] == packed("10.1.0.53") and answer.options[26] == struct.pack("!H", 1400)
    times = [struct.unpack("!I", answer.options[option])[0] for option in (58, 59, 51)]
    assert times == [1800, 3150, 3600]


def test_without_a_gateway_there_is_no_route_and_a_server_that_is_nobodys_address() -> None:
    answer = told(INTERNAL_TERMS, asks(DISCOVER, mac="02:aa:bb:cc:00:02"))
    assert answer.message.yiaddr == "10.2.0.5"
    assert answer.options[54] == packed("169.254.169.254") and answer.ip.src == "169.254.169.254"
    assert not {3, 121, 6} & answer.options.keys()
    assert struct.unpack("!II", answer.options[58] + answer.options[59]) == (1800, 1830)


@pytest.mark.parametrize(
    ("fields", "ends"),
    [
        ({}, (MAC, "10.1.0.5")),
        ({"flags": 0x8000}, (BROADCAST, "255.255.255.255")),
        ({"ciaddr": "10.1.0.5", "source": "10.1.0.5"}, (MAC, "10.1.0.5")),
    ],
)
def test_an_answer_goes_where_the_client_can_hear_it(fields: dict[str, object], ends: tuple[str, str]) -> None:
    answer = told(ROUTED_TERMS, asks(REQUEST, o50=packed("10.1.0.5"), **fields))  # type: ignore[arg-type]
    assert (answer.kind, answer.ethernet.dst, answer.ip.dst) == (ACK, *ends)


OWN, OTHER, SERVER = packed("10.1.0.5"), packed("10.1.0.6"), packed("10.1.0.1")


@pytest.mark.parametrize(
    ("frame", "kind"),
    [
        (asks(REQUEST, o50=OWN, o54=SERVER), ACK),  # selecting
        (asks(REQUEST, o50=OWN), ACK),  # after a reboot
        (asks(REQUEST, ciaddr="10.1.0.5"), ACK),  # renewing, rebinding
        (asks(REQUEST, o50=OTHER, o54=SERVER), NAK),
        (asks(REQUEST, o50=OTHER), NAK),
        (asks(REQUEST, ciaddr="10.1.0.6"), NAK),
        (asks(REQUEST), NAK),
        (asks(INFORM, ciaddr="10.1.0.5"), ACK),
        (asks(DISCOVER, o80=b""), ACK),  # rapid commit
    ],
)
def test_requests(frame: bytes, kind: int) -> None:
    answer = told(ROUTED_TERMS, frame)
    assert answer.kind == kind
    if kind == NAK:
        assert answer.ethernet.dst == BROADCAST and answer.message.yiaddr == "0.0.0.0"
        assert answer.options.keys() == {53, 54}
    else:
        assert 1 in answer.options and (80 in answer.options) == (frame == asks(DISCOVER, o80=b""))


def test_who_has_an_address_of_its_own_is_only_informed() -> None:
    answer = told(ROUTED_TERMS, asks(INFORM, ciaddr="10.1.0.5"))
    assert answer.message.yiaddr == "0.0.0.0" and not {51, 58, 59} & answer.options.keys()


@pytest.mark.parametrize(
    "frame",
    [
        asks(REQUEST, o50=OWN, o54=packed("10.1.0.99")),  # another server's
        asks(DECLINE, o50=OWN, o54=SERVER),
        asks(RELEASE, ciaddr="10.1.0.5", o54=SERVER),
        asks(INFORM, ciaddr="10.1.0.77"),
        asks(DISCOVER, mac="02:aa:bb:cc:00:09"),
        asks(DISCOVER, giaddr="10.1.0.9"),
        asks(DISCOVER, op=2),
        asks(OFFER),
        asks(77),
        asks(DISCOVER)[:200],
        b"",
    ],
)
def test_what_is_not_answered(frame: bytes) -> None:
    assert dhcp4.answer(ROUTED_TERMS, frame) is None


def test_without_an_address_of_this_family_nothing_is_answered() -> None:
    assert dhcp4.answer(replace(ROUTED_TERMS, address4=None), asks(DISCOVER)) is None


def test_a_point_to_point_subnet_has_no_broadcast_address() -> None:
    terms = replace(ROUTED_TERMS, address4=ip_interface("10.1.0.5/31"), gateway4=IPv4Address("10.1.0.4"))
    assert 28 not in told(terms, asks(DISCOVER)).options


FRAMES = [asks(DISCOVER), asks(REQUEST, o50=OWN, o54=SERVER), asks(INFORM, ciaddr="10.1.0.5")]


@given(st.sampled_from(FRAMES), st.lists(st.tuples(st.integers(0, 400), st.integers(0, 255)), max_size=6), st.data())
def test_damaged_questions_do_no_harm(frame: bytes, changes: list[tuple[int, int]], data: st.DataObject) -> None:
    damaged = bytearray(frame)
    for at, value in changes:
        damaged[at % len(damaged)] = value
    answer = dhcp4.answer(ROUTED_TERMS, bytes(damaged[: data.draw(st.integers(0, len(damaged)))]))
    if answer is not None:
        assert Packet(answer).get_protocol(dhcp.dhcp).chaddr == MAC and answer[6:12] == GATEWAY_MAC.to_bytes(6, "big")


@given(st.binary(max_size=600))
def test_noise_is_no_message(noise: bytes) -> None:
    read(noise)
    read(write(Message(1, 1, mac_of(1), 1))[:240] + noise)


def test_an_option_in_parts_is_one() -> None:
    data = write(Message(1, 1, mac_of(1), DISCOVER))[:240]
    message = read(data + b"\x35\x01\x01\x0c\x02ab\x00\x0c\x01c\xff\x0c\x01d")
    assert message is not None and message.options == {53: b"\1", 12: b"abc"}


@pytest.mark.parametrize("id_", [b"\x01abcdef", bytes(range(256)) + b"long"])
def test_whoever_names_itself_finds_that_in_every_answer(id_: bytes) -> None:
    """RFC 6842. What is over 255 bytes is in parts."""
    for kind, wanted in ((DISCOVER, "10.1.0.5"), (REQUEST, "10.1.0.5"), (REQUEST, "10.9.9.9")):
        named = Message(1, 1, mac_of(1), kind, {50: packed(wanted), 61: id_})
        packet = ip.datagram_of((bytes(4), b"\xff" * 4), (68, 67), write(named))
        frame = dhcp4.answer(ROUTED_TERMS, ip.frame_of(mac_of(1), 0xFFFF_FFFF_FFFF, packet))
        assert frame is not None
        datagram = ip.read_datagram(frame)
        answer = read(datagram.data) if datagram is not None else None
        assert answer is not None and answer.options[61] == id_
    assert 61 not in told(ROUTED_TERMS, asks(DISCOVER)).options
