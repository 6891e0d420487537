"""The meaning of the language, said plainly: what happens to the first packet of a connection, and to replies? Pure.

This is the oracle that compiled flow tables are tested against, so it shares nothing with the compiler. A fragment is
judged as the whole packet is. It is not asked about ICMP errors of a connection, nor about what skips the policy (ARP,
neighbour discovery, DHCP of clients, IGMP, MLD).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from policies.classes import code_points, uses_classes
from policies.endpoints_meaning import Side, few, mismatch
from policies.identity import Identities, Party
from policies.model import NORMAL, Action, Direction, IPAddress, PolicySet, Rule, ServiceMatch
from policies.reach import Reach, is_for_a_dhcp_client, is_of_one_link, reach
from policies.resolve import ancestry
from policies.services import service_text

# ICMP and ICMPv6 -> the IP version that they belong to; and what in IPv6 are headers before the one that says what the
# packet is: no IPv6 packet is of these.
_ONE_FAMILY = {1: 4, 58: 6, 0: 4, 43: 4, 44: 4, 51: 4, 60: 4}

Tier = Literal["mandatory", "rules", "default", "unmatched"]
Outcome = Literal["passed over", "audited", "decides"]


@dataclass(frozen=True, slots=True)
class Packet:
    """The first packet of a connection. Ports of protocols that have them, type and code of ICMP; else None.

    ttl: as it is sent.
    """

    source: IPAddress
    destination: IPAddress
    protocol: int
    source_port: int | None = None
    destination_port: int | None = None
    icmp_type: int | None = None
    icmp_code: int | None = None
    ttl: int = 64


@dataclass(frozen=True, slots=True)
class Verdict:
    """What one side says. Of a packet that is not allowed: the class is NORMAL, there is no mark and no rate.

    log: whether it is a match that the deciding rule logs. audited: rules under audit that count the packet, in order.
    """

    action: Action
    rule: Rule | None = None  # None: no rule matched, `unmatched` decided
    traffic_class: str = NORMAL
    mark: int | None = None  # the DSCP (0..63) that this side writes; None: it leaves what is there
    limit_kbps: int | None = None  # of the deciding rule, which the packet uses up
    packets_pps: int | None = None  # likewise
    log: bool = False
    audited: tuple[Rule, ...] = ()

    @property
    def allows(self) -> bool:
        return self.action is Action.ALLOW


@dataclass(frozen=True, slots=True)
class Step:
    """One rule on the way to the verdict, or `unmatched` at its end (rule None). node: the path of where it stands."""

    rule: Rule | None
    tier: Tier
    node: str
    outcome: Outcome
    reason: str  # why it does not match, or what it means that it does


@dataclass(frozen=True, slots=True)
class Delivery:
    """What becomes of a packet between two VIFs, or a VIF and the outside.

    egress, ingress: the verdicts of the VIF that sends it and of the one that would receive it; None: that side is
    outside, or the packet never came so far. dscp: what it arrives with; its own where it does not pass.
    routers: how many it has gone through, each of which lowers its TTL by one.
    lost: why it does not arrive though all rules that were asked allow it.
    """

    passes: bool
    egress: Verdict | None
    ingress: Verdict | None
    dscp: int
    routers: int = 0
    lost: str | None = None


def judge(policies: PolicySet, identities: Identities, party: Party, direction: Direction, packet: Packet) -> Verdict:
    """What the VIF's rules say about a packet that it sends (egress) or is sent: the first in force that matches.

    Raises KeyError when no node has the VIF's policy as its path, NoCodePointLeft (policies.classes).
    """
    steps = walk(policies, identities, party, direction, packet)
    audited = tuple(step.rule for step in steps if step.outcome == "audited" and step.rule is not None)
    rule = steps[-1].rule
    action = rule.action if rule is not None else policies.nodes[party.policy].unmatched
    log = rule is not None and rule.log
    if action is not Action.ALLOW:
        return Verdict(action, rule, log=log, audited=audited)
    return Verdict(
        action,
        rule,
        traffic_class=rule.traffic_class or NORMAL if rule is not None else NORMAL,
        mark=_mark(policies, party.policy, rule),
        limit_kbps=rule.limit_kbps if rule is not None else None,
        packets_pps=rule.packets_pps if rule is not None else None,
        log=log,
        audited=audited,
    )


def walk(
    policies: PolicySet, identities: Identities, party: Party, direction: Direction, packet: Packet
) -> tuple[Step, ...]:
    """The rules in their order up to the one that decides, which comes last; `unmatched` where none does.

    Raises KeyError when no node has the VIF's policy as its path.
    """
    steps = []
    sides = _sides(policies, identities, party, direction, packet)
    for tier, node, rule in _in_order(policies, party.policy):
        reason = _why_not(rule, sides, direction, packet)
        if reason is not None:
            steps.append(Step(rule, tier, node, "passed over", reason))
        elif rule.audit:
            steps.append(Step(rule, tier, node, "audited", f"it matches; in force it would {rule.action.value}"))
        else:
            steps.append(Step(rule, tier, node, "decides", "it is the first in force that matches"))
            return tuple(steps)
    return (*steps, Step(None, "unmatched", party.policy, "decides", "no rule in force matches"))


def deliver(
    policies: PolicySet,
    identities: Identities,
    sender: Party | None,
    receiver: Party | None,
    packet: Packet,
    own_dscp: int,
) -> Delivery:
    """What becomes of a packet that carries own_dscp (0..63) when it is sent. None: outside.

    Raises as `judge` does.
    """
    if sender is not None and is_for_a_dhcp_client(packet.source.version, packet.protocol, packet.destination_port):
        return Delivery(False, None, None, own_dscp, lost="no VIF is a DHCP server")
    egress = judge(policies, identities, sender, Direction.EGRESS, packet) if sender is not None else None
    if egress is not None and not egress.allows:
        return Delivery(False, egress, None, own_dscp)
    way = way_of(policies, sender, receiver, packet)
    if way.lost is not None:
        return Delivery(False, egress, None, own_dscp, lost=way.lost)
    ingress = judge(policies, identities, receiver, Direction.INGRESS, packet) if receiver is not None else None
    return _delivery(egress, ingress, own_dscp, way)


def deliver_reply(
    policies: PolicySet,
    identities: Identities,
    sender: Party | None,
    receiver: Party | None,
    packet: Packet,
    own_dscp: int,
) -> Delivery:
    """What becomes of a reply, carrying own_dscp, to a connection that `packet` from `sender` to `receiver` began.

    Each side stands by its verdict on the connection, so the reply's egress is the receiver's verdict on its ingress.
    A reply gets the class; it uses up no rule's rate, and is neither logged nor counted by audited rules.
    Raises as `judge` does.
    """
    if receiver is not None and is_for_a_dhcp_client(packet.source.version, packet.protocol, packet.source_port):
        return Delivery(False, None, None, own_dscp, lost="no VIF is a DHCP server")
    egress = judge(policies, identities, receiver, Direction.INGRESS, packet) if receiver is not None else None
    if egress is not None and not egress.allows:
        return Delivery(False, _of_reply(egress), None, own_dscp)
    turned = replace(packet, source=packet.destination, destination=packet.source, destination_port=packet.source_port)
    way = way_of(policies, receiver, sender, turned)
    if way.lost is not None:
        return Delivery(False, _of_reply(egress), None, own_dscp, lost=way.lost)
    ingress = judge(policies, identities, sender, Direction.EGRESS, packet) if sender is not None else None
    return _delivery(_of_reply(egress), _of_reply(ingress), own_dscp, way)


def way_of(policies: PolicySet, sender: Party | None, receiver: Party | None, packet: Packet) -> Reach:
    """Whether it comes from one to the other; None: outside."""
    of_one_link = is_of_one_link(packet.source.version, packet.protocol, packet.icmp_type or packet.destination_port)
    return reach(policies, sender, receiver, (packet.source, packet.destination), packet.ttl, of_one_link)


def _of_reply(verdict: Verdict | None) -> Verdict | None:
    if verdict is None:
        return None
    return replace(verdict, limit_kbps=None, packets_pps=None, log=False, audited=())


def _delivery(egress: Verdict | None, ingress: Verdict | None, own_dscp: int, way: Reach) -> Delivery:
    """Of a packet that left its sender. The receiver's mark is the last that is written."""
    if ingress is not None and not ingress.allows:
        return Delivery(False, egress, ingress, own_dscp, way.routers)
    marks = [side.mark for side in (ingress, egress) if side is not None and side.mark is not None]
    return Delivery(True, egress, ingress, marks[0] if marks else own_dscp, way.routers)


def _mark(policies: PolicySet, leaf: str, rule: Rule | None) -> int | None:
    """What is written into a packet that this rule (None: `unmatched`) allowed."""
    if rule is not None and rule.dscp is not None:
        return rule.dscp
    if not uses_classes(policies, leaf):
        return None
    named = rule.traffic_class if rule is not None else None
    return code_points(policies)[named or NORMAL]


def _in_order(policies: PolicySet, path: str) -> Iterator[tuple[Tier, str, Rule]]:
    """`mandatory` from the top of the tree down to the leaf, the leaf's `rules`, `default` from the leaf up."""
    nodes = ancestry(policies, path)
    for node in nodes:
        for rule in node.mandatory:
            yield "mandatory", node.path, rule
    for rule in nodes[-1].rules:
        yield "rules", path, rule
    for node in reversed(nodes):
        for rule in node.default:
            yield "default", node.path, rule


def _sides(
    policies: PolicySet, identities: Identities, party: Party, direction: Direction, packet: Packet
) -> tuple[Side, Side]:
    """Source and destination as the VIF sees them: what it sends is from itself, what it receives is to itself."""
    sends = direction is Direction.EGRESS
    source = Side(packet.source, party if sends else None, policies, identities)
    return source, Side(packet.destination, None if sends else party, policies, identities)


def _why_not(rule: Rule, sides: tuple[Side, Side], direction: Direction, packet: Packet) -> str | None:
    """Why the rule does not match, in words; None when it does."""
    if direction not in rule.directions:
        return f"direction {few([other.value for other in Direction if other in rule.directions])} only"
    for key, endpoints, side in (("from", rule.sources, sides[0]), ("to", rule.destinations, sides[1])):
        reason = mismatch(endpoints, side)
        if reason is not None:
            return f"{key}: {reason}"
    return _why_no_service(rule.services, packet)


def _why_no_service(services: Sequence[ServiceMatch], packet: Packet) -> str | None:
    if any(_is_service(service, packet) for service in services):
        return None
    with_source = any(service.source_ports is not None for service in services)
    return f"service: {_packet_text(packet, with_source)} is not {few([service_text(service) for service in services])}"


def _is_service(service: ServiceMatch, packet: Packet) -> bool:
    if service.protocol is None:
        return True
    if service.protocol != packet.protocol or not _is_of_its_family(packet):
        return False
    return (
        _in_range(packet.destination_port, service.ports)
        and _in_range(packet.source_port, service.source_ports)
        and service.icmp_type in (None, packet.icmp_type)
        and service.icmp_code in (None, packet.icmp_code)
    )


def _is_of_its_family(packet: Packet) -> bool:
    """False for ICMP in IPv6 and ICMPv6 in IPv4, which are neither."""
    return _ONE_FAMILY.get(packet.protocol, packet.source.version) == packet.source.version


def _in_range(port: int | None, ports: tuple[int, int] | None) -> bool:
    return ports is None or (port is not None and ports[0] <= port <= ports[1])


def _packet_text(packet: Packet, with_source: bool) -> str:
    if not _is_of_its_family(packet):
        return f"protocol {packet.protocol} in IPv{packet.source.version}"
    to, source = packet.destination_port, packet.source_port if with_source else None
    return service_text(
        ServiceMatch(
            packet.protocol,
            ports=None if to is None else (to, to),
            source_ports=None if source is None else (source, source),
            icmp_type=packet.icmp_type,
            icmp_code=packet.icmp_code,
        )
    )
