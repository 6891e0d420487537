"""What shows of a rule's packets, as fields: in their own header, or in the tuple that their connection began with.

A rule is looked for in two tables. In that of its direction: by the header of packets that open or continue a
connection, and by the tuple where the packet is a first fragment, of which the switch hides the ports. In the other
table: replies, by the tuple. So every packet is judged by today's rules, and a rule that changes holds for connections
that exist.

Connection tracking takes in a whole packet before it lets its fragments go on. Later ones show no ports at all: they
pass where a rule that allows may have allowed their packet; without its first fragment nobody can put it together. SCTP
has no ports in the tuple: in fragments it passes only by rules that name no port.
"""

from __future__ import annotations

import enum
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product

from controller.compiler.selector import Networks, Own
from controller.dataplane.masks import range_masks
from controller.dataplane.match import FieldValue
from controller.dataplane.protocols import (
    CT_INVALID,
    CT_RELATED,
    CT_REPLY,
    CT_TRACKED,
    ETH_IPV4,
    ETH_IPV6,
    FIRST_FRAGMENT,
    ICMP,
    ICMP6,
    IPV6_EXTENSIONS,
    LATER_FRAGMENT,
    NO_FRAGMENT,
    NOT_LATER,
    SCTP,
    TCP,
    UDP,
)
from policies.model import Action, Direction, IPNetwork, Rule, ServiceMatch

Fields = dict[str, FieldValue]
Masked = tuple[int, int]  # value, mask

_ETH_TYPE = {4: ETH_IPV4, 6: ETH_IPV6}
_PORT_FIELDS = {TCP: ("tcp_src", "tcp_dst"), UDP: ("udp_src", "udp_dst"), SCTP: ("sctp_src", "sctp_dst")}
_ICMP_FIELDS = {ICMP: ("icmpv4_type", "icmpv4_code"), ICMP6: ("icmpv6_type", "icmpv6_code")}
# The family that a protocol belongs to. Extension headers of IPv6 have numbers too, but no packet is of these.
_ONLY_IN = {ICMP: 4, ICMP6: 6, **dict.fromkeys(IPV6_EXTENSIONS, 4)}
_HEADER = {4: ("ipv4_src", "ipv4_dst"), 6: ("ipv6_src", "ipv6_dst")}
_TUPLE = {4: ("ct_nw_src", "ct_nw_dst"), 6: ("ct_ipv6_src", "ct_ipv6_dst")}

_ORIGINAL: Fields = {"ct_state": (0, CT_REPLY | CT_RELATED)}  # untracked ones too
# The switch lets the tuple be matched only where the packet cannot be invalid.
_TRACKED = CT_TRACKED | CT_RELATED | CT_REPLY | CT_INVALID
_ORIGINAL_TRACKED: Fields = {"ct_state": (CT_TRACKED, _TRACKED)}
_REPLY: Fields = {"ct_state": (CT_TRACKED | CT_REPLY, CT_TRACKED | CT_REPLY)}


class View(enum.IntEnum):
    """One way in which packets of a rule show; the number is part of conjunction ids."""

    HEADER = 0
    FIRST_FRAGMENT = 1
    LATER_FRAGMENT = 2
    REPLY = 3
    LATER_FRAGMENT_OF_REPLY = 4
    ERROR = 5  # an ICMP error that is sent in the direction in which its connection began


ORIGINALS = (View.HEADER, View.FIRST_FRAGMENT, View.LATER_FRAGMENT)
REPLIES = (View.REPLY, View.LATER_FRAGMENT_OF_REPLY)
_STATE: dict[View, Fields] = {
    View.HEADER: _ORIGINAL,
    View.FIRST_FRAGMENT: {**_ORIGINAL_TRACKED, "ip_frag": FIRST_FRAGMENT},
    View.LATER_FRAGMENT: {**_ORIGINAL_TRACKED, "ip_frag": LATER_FRAGMENT},
    View.REPLY: _REPLY,
    View.LATER_FRAGMENT_OF_REPLY: {**_REPLY, "ip_frag": LATER_FRAGMENT},
    View.ERROR: {"ct_state": (CT_TRACKED | CT_RELATED, _TRACKED)},
}


@dataclass(frozen=True, slots=True)
class Traffic:
    """What a rule matches in one of its directions, its ends looked up. None: any."""

    action: Action
    direction: Direction
    own: tuple[Own, ...] | None
    remote: Networks | None
    services: tuple[ServiceMatch, ...]

    @property
    def is_of_any_family(self) -> bool:
        narrowed = self.own is not None and any(own.networks is not None for own in self.own)
        return not narrowed and self.remote is None and ServiceMatch() in self.services


def traffic(rule: Rule, direction: Direction, own: tuple[Own, ...] | None, remote: Networks | None) -> Traffic:
    return Traffic(rule.action, direction, own, remote, rule.services)


@dataclass(frozen=True, slots=True)
class Clauses:
    """A packet shows so when it matches `common` and something of each of `clauses`, which have nothing in common.

    version None: either family.
    """

    view: View
    version: int | None
    common: Fields
    clauses: tuple[Sequence[Fields], ...]


def clauses(matched: Traffic, views: Sequence[View], vif: str) -> Iterator[Clauses]:
    """vif: the register that holds the judging VIF in the table where these packets are looked for."""
    for view in views:
        if matched.is_of_any_family:
            if view in (View.HEADER, View.REPLY, View.ERROR):
                yield Clauses(view, None, dict(_STATE[view]), _own(matched, None, view, vif))
            continue
        for version in (4, 6):
            ends = (*_own(matched, version, view, vif), _remote(matched, version, view))
            services = _services(matched, version, view) if all(ends) else ()
            if services:
                common: Fields = {**_STATE[view], "eth_type": _ETH_TYPE[version]}
                yield Clauses(view, version, common, (*ends, services))


def _own(matched: Traffic, version: int | None, view: View, vif: str) -> tuple[Sequence[Fields], ...]:
    """As one clause; as two where VIFs and networks are given together but once, so that they need not be combined."""
    if matched.own is None:
        return (({},),)
    found: list[Fields] = []
    for own in matched.own:
        vifs: Sequence[Fields] = ({},) if own.vifs is None else [{vif: number} for number in own.vifs]
        if own.networks is None or version is None:
            found += vifs
            continue
        name = _end(matched.direction is Direction.EGRESS, version, view)
        networks = [_network(name, network) for network in own.networks if network.version == version]
        if len(matched.own) == 1:
            return (networks,) if own.vifs is None else (vifs, networks)
        found += [{**one, **other} for one, other in product(vifs, networks)]
    return (found,)


def _remote(matched: Traffic, version: int, view: View) -> Sequence[Fields]:
    if matched.remote is None:
        return ({},)
    name = _end(matched.direction is Direction.INGRESS, version, view)
    return [_network(name, network) for network in matched.remote if network.version == version]


def _end(is_source: bool, version: int, view: View) -> str:
    names = (_HEADER if view is View.HEADER else _TUPLE)[version]
    return names[0] if is_source else names[1]


def _network(name: str, network: IPNetwork) -> Fields:
    return {name: (int(network.network_address), int(network.netmask))} if network.prefixlen else {}


def _services(matched: Traffic, version: int, view: View) -> Sequence[Fields]:
    """No service: nothing of the rule shows so."""
    found = []
    for service in matched.services:
        if service.protocol is not None and _ONLY_IN.get(service.protocol, version) != version:
            continue
        for numbers in _numbers(service):
            if _shows(service, numbers, version, view, matched.action):
                found.append(_fields(service.protocol, numbers, view))
    return found


def _shows(
    service: ServiceMatch, numbers: tuple[Masked | None, Masked | None], version: int, view: View, action: Action
) -> bool:
    has_numbers = numbers != (None, None)
    if view is View.FIRST_FRAGMENT:
        return has_numbers and service.protocol != SCTP
    if view is View.LATER_FRAGMENT:  # in IPv6 the header of a later one hides the protocol: it says 44, a fragment
        return action is Action.ALLOW if has_numbers else version == 6 and service.protocol is not None
    if view is View.LATER_FRAGMENT_OF_REPLY:
        return has_numbers and action is Action.ALLOW
    if view is View.ERROR and service.protocol == SCTP:  # it shows no ports
        return action is Action.ALLOW or not has_numbers
    return True


def _fields(protocol: int | None, numbers: tuple[Masked | None, Masked | None], view: View) -> Fields:
    """Of a fragment, even the first, the switch shows numbers of zero in the header."""
    if protocol is None:
        return {}
    if view is View.HEADER:
        names = _PORT_FIELDS.get(protocol) or _ICMP_FIELDS.get(protocol) or ("", "")
        return {"ip_proto": protocol, **_shown(names, numbers, NO_FRAGMENT)}
    if view in (View.LATER_FRAGMENT, View.LATER_FRAGMENT_OF_REPLY) or (view is View.ERROR and protocol == SCTP):
        return {"ct_nw_proto": protocol}
    if protocol == SCTP and numbers != (None, None):
        # Tracked by addresses alone: there it is the ports of a reply that are matched, the other way round.
        return {"ct_nw_proto": protocol, "ip_proto": SCTP, **_shown(("sctp_dst", "sctp_src"), numbers, NO_FRAGMENT)}
    if protocol in _ICMP_FIELDS:  # the tuple holds type and code in the places of ports
        numbers = _wide(numbers[0]), _wide(numbers[1])
    return {"ct_nw_proto": protocol, **_shown(("ct_tp_src", "ct_tp_dst"), numbers, NOT_LATER)}


def _shown(names: tuple[str, str], numbers: tuple[Masked | None, Masked | None], not_shown_as_zero: Masked) -> Fields:
    """Those that are given. A match that takes zero has to leave out the fragments that only seem to have zeros."""
    given: Fields = {name: number for name, number in zip(names, numbers, strict=True) if number is not None}
    if given and all(number[0] == 0 for number in numbers if number is not None):
        given["ip_frag"] = not_shown_as_zero
    return given


def _wide(number: Masked | None) -> Masked | None:
    return None if number is None else (number[0], 0xFFFF)


def _numbers(service: ServiceMatch) -> Iterator[tuple[Masked | None, Masked | None]]:
    """Source and destination port, or type and code."""
    if service.protocol in _ICMP_FIELDS:
        yield _exact(service.icmp_type), _exact(service.icmp_code)
    else:
        yield from product(_masks(service.source_ports), _masks(service.ports))


def _exact(number: int | None) -> Masked | None:
    return None if number is None else (number, 0xFF)


def _masks(ports: tuple[int, int] | None) -> Sequence[Masked | None]:
    return (None,) if ports is None else range_masks(*ports)
