"""What is read from answers to instances; Ryu's packet library makes them where it can."""

from __future__ import annotations

from ipaddress import IPv6Address, ip_interface

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ryu.lib.packet import ethernet, icmpv6, ipv6
from ryu.lib.packet.packet import Packet

from controller.services import dhcp4, dhcp6_message, ip
from controller.services.dhcp6_message import Association, Message, write_association
from controller.services.snoop import Source, Told, read_given_up, read_told
from tests.unit.services import test_dhcp4, test_dhcp6
from tests.unit.services.places import ROUTED_TERMS, mac_of

MAC, OTHER_MAC = mac_of(1), mac_of(2)
HERE, SERVER = "fe80::aa:bbff:fecc:1", "fe80::53"


def answer4(kind: int, **fields: object) -> bytes:
    frame = dhcp4.answer(ROUTED_TERMS, test_dhcp4.asks(kind, **fields))  # type: ignore[arg-type]
    assert frame is not None
    return frame


def reply6(*associations: Association, to: str = HERE, kind: int = 7) -> bytes:
    options = [(dhcp6_message.Option.IA_NA, write_association(one)) for one in associations]
    ends = IPv6Address(SERVER).packed, IPv6Address(to).packed
    data = dhcp6_message.write(Message(kind, b"xid", options))
    return ip.frame_of(0x02, MAC, ip.datagram_of(ends, (547, 546), data))


def advert(source: str = SERVER, hops: int = 255, to: str = "33:33:00:00:00:01", **prefix: object) -> bytes:
    offered = {"pl": 64, "res1": 0b110, "val_l": 1000, "pre_l": 500, "prefix": "2001:db8:1::"}
    option = icmpv6.nd_option_pi(**{**offered, **prefix})
    packet = Packet()
    packet.add_protocol(ethernet.ethernet(to, "02:00:00:00:00:99", 0x86DD))
    packet.add_protocol(ipv6.ipv6(nxt=58, src=source, dst="ff02::1", hop_limit=hops))
    packet.add_protocol(icmpv6.icmpv6(134, 0, 0, icmpv6.nd_router_advert(64, 0, 1800, 0, 0, [option])))
    packet.serialize()
    return bytes(packet.data)


def leased(text: str, valid_s: int, status: int | None = None) -> Association:
    return Association(b"iaid", ((IPv6Address(text), 1, valid_s),), status)


OWN = ip_interface("10.1.0.5/24")
MADE = ip_interface("2001:db8:1:0:aa:bbff:fecc:1/64")


@pytest.mark.parametrize(
    ("frame", "told"),
    [
        (answer4(3, o50=OWN.ip.packed), [Told(Source.DHCP4, OWN, 3600)]),
        (answer4(3, o50=OWN.ip.packed, flags=0x8000), [Told(Source.DHCP4, OWN, 3600)]),
        (answer4(3), [Told(Source.DHCP4, None)]),  # refused
        (answer4(1), []),  # an offer
        (answer4(8, ciaddr="10.1.0.5"), []),  # information
        (reply6(leased("fd09::1", 600)), [Told(Source.DHCP6, ip_interface("fd09::1/128"), 600)]),
        (reply6(leased("fd09::1", 0)), [Told(Source.DHCP6, ip_interface("fd09::1/128"), 0)]),
        (reply6(leased("fd09::1", 600, status=2)), []),
        (reply6(leased("fe80::1", 600)), []),
        (reply6(leased("ff02::1", 600)), []),
        (reply6(leased("fd09::1", 600), to="fe80::2"), []),
        (reply6(leased("fd09::1", 600), kind=2), []),
        (advert(), [Told(Source.ADVERT, MADE, 1000)]),
        (advert(to="02:aa:bb:cc:00:01"), [Told(Source.ADVERT, MADE, 1000)]),
        (advert(to="02:aa:bb:cc:00:02"), []),
        (advert(val_l=0, pre_l=0), [Told(Source.ADVERT, MADE, 0)]),
        (advert(res1=0b100), []),  # not for autonomous configuration
        (advert(pl=56), []),
        (advert(pre_l=2000), []),
        (advert(prefix="fe80::"), []),
        (advert(prefix="ff02::"), []),
        (advert(hops=64), []),
        (advert(source="2001:db8::1"), []),
        (b"", []),
    ],
)
def test_what_an_instance_is_told(frame: bytes, told: list[Told]) -> None:
    assert read_told(frame, MAC) == told


def test_what_another_is_told_is_not_for_this_one() -> None:
    assert read_told(answer4(3, o50=OWN.ip.packed, flags=0x8000), OTHER_MAC) == []
    assert read_told(reply6(leased("fd09::1", 600)), OTHER_MAC) == []


def test_what_an_instance_gives_up() -> None:
    assert read_given_up(test_dhcp4.asks(7, ciaddr="10.1.0.5")) == [Told(Source.DHCP4, None)]
    assert read_given_up(test_dhcp4.asks(4)) == [Told(Source.DHCP4, None)]
    assert read_given_up(test_dhcp4.asks(3)) == []
    released = test_dhcp6.asks(8, (3, test_dhcp6.association(IPv6Address("fd01::5"))))
    assert read_given_up(released) == [Told(Source.DHCP6, ip_interface("fd01::5/128"))]
    assert read_given_up(b"noise") == []


FRAMES = [answer4(3, o50=OWN.ip.packed), reply6(leased("fd09::1", 600)), advert()]


@given(st.sampled_from(FRAMES), st.lists(st.tuples(st.integers(0, 400), st.integers(0, 255)), max_size=6), st.data())
def test_damaged_answers_do_no_harm(frame: bytes, changes: list[tuple[int, int]], data: st.DataObject) -> None:
    damaged = bytearray(frame)
    for at, value in changes:
        damaged[at % len(damaged)] = value
    cut = bytes(damaged[: data.draw(st.integers(0, len(damaged)))])
    for told in read_told(cut, MAC):
        assert told.address is None or not (told.address.ip.is_multicast or told.address.ip.is_loopback)
    read_given_up(cut)
