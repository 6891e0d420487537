"""The packet that `weir trace` is asked about, as written: 'web1 egress tcp 10.0.0.2:40000 > 192.0.2.7:443'. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from ipaddress import ip_address

from controller.intent.errors import Rejected
from policies.grammar import ICMP_PROTOCOLS, PORT_PROTOCOLS, PROTOCOLS
from policies.model import Direction, IPAddress
from policies.semantics import Packet
from policies.wording import nearest, quoted

_QUESTION = re.compile(r"(\S+)\s+(\S+)\s+(\S+)\s+(\S+)\s*>\s*(\S+)(?:\s+(?!ttl\b)(\S+))?(?:\s+ttl\s+(\S+))?")
_BRACKETED = re.compile(r"\[([^\[\]]+)\]:(\d+)")
_PLAIN = re.compile(r"([0-9.]+):(\d+)")
_FORM = "Write 'VIF egress|ingress tcp SRC:PORT > DST:PORT'"
_ICMP_VERSIONS = {"icmp": 4, "icmp6": 6}
_EXAMPLES = {
    **{name: f"'VIF egress {name} 10.0.0.2:40000 > 192.0.2.7:443', or [fd00::2]:40000" for name in PORT_PROTOCOLS},
    "icmp": "'VIF egress icmp 10.0.0.2 > 192.0.2.7 8/0'",
    "icmp6": "'VIF egress icmp6 fd00::2 > fd00::7 128/0'",
    "ip": "'VIF egress ip/47 10.0.0.2 > 192.0.2.7'",
}


@dataclass(frozen=True, slots=True)
class Question:
    """The VIF whose judgement is asked for, and the first packet of a connection."""

    vif: str
    direction: Direction
    packet: Packet


def parse_question(text: str) -> Question:
    """Raises Rejected with one line."""
    found = _QUESTION.fullmatch(text.strip())
    if found is None:
        raise Rejected([f"{quoted(text)} is no question for a trace. {_FORM}."])
    vif, direction, protocol, source, destination, rest, ttl = found.groups()
    if direction not in ("egress", "ingress"):
        raise Rejected([f"{quoted(direction)} is no direction. Write egress (it leaves the VIF) or ingress."])
    packet = _packet(protocol.lower(), source, destination, rest)
    return Question(vif, Direction(direction), packet if ttl is None else replace(packet, ttl=_ttl(ttl)))


def _packet(protocol: str, source: str, destination: str, rest: str | None) -> Packet:
    if protocol in PORT_PROTOCOLS:
        (first, from_port), (second, to_port) = _end(source, protocol), _end(destination, protocol)
        _no_more(rest, protocol)
        return Packet(*_pair(first, second), PROTOCOLS[protocol], from_port, to_port)
    if protocol in ICMP_PROTOCOLS:
        ends = _pair(_address(source, protocol), _address(destination, protocol))
        if ends[0].version != _ICMP_VERSIONS[protocol]:
            raise _wrong(source, f"is no address of IPv{_ICMP_VERSIONS[protocol]}", protocol)
        kind, code = _type_and_code(rest, protocol)
        return Packet(*ends, PROTOCOLS[protocol], icmp_type=kind, icmp_code=code)
    number = _number(protocol)
    ends = _pair(_address(source, "ip"), _address(destination, "ip"))
    _no_more(rest, "ip")
    return Packet(*ends, number)


def _ttl(text: str) -> int:
    if re.fullmatch(r"\d{1,3}", text) is None or not 1 <= int(text) <= 255:
        raise Rejected([f"{quoted(text)} is no TTL. Write a number from 1 to 255, as in 'ttl 1'."])
    return int(text)


def _number(protocol: str) -> int:
    """Of a protocol without ports or types that are asked for."""
    found = re.fullmatch(r"ip/(\d{1,3})", protocol)
    if found is None or int(found[1]) > 255:
        near = nearest(protocol, PROTOCOLS)
        remedy = f"Did you mean '{near}'?" if near else "Write tcp, udp, sctp, icmp, icmp6, or ip/47 by number."
        raise Rejected([f"{quoted(protocol)} is no protocol. {remedy}"])
    names = [name for name, other in PROTOCOLS.items() if other == int(found[1])]
    if names:
        raise Rejected([f"protocol {found[1]} is {names[0]}. Write {_EXAMPLES[names[0]]}."])
    return int(found[1])


def _end(text: str, protocol: str) -> tuple[IPAddress, int]:
    found = _BRACKETED.fullmatch(text) or _PLAIN.fullmatch(text)
    if found is None:
        raise _wrong(text, "is no address with a port", protocol)
    if int(found[2]) > 65535:
        raise _wrong(text, "has a port beyond 65535", protocol)
    return _address(found[1], protocol), int(found[2])


def _address(text: str, protocol: str) -> IPAddress:
    try:
        if "%" in text:
            raise ValueError
        return ip_address(text.removeprefix("[").removesuffix("]"))
    except ValueError:
        raise _wrong(text, "is no IP address", protocol) from None


def _pair(source: IPAddress, destination: IPAddress) -> tuple[IPAddress, IPAddress]:
    if source.version != destination.version:
        raise Rejected([f"{source} and {destination} are of two families. Write both as IPv4, or both as IPv6."])
    return source, destination


def _type_and_code(text: str | None, protocol: str) -> tuple[int, int]:
    found = re.fullmatch(r"(\d{1,3})(?:/(\d{1,3}))?", text or "")
    if found is None or int(found[1]) > 255 or int(found[2] or 0) > 255:
        raise _wrong(text or "", "is no type and code", protocol)
    return int(found[1]), int(found[2] or 0)


def _no_more(rest: str | None, protocol: str) -> None:
    if rest is not None:
        raise _wrong(rest, "is too much", protocol)


def _wrong(text: str, problem: str, protocol: str) -> Rejected:
    return Rejected([f"{quoted(text)} {problem}. Write {_EXAMPLES[protocol]}."])
