"""What a DHCPv6 client is told."""

from __future__ import annotations

import struct
from dataclasses import replace
from ipaddress import IPv6Address, ip_interface

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ryu.lib.packet import ethernet, ipv6, udp
from ryu.lib.packet.packet import Packet

from controller.services import dhcp6, ip
from controller.services.dhcp6_message import Association, Message, Option, read, read_association, write
from controller.services.dhcp6_message import write_association as ia
from controller.services.terms import Terms
from tests.unit.services.places import ROUTED_TERMS

SOLICIT, ADVERTISE, REQUEST, CONFIRM, RENEW, REBIND, REPLY, RELEASE, DECLINE, RECONFIGURE, INFORMATION = range(1, 12)
CLIENT = b"\0\3\0\1\2\0\0\0\0\1"
SERVER = dhcp6.server_id(ROUTED_TERMS)
OWN, OTHER = IPv6Address("fd01::5"), IPv6Address("fd01::6")
ALL_SERVERS = IPv6Address("ff02::1:2").packed
HERE = IPv6Address("fe80::aa:bbff:fecc:1").packed


def association(*addresses: IPv6Address) -> bytes:
    return ia(Association(b"iaid", tuple((address, 0, 0) for address in addresses)))


def asks(kind: int, *options: tuple[int, bytes], client: bytes | None = CLIENT) -> bytes:
    named = [] if client is None else [(1, client)]
    packet = ip.datagram_of((HERE, ALL_SERVERS), (546, 547), write(Message(kind, b"xid", [*named, *options])))
    return ip.frame_of(0x02AABBCC0001, 0x333300010002, packet)


def told(frame: bytes, terms: Terms = ROUTED_TERMS) -> Message:
    answer = dhcp6.answer(terms, frame)
    assert answer is not None
    packet = Packet(answer)
    head, sent = packet.get_protocol(ipv6.ipv6), packet.get_protocol(udp.udp)
    assert (head.src, head.dst) == ("fe80::aa:bbff:fecc:0", "fe80::aa:bbff:fecc:1")
    assert (sent.src_port, sent.dst_port) == (547, 546)
    assert packet.get_protocol(ethernet.ethernet).dst == "02:aa:bb:cc:00:01"
    body = answer[54:]
    assert ip.checksum_of(answer[22:54] + struct.pack("!II", len(body), 17) + body) == b"\0\0"
    message = read(body[8:])
    assert message is not None and message.transaction == b"xid" and message.first(Option.SERVER_ID) == SERVER
    return message


def given_in(message: Message) -> list[tuple[str, int, int]]:
    found = read_association(message.first(Option.IA_NA) or b"")
    assert found is not None and found.id == b"iaid" and found.status is None
    return [(str(address), *times) for address, *times in found.addresses]


LEASED = [("fd01::5", 3600, 7200)]


@pytest.mark.parametrize(
    ("kind", "options", "answer"),
    [
        (SOLICIT, [(3, association())], ADVERTISE),
        (SOLICIT, [(3, association()), (14, b"")], REPLY),
        (SOLICIT, [(3, association(OTHER))], ADVERTISE),
        (REQUEST, [(2, SERVER), (3, association(OWN))], REPLY),
        (RENEW, [(2, SERVER), (3, association(OWN))], REPLY),
        (REBIND, [(3, association(OWN))], REPLY),
    ],
)
def test_a_vif_gets_its_address(kind: int, options: list[tuple[int, bytes]], answer: int) -> None:
    message = told(asks(kind, *options))
    assert (message.kind, given_in(message)) == (answer, LEASED)
    assert message.first(Option.CLIENT_ID) == CLIENT
    assert message.first(Option.DNS) == IPv6Address("fd01::53").packed
    assert (message.first(Option.RAPID_COMMIT) is None) == (answer == ADVERTISE or kind != SOLICIT)


@pytest.mark.parametrize(("kind", "server"), [(RENEW, [(2, SERVER)]), (REBIND, [])])
def test_what_it_should_not_have_ends(kind: int, server: list[tuple[int, bytes]]) -> None:
    message = told(asks(kind, *server, (3, association(OTHER, OWN))))
    assert given_in(message) == [*LEASED, ("fd01::6", 0, 0)]


def test_all_addresses_come_in_the_first_association_and_the_second_gets_none() -> None:
    terms = replace(ROUTED_TERMS, addresses6=(ip_interface("fd01::5/64"), ip_interface("fd01::7/64")))
    message = told(asks(SOLICIT, (3, association()), (3, association()), (4, b"iata"), (25, b"iapd" + bytes(8))), terms)
    assert [address for address, *_ in given_in(message)] == ["fd01::5", "fd01::7"]
    second = [value for option, value in message.options if option == 3][1]
    assert read_association(second) == Association(b"iaid", status=2)
    assert dict(message.options)[4] == b"iata\0\x0d\0\2\0\2"
    assert dict(message.options)[25] == b"iapd" + bytes(8) + b"\0\x0d\0\2\0\6"


def test_a_vif_without_ipv6_is_told_so() -> None:
    message = told(asks(SOLICIT, (3, association())), replace(ROUTED_TERMS, addresses6=()))
    assert read_association(message.first(Option.IA_NA) or b"") == Association(b"iaid", status=2)


@pytest.mark.parametrize(("addresses", "status"), [([OWN], 0), ([OTHER], 4), ([OWN, OTHER], 4)])
def test_who_has_moved_is_told_whether_its_addresses_are_right(addresses: list[IPv6Address], status: int) -> None:
    message = told(asks(CONFIRM, (3, association(*addresses))))
    assert message.first(Option.STATUS) == struct.pack("!H", status)


@pytest.mark.parametrize("kind", [RELEASE, DECLINE])
def test_what_is_given_back_is_noted_politely(kind: int) -> None:
    message = told(asks(kind, (2, SERVER), (3, association(OWN))))
    assert message.kind == REPLY and message.first(Option.STATUS) == b"\0\0"


def test_who_asks_for_information_needs_no_name() -> None:
    message = told(asks(INFORMATION, client=None))
    assert [option for option, _ in message.options] == [Option.SERVER_ID, Option.DNS]


@pytest.mark.parametrize(
    "frame",
    [
        asks(SOLICIT, (3, association()), client=None),
        asks(SOLICIT, (2, SERVER), (3, association())),
        asks(REQUEST, (3, association())),
        asks(REQUEST, (2, b"somebody else"), (3, association())),
        asks(REBIND, (2, SERVER), (3, association())),
        asks(CONFIRM, (3, association())),
        asks(CONFIRM),
        asks(INFORMATION, (3, association())),
        asks(INFORMATION, (2, b"somebody else")),
        asks(ADVERTISE),
        asks(REPLY),
        asks(RECONFIGURE),
        asks(12),
        asks(SOLICIT, client=b""),
        asks(SOLICIT, client=b"x" * 131),
        asks(SOLICIT)[:60],
    ],
)
def test_what_is_not_answered(frame: bytes) -> None:
    assert dhcp6.answer(ROUTED_TERMS, frame) is None


def test_one_datagram_can_ask_for_so_much_only() -> None:
    answer = dhcp6.answer(ROUTED_TERMS, asks(SOLICIT, *[(3, association(OTHER))] * 50, *[(25, b"")] * 50))
    assert answer is not None and len(answer) < 1000


FRAMES = [asks(SOLICIT, (3, association(OWN))), asks(RENEW, (2, SERVER), (3, association(OWN)), (25, b"x" * 12))]


@given(st.sampled_from(FRAMES), st.lists(st.tuples(st.integers(50, 200), st.integers(0, 255)), max_size=6), st.data())
def test_damaged_questions_do_no_harm(frame: bytes, changes: list[tuple[int, int]], data: st.DataObject) -> None:
    damaged = bytearray(frame)
    for at, value in changes:
        damaged[at % len(damaged)] = value
    answer = dhcp6.answer(ROUTED_TERMS, bytes(damaged[: data.draw(st.integers(0, len(damaged)))]))
    assert answer is None or read(answer[62:]) is not None


@given(st.binary(max_size=200))
def test_noise_is_no_message(noise: bytes) -> None:
    read(noise)
    read_association(noise)
    dhcp6.answer(ROUTED_TERMS, asks(SOLICIT, (3, noise[:40])) + noise)
