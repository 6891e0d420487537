"""A rule as a list of terms: one family, one source, one destination, one service each, ready for an entry's match.

For now every source is combined with every destination and service.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product

from controller.dataplane.masks import range_masks
from controller.dataplane.match import FieldValue
from controller.dataplane.protocols import (
    ETH_IPV4,
    ETH_IPV6,
    ICMP,
    ICMP6,
    NO_FRAGMENT,
    NOT_LATER,
    SCTP,
    TCP,
    UDP,
)
from policies.model import IPNetwork, Rule, ServiceMatch

_ETH_TYPE = {4: ETH_IPV4, 6: ETH_IPV6}
_PORT_FIELDS = {TCP: ("tcp_src", "tcp_dst"), UDP: ("udp_src", "udp_dst"), SCTP: ("sctp_src", "sctp_dst")}
_ICMP_FIELDS = {ICMP: ("icmpv4_type", "icmpv4_code"), ICMP6: ("icmpv6_type", "icmpv6_code")}
_ONLY_IN = {ICMP: 4, ICMP6: 6}  # the family that a protocol belongs to

Masked = tuple[int, int]  # value, mask
Fields = dict[str, FieldValue]


@dataclass(frozen=True, slots=True)
class Term:
    """Seen in the original direction. version None: both families, with neither address nor service.

    numbers: what is matched of the two numbers of layer 4: source and destination port, or type and code.
    """

    version: int | None = None
    source: IPNetwork | None = None
    destination: IPNetwork | None = None
    protocol: int | None = None
    numbers: tuple[Masked | None, Masked | None] = (None, None)

    @property
    def has_numbers(self) -> bool:
        return self.numbers != (None, None)


def terms(rule: Rule) -> list[Term]:
    """Disjoint or not, together they match what the rule does; each stands once."""
    if rule.sources is None and rule.destinations is None and ServiceMatch() in rule.services:
        return [Term()]
    found: dict[Term, None] = {}
    for version in (4, 6):
        services = [
            (service.protocol, numbers)
            for service in rule.services
            if _ONLY_IN.get(service.protocol or 0, version) == version
            for numbers in _numbers(service)
        ]
        ends = product(_of(rule.sources, version), _of(rule.destinations, version), services)
        for source, destination, (protocol, numbers) in ends:
            found[Term(version, source, destination, protocol, numbers)] = None
    return list(found)


def header(term: Term) -> Fields:
    """Fields of a packet of the original direction, by its own header.

    Of a fragment, even the first, the switch shows numbers of zero here.
    """
    fields = _network(term, "ipv4_src", "ipv4_dst", "ipv6_src", "ipv6_dst", "ip_proto")
    if term.has_numbers:
        assert term.protocol is not None
        names = _PORT_FIELDS.get(term.protocol) or _ICMP_FIELDS[term.protocol]
        _add_numbers(fields, names, term.numbers, NO_FRAGMENT)
    return fields


def original_tuple(term: Term) -> Fields:
    """Fields of any packet of a connection, by the tuple that it began with; only with a ct_state that says tracked.

    First fragments have numbers here, later ones do not. Open vSwitch tracks SCTP by addresses alone: there it is the
    ports of a reply that are matched, the other way round.
    """
    fields = _network(term, "ct_nw_src", "ct_nw_dst", "ct_ipv6_src", "ct_ipv6_dst", "ct_nw_proto")
    numbers: Sequence[Masked | None] = term.numbers
    if term.protocol == SCTP and term.has_numbers:
        fields["ip_proto"] = SCTP
        _add_numbers(fields, ("sctp_dst", "sctp_src"), numbers, NO_FRAGMENT)
    else:
        if term.protocol in _ICMP_FIELDS:  # the tuple holds type and code in the places of ports
            numbers = [number and (number[0], 0xFFFF) for number in numbers]
        _add_numbers(fields, ("ct_tp_src", "ct_tp_dst"), numbers, NOT_LATER)
    return fields


def without_numbers(term: Term) -> Term:
    """What shows of the term in fragments after the first."""
    return Term(term.version, term.source, term.destination, term.protocol)


def shows_other_protocol(term: Term) -> bool:
    """Whether the header of a later fragment hides that the term matches it: in IPv6 it says 44, a fragment."""
    return term.version == 6 and term.protocol is not None


def _of(networks: Sequence[IPNetwork] | None, version: int) -> Sequence[IPNetwork | None]:
    if networks is None:
        return (None,)
    return [network for network in networks if network.version == version]


def _numbers(service: ServiceMatch) -> Iterator[tuple[Masked | None, Masked | None]]:
    if service.protocol in _ICMP_FIELDS:
        yield _exact(service.icmp_type), _exact(service.icmp_code)
    else:
        yield from product(_masks(service.source_ports), _masks(service.ports))


def _exact(number: int | None) -> Masked | None:
    return None if number is None else (number, 0xFF)


def _masks(ports: tuple[int, int] | None) -> Sequence[Masked | None]:
    return (None,) if ports is None else range_masks(*ports)


def _network(term: Term, source4: str, destination4: str, source6: str, destination6: str, protocol: str) -> Fields:
    fields: Fields = {}
    if term.version is not None:
        fields["eth_type"] = _ETH_TYPE[term.version]
    source, destination = (source4, destination4) if term.version == 4 else (source6, destination6)
    for name, network in ((source, term.source), (destination, term.destination)):
        if network is not None:
            fields[name] = int(network.network_address), int(network.netmask)
    if term.protocol is not None:
        fields[protocol] = term.protocol
    return fields


def _add_numbers(
    fields: Fields, names: tuple[str, str], numbers: Sequence[Masked | None], not_shown_as_zero: Masked
) -> None:
    """Adds what is not None. A match that takes zero has to leave out the fragments that only seem to have zeros."""
    given = [(name, number) for name, number in zip(names, numbers, strict=True) if number is not None]
    fields.update(given)
    if given and all(value == 0 for _, (value, _) in given):
        fields["ip_frag"] = not_shown_as_zero
