"""Compiling keeps the meaning: what the compiled pipeline does to a packet is what the policies say about it."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from itertools import count

from hypothesis import given, settings
from hypothesis import strategies as st

from controller.compiler.compile import compile_bridge
from controller.compiler.parts import Memo
from controller.dataplane.entries import SwitchState
from controller.dataplane.meter_ids import RULE_METERS
from controller.dataplane.pipeline import check
from controller.dataplane.protocols import ETH_IPV4, ETH_IPV6
from policies.identity import Identities
from policies.model import (
    Action,
    Direction,
    Endpoint,
    Group,
    Node,
    PolicySet,
    Position,
    Rule,
    Segment,
    SegmentType,
    ServiceMatch,
    TrafficClass,
)
from policies.semantics import Delivery, Packet, deliver, deliver_reply
from tests.support.bridges import Vif, bridge_of, identities_of
from tests.support.flow_interpreter import FlowInterpreter

AT = Position("policy.yaml", 1, 1)
SENDER = Vif(1, "root/a", ("10.0.0.1/24", "fd00::1/64"), labels=(("app", "web"), ("user", "alice")))
RECEIVER = Vif(2, "root/b", ("10.0.0.2/24", "fd00::2/64"), labels=(("app", "db"),), users=frozenset({"bob"}))
NETWORKS4 = ("10.0.0.1", "10.0.0.2", "10.0.0.0/31", "10.0.0.0/8", "0.0.0.0/0", "10.9.0.0/16")
NETWORKS6 = ("fd00::1", "fd00::2", "fd00::/64", "::/0", "fd09::/64")
NETWORKS = [ip_network(text) for text in NETWORKS4 + NETWORKS6]
LABELS = (("app", "web"),)
GROUPS = {"staff": Group("staff", frozenset({"alice", "carol"}), AT)}
CLASSES = {"realtime": TrafficClass("realtime", 0.3, AT, 46), "normal": TrafficClass("normal", 0.7, AT)}
REPLY_TYPES = {(1, 8): 0, (1, 13): 14, (58, 128): 129}
UNTRACKED_TYPES = {1: (9, 10), 58: (200,)}
_serial = count()

ports = st.sampled_from([0, 1, 53, 68, 79, 80, 81, 443, 546, 65535])
ranges = st.none() | st.tuples(ports, ports).map(lambda ends: (min(ends), max(ends)))
networks = st.lists(st.sampled_from(NETWORKS), min_size=1, max_size=3).map(tuple)
endpoints = st.one_of(
    st.builds(Endpoint, networks),
    st.builds(Endpoint, user=st.sampled_from(["alice", "bob", "carol", "nobody"]), networks=st.none() | networks),
    st.builds(Endpoint, app=st.sampled_from(["web", "db"]), group=st.none() | st.just("staff")),
    st.builds(Endpoint, policy=st.sampled_from(["root", "root/a", "root/b"]), labels=st.sampled_from([(), LABELS])),
    st.builds(Endpoint, vif=st.sampled_from(["vif1", "vif2"]), segment=st.sampled_from([None, "s"])),
    st.builds(Endpoint, segment=st.just("s"), networks=st.none() | networks),
)
ends = st.none() | st.lists(endpoints, min_size=1, max_size=2).map(tuple)
services = st.one_of(
    st.builds(ServiceMatch, protocol=st.sampled_from([6, 17]), ports=ranges, source_ports=ranges),
    st.builds(ServiceMatch, protocol=st.sampled_from([1, 58]), icmp_type=st.sampled_from([None, 0, 8, 9, 13, 128])),
    st.builds(
        ServiceMatch, protocol=st.just(1), icmp_type=st.sampled_from([0, 8, 9]), icmp_code=st.sampled_from([0, 1])
    ),
    st.builds(ServiceMatch, protocol=st.none() | st.sampled_from([1, 6, 17, 47, 58])),
)
actions = st.sampled_from(list(Action))
rules = st.builds(
    Rule,
    identity=st.builds(lambda: f"rule-{next(_serial)}"),
    action=actions,
    directions=st.sets(st.sampled_from(list(Direction)), min_size=1).map(frozenset),
    at=st.just(AT),
    sources=ends,
    destinations=ends,
    services=st.lists(services, min_size=1, max_size=3).map(tuple),
    traffic_class=st.sampled_from([None, None, "realtime", "normal"]),
    dscp=st.sampled_from([None, None, 10]),
    limit_kbps=st.sampled_from([None, None, 5000]),
    packets_pps=st.sampled_from([None, None, 100]),
    audit=st.sampled_from([False, False, False, True]),
)
lists_of_rules = st.lists(rules, max_size=3).map(tuple)


@st.composite
def policy_sets(draw: st.DrawFn) -> PolicySet:
    root = Node("root", AT, children=("root/a", "root/b"), mandatory=draw(lists_of_rules), default=draw(lists_of_rules))
    leaves = [
        Node(path, AT, parent="root", unmatched=draw(actions), rules=draw(lists_of_rules)) for path in root.children
    ]
    subnets = tuple(ip_network(text) for text in draw(st.sampled_from([(), ("10.0.0.0/24", "fd00::/64")])))
    nodes = {node.path: node for node in (root, *leaves)}
    return PolicySet(
        {"s": Segment("s", SegmentType.INTERNAL, AT, subnets)}, nodes=nodes, groups=GROUPS, classes=CLASSES
    )


@st.composite
def packets(draw: st.DrawFn) -> Packet:
    ends = draw(st.sampled_from([("10.0.0.1", "10.0.0.2"), ("fd00::1", "fd00::2")]))
    source, destination = map(ip_address, ends)
    protocol = draw(st.sampled_from([6, 17, 1, 58, 47]))
    if protocol in (6, 17):
        return Packet(source, destination, protocol, draw(ports), draw(ports))
    if protocol in (1, 58):
        kinds = [kind for of, kind in REPLY_TYPES if of == protocol]
        kind = draw(st.sampled_from([*kinds, *UNTRACKED_TYPES[protocol]]))
        code = draw(st.sampled_from([0, 1]))
        return Packet(source, destination, protocol, icmp_type=kind, icmp_code=code)
    return Packet(source, destination, protocol)


def fields(packet: Packet) -> dict[str, int]:
    version = packet.source.version
    found = {
        "eth_type": ETH_IPV4 if version == 4 else ETH_IPV6,
        f"ipv{version}_src": int(packet.source),
        f"ipv{version}_dst": int(packet.destination),
        "ip_proto": packet.protocol,
    }
    if packet.protocol in (6, 17):
        name = {6: "tcp", 17: "udp"}[packet.protocol]
        found |= {f"{name}_src": packet.source_port, f"{name}_dst": packet.destination_port}
    if packet.protocol in (1, 58):
        name = {1: "icmpv4", 58: "icmpv6"}[packet.protocol]
        found |= {f"{name}_type": packet.icmp_type, f"{name}_code": packet.icmp_code}
    return found


def reply_to(packet: Packet) -> Packet:
    kind = REPLY_TYPES.get((packet.protocol, packet.icmp_type))
    ends: tuple[IPv4Address | IPv6Address, IPv4Address | IPv6Address] = packet.destination, packet.source
    return Packet(*ends, packet.protocol, packet.destination_port, packet.source_port, kind, packet.icmp_code)


def identities(bound: str | None) -> Identities:
    return identities_of((SENDER, RECEIVER), {"carol": [bound]} if bound else {})


def state_of(policies: PolicySet, bound: str | None = None, memo: Memo | None = None) -> SwitchState:
    state = compile_bridge(bridge_of(policies, (SENDER, RECEIVER), identities(bound)), memo)
    assert check(state) == []
    return state


def passes(switch: FlowInterpreter, packet: Packet, source: Vif, target: Vif) -> int | None:
    """The DSCP with which it arrives; None: it does not."""
    sent = switch.send(source.number, eth_src=source.mac, eth_dst=target.mac, vlan_vid=0, ip_dscp=7, **fields(packet))
    assert [one.port for one in sent] in ([], [target.number])
    return sent[0].packet["ip_dscp"] if sent else None


def expected(policies: PolicySet, packet: Packet, bound: str | None = None) -> Delivery:
    return deliver(policies, identities(bound), SENDER.party, RECEIVER.party, packet, 7)


def answer_passes(policies: PolicySet, packet: Packet, bound: str | None = None) -> bool:
    return deliver_reply(policies, identities(bound), SENDER.party, RECEIVER.party, packet, 7).passes


def rated(delivery: Delivery) -> int:
    """How many meters of rules the packet goes through."""
    return sum(
        rate is not None
        for verdict in (delivery.egress, delivery.ingress)
        if verdict is not None and verdict.allows
        for rate in (verdict.limit_kbps, verdict.packets_pps)
    )


def is_tracked(packet: Packet) -> bool:
    """Whether the switch can tell a reply to it from a new packet."""
    return packet.protocol not in (1, 58) or (packet.protocol, packet.icmp_type) in REPLY_TYPES


bindings = st.sampled_from([None, "10.0.0.1", "10.0.0.2", "fd00::1", "10.9.0.9"])


@settings(deadline=None, max_examples=60)
@given(policy_sets(), bindings, st.lists(packets(), min_size=1, max_size=6))
def test_a_first_packet_passes_when_both_sides_allow_it_and_its_reply_with_it(
    policies: PolicySet, bound: str | None, some: list[Packet]
) -> None:
    state = state_of(policies, bound)
    for packet in some:
        switch, delivery = FlowInterpreter(state), expected(policies, packet, bound)
        assert passes(switch, packet, SENDER, RECEIVER) == (delivery.dscp if delivery.passes else None)
        audited = {
            rule.identity for verdict in (delivery.egress, delivery.ingress) if verdict for rule in verdict.audited
        }
        if delivery.passes and not audited:
            assert len([meter for meter in switch.metered if meter in RULE_METERS]) == rated(delivery)
        if delivery.passes and is_tracked(packet):
            came = passes(switch, reply_to(packet), RECEIVER, SENDER) is not None
            assert came == answer_passes(policies, packet, bound)


@settings(deadline=None, max_examples=60)
@given(policy_sets(), policy_sets(), packets())
def test_a_changed_policy_holds_for_connections_that_exist(before: PolicySet, after: PolicySet, packet: Packet) -> None:
    if not expected(before, packet).passes or not is_tracked(packet):
        return
    switch = FlowInterpreter(state_of(before))
    assert passes(switch, packet, SENDER, RECEIVER) is not None
    switch.hold(state_of(after))
    delivery = expected(after, packet)
    assert passes(switch, packet, SENDER, RECEIVER) == (delivery.dscp if delivery.passes else None)
    came = passes(switch, reply_to(packet), RECEIVER, SENDER) is not None
    assert came == (delivery.passes and answer_passes(after, packet))


@settings(deadline=None, max_examples=60)
@given(st.lists(st.tuples(policy_sets(), bindings), min_size=1, max_size=4))
def test_a_compile_that_remembers_the_last_one_comes_to_the_same(steps: list[tuple[PolicySet, str | None]]) -> None:
    memo = Memo()
    for policies, bound in steps:
        assert state_of(policies, bound, memo) == state_of(policies, bound)


@settings(deadline=None, max_examples=50)
@given(policy_sets())
def test_one_bridge_gives_one_state_whatever_the_order_of_its_vifs(policies: PolicySet) -> None:
    forth, back = bridge_of(policies, (SENDER, RECEIVER)), bridge_of(policies, (RECEIVER, SENDER))
    assert compile_bridge(forth) == compile_bridge(back)
