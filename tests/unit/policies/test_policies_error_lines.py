"""Each wrong input and the exact line it gives: the document and its network sections."""

import pytest

from tests.support.policy_error_lines import EMPTY, NAME, WRITE_LINES, lines

DOCUMENT = [
    ("", "p.yaml:1:1: document: the file is empty. Begin it with 'weir: 1'."),
    ("{}", "p.yaml:1:1: weir: is missing. Add 'weir: 1'."),
    ("policies: {}", "p.yaml:1:1: weir: is missing. Add 'weir: 1'."),
    ("weir: 2", "p.yaml:1:7: weir: '2' is not understood here. Write 1."),
    ("weir: true", "p.yaml:1:7: weir: 'true' is not understood here. Write 1."),
    ("weir:", "p.yaml:1:6: weir: is empty. Write a value, or remove the key."),
    ("weir: [1]", "p.yaml:1:7: weir: a list stands where one value should. Write one value."),
    ("[a]", f"p.yaml:1:1: document: a list stands where a mapping should. {WRITE_LINES}"),
    ("hello", f"p.yaml:1:1: document: a text stands where a mapping should. {WRITE_LINES}"),
    ("weir: 1\ngroups:", f"p.yaml:2:8: groups: {EMPTY}"),
    ("weir: 1\nclasses: [a]", f"p.yaml:2:10: classes: a list stands where a mapping should. {WRITE_LINES}"),
    (
        "weir: 1\nsegmnts: {}",
        "p.yaml:2:1: segmnts: unknown key 'segmnts'. The nearest valid key is 'segments'.",
    ),
    (
        "weir: 1\nclases: {}",
        "p.yaml:2:1: clases: unknown key 'clases'. The nearest valid key is 'classes'.",
    ),
    (
        "weir: 1\nxyz: 1",
        "p.yaml:2:1: xyz: unknown key 'xyz'. Valid here: weir, segments, links, services, groups, classes, policies.",
    ),
    ("weir: 1\nlinks:", f"p.yaml:2:7: links: {EMPTY}"),
]


@pytest.mark.parametrize(("text", "line"), DOCUMENT)
def test_document(text, line):
    assert lines(text) == [line]


SEGMENTS = [
    ("{}", "3:6: segments.s.type: is missing. Add 'type: bridged'."),
    ("{type: brigded}", "3:13: segments.s.type: 'brigded' is not understood here. Write bridged, routed or internal."),
    (
        "{type: bridged}",
        "3:6: segments.s.uplink: is missing; a bridged segment reaches the outside through it. "
        "Add 'uplink: NAME', or make the segment internal.",
    ),
    (
        "{type: internal, uplink: eth1}",
        "3:31: segments.s.uplink: an internal segment has no uplink. Remove it, or make the segment bridged.",
    ),
    (
        "{type: internal, vlan: 5}",
        "3:29: segments.s.vlan: an internal segment has no vlan. Remove it, or make the segment bridged.",
    ),
    (
        "{type: bridged, uplink: w, vlan: 4095}",
        "3:39: segments.s.vlan: '4095' is not a whole number from 1 to 4094. Write a number from 1 to 4094.",
    ),
    (
        "{type: bridged, uplink: w, vlan: yes}",
        "3:39: segments.s.vlan: 'yes' is not a whole number from 1 to 4094. Write a number from 1 to 4094.",
    ),
    (
        "{type: internal, subnets: []}",
        "3:32: segments.s.subnets: the list is empty. Remove the key, or put something into the list.",
    ),
    (
        "{type: internal, subnets: 10.0.0.0/8}",
        "3:32: segments.s.subnets: a text stands where a list should. Put it into brackets, as in [a, b].",
    ),
    (
        "{type: internal, subnets: [10.0.0.1/8]}",
        "3:33: segments.s.subnets[0]: '10.0.0.1/8' has bits beyond its prefix length. "
        "Write '10.0.0.0/8' for the network or '10.0.0.1' for the one address.",
    ),
    (
        "{type: internal, subnets: [10.0.0.0]}",
        "3:33: segments.s.subnets[0]: '10.0.0.0' is an address, not a subnet. "
        "Write it with its prefix length, as 10.0.0.0/24.",
    ),
    (
        "{type: internal, subnets: [10.0.0.0/33]}",
        "3:33: segments.s.subnets[0]: '10.0.0.0/33' has a prefix longer than 32 bits. Write a length from 0 to 32.",
    ),
    (
        "{type: internal, subnets: [10.0.0.0/255.0.0.0]}",
        "3:33: segments.s.subnets[0]: '10.0.0.0/255.0.0.0' is not an address or prefix. "
        "Write one such as 10.0.0.1, 10.0.0.0/8 or fd00::/64.",
    ),
    (
        "{type: internal, subnets: ['fe80::/64']}",
        "3:33: segments.s.subnets[0]: 'fe80::/64' has no addresses for instances. "
        "Write a unicast subnet, as 10.0.0.0/24 or fd00::/64.",
    ),
    (
        "{type: internal, subnets: [10.0.0.0/8, 10.2.0.0/16]}",
        "3:45: segments.s.subnets[1]: 10.2.0.0/16 overlaps with 10.0.0.0/8 of segment 's' at p.yaml:3:33. "
        "Choose subnets that are apart.",
    ),
]


@pytest.mark.parametrize(("segment", "line"), SEGMENTS)
def test_segment(segment, line):
    assert lines(f"weir: 1\nsegments:\n  s: {segment}\n") == [f"p.yaml:{line}"]


def test_two_segments_on_one_wire():
    text = "weir: 1\nsegments:\n  a: {type: bridged, uplink: w}\n  b: {type: bridged, uplink: w}\n"
    assert lines(text) == [
        "p.yaml:4:3: segments.b: is untagged on uplink 'w', as is 'a' at p.yaml:3:3. "
        "Give each segment of an uplink a 'vlan' of its own."
    ]
    tagged = text.replace("uplink: w}", "uplink: w, vlan: 7}")
    assert "is VLAN 7 on uplink 'w'" in lines(tagged)[0]


LINKS = [
    ("{}", "3:6: links.w.capacity: is missing. Add 'capacity: 10 gbit'."),
    ("{capacity: 10}", "3:17: links.w.capacity: '10' has no unit. Write '10 bit', '10 kbit', '10 mbit' or '10 gbit'."),
    ("{capacity: 0 mbit}", "3:17: links.w.capacity: a link without capacity carries nothing. Write its capacity."),
    (
        "{capacity: 1 gbit, hosts: [a b]}",
        f"3:33: links.w.hosts[0]: 'a b' cannot be the name of a host. {NAME}",
    ),
]


@pytest.mark.parametrize(("link", "line"), LINKS)
def test_link(link, line):
    assert lines(f"weir: 1\nlinks:\n  w: {link}\n") == [f"p.yaml:{line}"]


SERVICES = [
    ("tcp/99-88", "3:6: services.x: '99-88' is a range that ends before it begins. Write 88-99."),
    ("tcp/70000", "3:6: services.x: '70000' is beyond the last port. Write ports from 0 to 65535."),
    ("'tcp/80,443'", "3:6: services.x: '80,443' is not a port or a range. Write 443 or 8000-8099; several are a list."),
    ("icmp/300", "3:6: services.x: '300' is not a whole number from 0 to 255. Write a number from 0 to 255."),
    ("icmp/1/2/3", "3:6: services.x: 'icmp/1/2/3' has too many parts. Write icmp/8 or icmp/8/0."),
    ("tcp/1/2", "3:6: services.x: 'tcp/1/2' has too many parts. Write tcp/443 or tcp/8000-8099."),
    ("icmpv6/8", "3:6: services.x: 'icmpv6/8' begins with no known protocol. The nearest protocol is 'icmp6'."),
    ("ip", "3:6: services.x: 'ip' is not a service. Write 'any' for all traffic, or 'ip/47' by protocol number."),
    ("{port: 80}", "3:6: services.x.proto: is missing. Add 'proto: tcp'."),
    (
        "{proto: icmp, port: 8}",
        "3:26: services.x.port: this protocol has no ports. "
        "Remove it, or write proto tcp, udp or sctp; an ICMP type is written icmp/8.",
    ),
    (
        "{proto: tpc}",
        "3:14: services.x.proto: 'tpc' is not a protocol. Write tcp, udp, sctp, icmp, icmp6 or a protocol number.",
    ),
    ("[]", "3:6: services.x: the list is empty. Remove the key, or put something into the list."),
]


@pytest.mark.parametrize(("service", "line"), SERVICES)
def test_service(service, line):
    assert lines(f"weir: 1\nservices:\n  x: {service}\n") == [f"p.yaml:{line}"]


def test_a_service_cannot_be_named_like_a_word_of_the_language():
    assert lines("weir: 1\nservices: {tcp: tcp/80}") == [
        "p.yaml:2:12: services.tcp: 'tcp' is a word of the language. Choose another name for the service."
    ]
