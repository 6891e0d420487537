"""Packets as people write them for a trace."""

from __future__ import annotations

from ipaddress import ip_address

import pytest

from controller.intent.errors import Rejected
from controller.intent.trace_question import Question, parse_question
from policies.model import Direction
from policies.semantics import Packet

A, B = ip_address("10.0.0.2"), ip_address("192.0.2.7")
C, D = ip_address("fd00::2"), ip_address("2001:db8::7")


@pytest.mark.parametrize(
    ("text", "packet"),
    [
        ("tcp 10.0.0.2:40000 > 192.0.2.7:443", Packet(A, B, 6, 40000, 443)),
        ("TCP 10.0.0.2:40000>192.0.2.7:443", Packet(A, B, 6, 40000, 443)),
        ("udp [fd00::2]:1 > [2001:db8::7]:53", Packet(C, D, 17, 1, 53)),
        ("sctp 10.0.0.2:0 > 192.0.2.7:65535", Packet(A, B, 132, 0, 65535)),
        ("icmp 10.0.0.2 > 192.0.2.7 8/0", Packet(A, B, 1, icmp_type=8, icmp_code=0)),
        ("icmp 10.0.0.2 > 192.0.2.7 3/13", Packet(A, B, 1, icmp_type=3, icmp_code=13)),
        ("icmp6 fd00::2 > [2001:db8::7] 128", Packet(C, D, 58, icmp_type=128, icmp_code=0)),
        ("ip/47 10.0.0.2 > 192.0.2.7", Packet(A, B, 47)),
        ("ip/47 10.0.0.2 > 192.0.2.7 ttl 1", Packet(A, B, 47, ttl=1)),
        ("tcp 10.0.0.2:40000 > 192.0.2.7:443  ttl 255", Packet(A, B, 6, 40000, 443, ttl=255)),
        ("icmp 10.0.0.2 > 192.0.2.7 8/0 ttl 2", Packet(A, B, 1, icmp_type=8, icmp_code=0, ttl=2)),
    ],
)
@pytest.mark.parametrize("direction", list(Direction))
def test_a_packet(text: str, packet: Packet, direction: Direction) -> None:
    assert parse_question(f" web1 {direction.value}  {text} ") == Question("web1", direction, packet)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "'' is no question for a trace"),
        ("web1 egress tcp 10.0.0.2:1 192.0.2.7:2", "Write 'VIF egress|ingress tcp SRC:PORT > DST:PORT'"),
        ("web1 out tcp 10.0.0.2:1 > 192.0.2.7:2", "'out' is no direction"),
        ("web1 egress tpc 10.0.0.2:1 > 192.0.2.7:2", "Did you mean 'tcp'?"),
        ("web1 egress ip/6 10.0.0.2 > 192.0.2.7", "protocol 6 is tcp"),
        ("web1 egress ip/256 10.0.0.2 > 192.0.2.7", "is no protocol"),
        ("web1 egress tcp 10.0.0.2 > 192.0.2.7:2", "'10.0.0.2' is no address with a port"),
        ("web1 egress tcp fd00::2:80 > [fd00::3]:80", "'fd00::2:80' is no address with a port"),
        ("web1 egress tcp 10.0.0.2:1 > 192.0.2.7:65536", "has a port beyond 65535"),
        ("web1 egress tcp 10.0.0.256:1 > 192.0.2.7:2", "'10.0.0.256' is no IP address"),
        ("web1 egress tcp 10.0.0.2:1 > [fd00::2]:2", "are of two families"),
        ("web1 egress tcp 10.0.0.2:1 > 192.0.2.7:2 8/0", "'8/0' is too much"),
        ("web1 egress tcp 10.0.0.2:1 > 192.0.2.7:2 ttl 0", "'0' is no TTL"),
        ("web1 egress tcp 10.0.0.2:1 > 192.0.2.7:2 ttl 256", "'256' is no TTL"),
        ("web1 egress tcp 10.0.0.2:1 > 192.0.2.7:2 ttl", "is no question for a trace"),
        ("web1 egress icmp 10.0.0.2 > 192.0.2.7 ttl 1", "is no type and code"),
        ("web1 egress icmp 10.0.0.2 > 192.0.2.7", "is no type and code"),
        ("web1 egress icmp 10.0.0.2 > 192.0.2.7 256", "is no type and code"),
        ("web1 egress icmp fd00::1 > fd00::2 8/0", "is no address of IPv4"),
        ("web1 egress icmp6 10.0.0.2 > 192.0.2.7 128", "is no address of IPv6"),
        ("web1 egress ip/47 10.0.0.2:1 > 192.0.2.7", "'10.0.0.2:1' is no IP address"),
        ("web1 egress icmp6 fe80::1%eth0 > fd00::2 128", "is no IP address"),
    ],
)
def test_what_is_no_packet_is_one_line_with_an_example(text: str, words: str) -> None:
    with pytest.raises(Rejected) as rejected:
        parse_question(text)
    (line,) = rejected.value.lines
    assert words in line and "\n" not in line and line.endswith((".", "?"))
