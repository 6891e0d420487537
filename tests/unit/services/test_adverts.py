"""Router advertisements: what they say as Ryu reads it, to whom, and when."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import IPv6Network, ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ryu.lib.packet import ethernet, icmpv6, ipv6
from ryu.lib.packet.packet import Packet

from controller.services import adverts, discovery
from controller.services.adverts import LIFETIME_S, MOST_AT_ONCE, PERIOD_S, AdvertBook
from tests.support import frames
from tests.unit.services.places import GATEWAY_MAC, INTERNAL_TERMS, ROUTED_TERMS, mac_of

ROUTER, HERE = "fe80::aa:bbff:fecc:0", "fe80::aa:bbff:fecc:1"


def solicits(source: str = HERE, option: bytes = discovery.link_option(1, mac_of(1)), hops: int = 255) -> bytes:
    body = frames.icmp6(source, "ff02::2", 133, bytes(4) + option)
    frame = frames.ether("02:aa:bb:cc:00:01", "33:33:00:00:00:02", 0x86DD, frames.ipv6(source, "ff02::2", 58, body))
    return frame[:21] + bytes([hops]) + frame[22:]


def test_what_a_routed_vif_is_told() -> None:
    packet = Packet(adverts.answer(ROUTED_TERMS, solicits()))
    ends = packet.get_protocol(ipv6.ipv6)
    assert (ends.src, ends.dst, ends.hop_limit) == (ROUTER, HERE, 255)
    assert packet.get_protocol(ethernet.ethernet).dst == "02:aa:bb:cc:00:01"
    advert = packet.get_protocol(icmpv6.icmpv6).data
    assert (advert.ch_l, advert.res, advert.rou_l) == (64, 0b11, LIFETIME_S)  # M and O
    options = {option[0] if isinstance(option, bytes) else option.option_type(): option for option in advert.options}
    assert options[1].hw_src == "02:aa:bb:cc:00:00"
    prefix = options[3]
    assert (prefix.prefix, prefix.pl, prefix.res1, prefix.val_l) == ("fd01::", 64, 0b100, LIFETIME_S)  # L, not A
    assert options[5] == b"\5\1\0\0" + (1400).to_bytes(4, "big")
    assert options[25] == b"\x19\3\0\0" + LIFETIME_S.to_bytes(4, "big") + ip_address("fd01::53").packed


def test_without_a_gateway_it_is_no_router() -> None:
    advert = Packet(adverts.answer(INTERNAL_TERMS, solicits())).get_protocol(icmpv6.icmpv6).data
    assert (advert.rou_l, advert.res) == (0, 0b11)


def test_who_has_no_address_yet_is_answered_as_all_are() -> None:
    answer = adverts.answer(ROUTED_TERMS, solicits("::", b""))
    assert answer == adverts.unasked(ROUTED_TERMS)
    ends = Packet(answer).get_protocol(ipv6.ipv6)
    assert (ends.src, ends.dst) == (ROUTER, "ff02::1")


@pytest.mark.parametrize(
    "frame", [solicits(hops=64), solicits(option=b"\1\0"), solicits(option=b"\1\2" + bytes(6)), solicits()[:60], b""]
)
def test_what_is_not_answered(frame: bytes) -> None:
    assert adverts.answer(ROUTED_TERMS, frame) is None


def test_a_damaged_solicitation_is_not_answered() -> None:
    frame = solicits()
    assert adverts.answer(ROUTED_TERMS, frame) is not None
    assert adverts.answer(ROUTED_TERMS, frame[:-1] + bytes([frame[-1] ^ 1])) is None


def test_a_segment_without_ipv6_hears_nothing() -> None:
    terms = replace(ROUTED_TERMS, prefixes6=())
    assert adverts.answer(terms, solicits()) is None and adverts.unasked(terms) is None


@given(st.binary(max_size=120), st.booleans())
def test_noise_does_no_harm(noise: bytes, behind_headers: bool) -> None:
    frame = solicits()[:54] + noise if behind_headers else noise
    adverts.answer(ROUTED_TERMS, frame)
    adverts.read_prefixes(frame)
    adverts.read_prefixes((adverts.unasked(ROUTED_TERMS) or b"")[:70] + noise)


WANTED = {number: b"told" for number in range(1, 1001)}


def sent_in(book: AdvertBook, seconds: int, start_s: int, wanted: dict[int, bytes]) -> list[list[int]]:
    """VIF numbers, second by second."""
    return [[number for number, _ in book.due(wanted, float(start_s + second))] for second in range(seconds)]


def test_a_thousand_vifs_are_told_again_and_again_and_never_many_at_once() -> None:
    book = AdvertBook(0.0)
    rounds = sent_in(book, 1900, 0, WANTED)
    told = [number for numbers in rounds for number in numbers]
    assert max(map(len, rounds)) <= 60  # 1,000 in 30 s at first, and later in 150 s
    counts = {told.count(number) for number in WANTED}
    assert counts <= {4, 5}
    first = {number for numbers in rounds[:31] for number in numbers}
    assert first == set(WANTED)
    assert PERIOD_S < LIFETIME_S / 10


def test_a_new_vif_is_told_at_once() -> None:
    book = AdvertBook(0.0)
    book.due({}, 0.0)
    assert book.due({7: b"told"}, 5.0) == [(7, b"told")]
    assert not book.due({7: b"told"}, 6.0)


def test_what_has_changed_is_told_at_once_a_few_at_a_time() -> None:
    book = AdvertBook(0.0)
    sent_in(book, 31, 0, WANTED)
    changed = dict.fromkeys(WANTED, b"changed")
    told: list[int] = []
    for turn in range(20):
        sent = book.due(changed, 31.0 + turn / 4)
        assert len(sent) <= MOST_AT_ONCE and all(frame == b"changed" for _, frame in sent)
        told += [number for number, _ in sent]
    assert sorted(told) == sorted(WANTED)


def test_a_vif_that_has_gone_is_forgotten() -> None:
    book = AdvertBook(0.0)
    book.due({7: b"told"}, 1.0)
    book.due({}, 2.0)
    assert book.due({7: b"told"}, 3.0) == [(7, b"told")]


def test_of_what_a_router_outside_offers_so_many_prefixes_are_read() -> None:
    prefixes = tuple(IPv6Network((0x2001_0DB8 << 96 | at << 64, 64)) for at in range(44))
    head = adverts._HEAD.pack(discovery.ROUTER_ADVERT, 0, 0, 64, 0, 1800, 0, 0)
    options = [adverts._PREFIX.pack(3, 4, 64, 0xC0, 900, 900, one.network_address.packed) for one in prefixes]
    offered = adverts.read_prefixes(discovery.to_all_nodes(GATEWAY_MAC, head + b"".join(options)))
    assert offered is not None and [one.network for one in offered] == list(prefixes[:16])
