"""Segments: what they mean, and what is wrong with them."""

from ipaddress import IPv4Network, ip_address, ip_interface

import pytest

from policies.model import Segment, SegmentType
from policies.parser import parse
from tests.support.policy_error_lines import lines


def segment(text: str) -> Segment:
    return parse({"p": f"weir: 1\nsegments: {{s: {text}}}"}).segments["s"]


def test_a_routed_segment_has_the_first_address_of_each_subnet_for_a_gateway():
    own = segment("{type: routed, subnets: [10.20.0.0/24, 'fd00:20::/64', 10.1.0.0/31, 'fd00:1::/127']}")
    assert own.type is SegmentType.ROUTED
    assert list(map(str, own.gateways)) == ["10.20.0.1", "fd00:20::1", "10.1.0.0", "fd00:1::"]
    assert (own.uplink, own.addresses, own.via) == (None, (), ())


def test_gateways_stand_in_the_order_of_the_subnets():
    own = segment("{type: routed, subnets: [10.2.0.0/24, 10.1.0.0/24, 'fd00::/64'], gateway: ['fd00::fe', 10.2.0.254]}")
    assert own.gateways == (ip_address("10.2.0.254"), ip_address("10.1.0.1"), ip_address("fd00::fe"))


def test_the_way_out():
    own = segment(
        "{type: routed, subnets: [10.22.0.0/24], uplink: eth1, vlan: 7, "
        "address: [192.0.2.2/24, 'fe80::2/64'], via: ['fe80::1', 192.0.2.1]}"
    )
    assert (own.uplink, own.vlan) == ("eth1", 7)
    assert own.addresses == (ip_interface("192.0.2.2/24"), ip_interface("fe80::2/64"))
    assert own.via == (ip_address("fe80::1"), ip_address("192.0.2.1"))


def test_routers_share_no_network_but_link_local_ones():
    out = "uplink: w, vlan: {}, address: [{}, 'fe80::2/64']"
    a = f"a: {{type: routed, subnets: [10.1.0.0/24], {out.format(1, '192.0.2.2/24')}}}"
    b = f"b: {{type: routed, subnets: [10.2.0.0/24], {out.format(2, '192.0.2.3/24')}}}"
    assert lines(f"weir: 1\nsegments:\n  {a}\n  {b}\n") == [
        "p.yaml:4:75: segments.b.address[0]: 192.0.2.0/24 overlaps with 192.0.2.0/24 of segment 'a' at p.yaml:3:75. "
        "Choose subnets that are apart."
    ]


def test_two_addresses_of_one_network_do_not_overlap():
    assert len(segment(f"{ROUTED}, uplink: w, address: [192.0.2.2/24, 192.0.2.3/24]}}").addresses) == 2


def test_what_instances_are_told():
    for kind in ("type: internal", "type: bridged, uplink: w", "type: routed, subnets: [10.0.0.0/24]"):
        own = segment(f"{{{kind}, dns: [10.9.0.53, 'fd00::53'], mtu: 9000}}")
        assert (own.dns, own.mtu) == ((ip_address("10.9.0.53"), ip_address("fd00::53")), 9000)
    assert (segment("{type: internal}").dns, segment("{type: internal}").mtu) == ((), None)
    assert [segment(f"{{type: internal, mtu: {size}}}").mtu for size in (1280, 9216)] == [1280, 9216]


def test_all_routed_segments_share_one_next_router_of_each_ip_version():
    out = "{{type: routed, subnets: [10.{0}.0.0/24], uplink: w, vlan: {0}, address: [{1}], via: [{2}]}}"
    a, b = out.format(1, "192.0.2.2/24", "192.0.2.1"), out.format(2, "198.51.100.2/24", "198.51.100.1")
    assert lines(f"weir: 1\nsegments:\n  a: {a}\n  b: {b}\n") == [
        "p.yaml:4:3: segments.b.via: 198.51.100.1 is a second next router for IPv4, after 192.0.2.1 of segment 'a' at "
        "p.yaml:3:3. All routed segments share one router: write one 'via' of each IP version among them."
    ]
    b = out.format(2, "'2001:db8::2/64'", "'2001:db8::1'")
    assert len(parse({"p": f"weir: 1\nsegments:\n  a: {a}\n  b: {b}\n"}).segments) == 2


ROUTED = "{type: routed, subnets: [10.0.0.0/24]"
OUT = f"{ROUTED}, uplink: w, address: [192.0.2.2/24]"

WRONG = [
    (
        "{type: internal, mtu: 1279}",
        "3:28: segments.s.mtu: '1279' is not a whole number from 1280 to 9216. Write a number from 1280 to 9216.",
    ),
    (
        "{type: internal, dns: [224.0.0.1]}",
        "3:29: segments.s.dns[0]: 224.0.0.1 is not the address of a host. Write that of a name server.",
    ),
    (
        "{type: internal, dns: ['fe80::1']}",
        "3:29: segments.s.dns[0]: fe80::1 is another host on each link. "
        "Write an address of the name server that all can reach.",
    ),
    (
        "{type: internal, dns: [10.0.0.1, 10.0.0.1]}",
        "3:39: segments.s.dns[1]: 10.0.0.1 is given twice. Remove one of them.",
    ),
    (
        "{type: internal, dns: []}",
        "3:28: segments.s.dns: the list is empty. Remove the key, or put something into the list.",
    ),
    (
        f"{{type: internal, dns: [{', '.join(f'10.0.0.{n}' for n in range(1, 18))}]}}",
        "3:28: segments.s.dns: 17 name servers are more than the 16 that an instance can be told. Write fewer.",
    ),
    (
        "{type: routed, subnets: [169.254.1.0/24]}",
        "3:31: segments.s.subnets[0]: 169.254.1.0/24 holds addresses that no router forwards. "
        "Write another subnet, or make the segment internal.",
    ),
    (
        "{type: routed}",
        "3:6: segments.s.subnets: is missing; a router must know whom it finds in a segment. "
        "Add 'subnets: [10.0.0.0/24]', or make the segment internal.",
    ),
    (
        "{type: bridged, uplink: w, gateway: [10.0.0.1]}",
        "3:42: segments.s.gateway: a bridged segment has no gateway. Remove it, or make the segment routed.",
    ),
    (
        "{type: internal, address: [10.0.0.1/8]}",
        "3:32: segments.s.address: an internal segment has no address. Remove it, or make the segment routed.",
    ),
    (
        "{type: internal, via: [10.0.0.1]}",
        "3:28: segments.s.via: an internal segment has no via. Remove it, or make the segment routed.",
    ),
    (
        f"{ROUTED}, vlan: 7}}",
        "3:51: segments.s.vlan: a routed segment has no use for 'vlan' without an uplink. "
        "Add 'uplink: NAME', or remove 'vlan'.",
    ),
    (
        f"{ROUTED}, address: [192.0.2.2/24]}}",
        "3:54: segments.s.address: a routed segment has no use for 'address' without an uplink. "
        "Add 'uplink: NAME', or remove 'address'.",
    ),
    (
        f"{ROUTED}, via: [10.0.0.1]}}",
        "3:50: segments.s.via: a routed segment has no use for 'via' without an uplink. "
        "Add 'uplink: NAME', or remove 'via'.",
    ),
    (
        f"{ROUTED}, uplink: w}}",
        "3:53: segments.s.uplink: the router has no address on its uplink. "
        "Add 'address: [192.0.2.2/24]', or remove 'uplink'.",
    ),
    (
        f"{ROUTED}, gateway: 10.0.0.1}}",
        "3:54: segments.s.gateway: a text stands where a list should. Put it into brackets, as in [a, b].",
    ),
    (
        f"{ROUTED}, gateway: [10.0.1.1]}}",
        "3:55: segments.s.gateway[0]: 10.0.1.1 is in no subnet of this segment. "
        "Write an address of one of its subnets.",
    ),
    (
        f"{ROUTED}, gateway: ['fd00::1']}}",
        "3:55: segments.s.gateway[0]: fd00::1 is in no subnet of this segment. Write an address of one of its subnets.",
    ),
    (
        f"{ROUTED}, gateway: [10.0.0.255]}}",
        "3:55: segments.s.gateway[0]: 10.0.0.255 is not the address of a host in 10.0.0.0/24. "
        "Write another, such as 10.0.0.1.",
    ),
    (
        f"{ROUTED}, gateway: [10.0.0.0]}}",
        "3:55: segments.s.gateway[0]: 10.0.0.0 is not the address of a host in 10.0.0.0/24. "
        "Write another, such as 10.0.0.1.",
    ),
    (
        "{type: routed, subnets: ['fd00::/64'], gateway: ['fd00::']}",
        "3:55: segments.s.gateway[0]: fd00:: is not the address of a host in fd00::/64. "
        "Write another, such as fd00::1.",
    ),
    (
        f"{ROUTED}, gateway: [10.0.0.1, 10.0.0.2]}}",
        "3:65: segments.s.gateway[1]: subnet 10.0.0.0/24 has the gateway 10.0.0.1 already. "
        "Write at most one gateway for each subnet.",
    ),
    (
        f"{ROUTED}, gateway: [10.0.0.1/24]}}",
        "3:55: segments.s.gateway[0]: '10.0.0.1/24' is a prefix, not an address. Write '10.0.0.1'.",
    ),
    (
        "{type: routed, subnets: [10.0.0.1/32]}",
        "3:31: segments.s.subnets[0]: 10.0.0.1/32 has no address for an instance beside the gateway's. "
        "Write a shorter prefix length.",
    ),
    (
        f"{ROUTED}, uplink: w, address: [192.0.2.2]}}",
        "3:66: segments.s.address[0]: '192.0.2.2' has no prefix length. Write it, as '192.0.2.2/24'.",
    ),
    (
        f"{ROUTED}, uplink: w, address: [192.0.2.255/24]}}",
        "3:66: segments.s.address[0]: '192.0.2.255/24' is not the address of a host. "
        "Write a unicast address of the network.",
    ),
    (
        f"{ROUTED}, uplink: w, address: [192.0.2.2/24, 192.0.2.2/25]}}",
        "3:80: segments.s.address[1]: 192.0.2.2 is given twice. Remove one of them.",
    ),
    (
        f"{ROUTED}, uplink: w, address: [10.0.0.9/16]}}",
        "3:31: segments.s.subnets[0]: 10.0.0.0/24 overlaps with 10.0.0.0/16 of segment 's' at p.yaml:3:66. "
        "Choose subnets that are apart.",
    ),
    (
        f"{OUT}, via: [192.0.3.1]}}",
        "3:87: segments.s.via[0]: 192.0.3.1 is not the address of a host in a network of 'address'. "
        "Write a neighbour, or add an address in its network to 'address'.",
    ),
    (
        f"{OUT}, via: [192.0.2.2]}}",
        "3:87: segments.s.via[0]: 192.0.2.2 is the router's own 'address'. Write the address of the next router.",
    ),
    (
        f"{OUT}, via: [192.0.2.1, 192.0.2.3]}}",
        "3:98: segments.s.via[1]: 192.0.2.1 is the next IPv4 router already. Write at most one of each IP version.",
    ),
    (
        f"{ROUTED}, uplink: w, address: [192.0.2.2/24, x], via: ['fd00::1']}}",
        "3:80: segments.s.address[1]: 'x' is not an address with its prefix length. "
        "Write one such as 192.0.2.2/24 or 2001:db8::2/64.",
    ),
    (
        "{type: routed, subnets: [10.0.0.0/24, x], gateway: [10.1.0.1]}",
        "3:44: segments.s.subnets[1]: 'x' is not an address or prefix. "
        "Write one such as 10.0.0.1, 10.0.0.0/8 or fd00::/64.",
    ),
]


@pytest.mark.parametrize(("text", "line"), WRONG)
def test_what_is_wrong(text, line):
    assert lines(f"weir: 1\nsegments:\n  s: {text}\n") == [f"p.yaml:{line}"]


def test_addresses_of_a_router_are_few():
    many = ", ".join(f"10.9.{n}.1/24" for n in range(65))
    (line,) = lines(f"weir: 1\nsegments:\n  s: {ROUTED}, uplink: w, address: [{many}], via: [10.9.0.2]}}\n")
    assert line.endswith("segments.s.address: 65 addresses are more than the 64 that a router has on its uplink. "
                         "Write fewer.")  # fmt: skip


def test_many_gateways_are_found_without_trying_every_subnet(monkeypatch):
    tried = []
    contains = IPv4Network.__contains__
    monkeypatch.setattr(IPv4Network, "__contains__", lambda *pair: tried.append(pair) or contains(*pair))
    subnets = [f"10.{n >> 8}.{n & 255}.0/24" for n in range(2000)]
    gateways = [text.replace(".0/24", ".9") for text in reversed(subnets)]
    own = segment(f"{{type: routed, subnets: [{', '.join(subnets)}], gateway: [{', '.join(gateways)}]}}")
    assert str(own.gateways[0]) == "10.0.0.9"
    assert len(tried) < 10 * len(subnets)
