"""What the deciding rule does beside its action: classes and marks, rates, log, audit; and both sides together."""

from __future__ import annotations

import pytest

from policies.identity import Party
from policies.model import NORMAL, Action, Direction, PolicySet
from policies.parser import parse
from policies.semantics import Delivery, Packet, Verdict, deliver, deliver_reply, judge
from tests.support.parties_and_packets import IN, OUT, identities, party, tcp, udp

CLASSES = "classes: {realtime: {dscp: ef, share: 30 %}, normal: {share: 60 %}, bulk: {dscp: cs1, share: 10 %}}"
EF, CS1, AF41, LOCAL = 46, 8, 34, 3  # LOCAL: what `normal` is marked with, as it has no code point of its own
OWN = 20  # the DSCP that packets carry


def leaf(rules: str, head: str = CLASSES, unmatched: str = "deny") -> PolicySet:
    return parse({"p": f"weir: 1\n{head}\npolicies:\n  t: {{unmatched: {unmatched}, rules: [{rules}]}}"})


def judged(policies: PolicySet, packet: Packet, direction: Direction = OUT) -> Verdict:
    me = party("me", "t", "10.0.0.1")
    return judge(policies, identities(me), me, direction, packet)


WEB, DNS = tcp("10.0.0.1", "10.0.0.2"), udp("10.0.0.1", "10.0.0.2")


@pytest.mark.parametrize(
    ("rules", "traffic_class", "mark"),
    [
        ("{allow: {class: realtime}}", "realtime", EF),
        ("{allow: {class: bulk}}", "bulk", CS1),
        ("{allow: {class: normal}}", NORMAL, LOCAL),
        ("{allow: {service: tcp}}, {allow: {class: bulk}}", NORMAL, LOCAL),  # the other rule divides the traffic
        ("{allow: {class: realtime, dscp: af41}}", "realtime", AF41),
        ("{allow: {dscp: af41}}", NORMAL, AF41),
        ("{allow: {}}", NORMAL, None),  # nothing divides it: its own mark stays
        ("{allow: {service: tcp}}, {allow: {class: bulk, stage: audit}}", NORMAL, None),
        ("{deny: {service: tcp}}, {allow: {class: bulk}}", NORMAL, None),  # what does not pass has no mark
    ],
)
def test_the_class_and_its_mark(rules: str, traffic_class: str, mark: int | None) -> None:
    verdict = judged(leaf(rules), WEB)
    assert (verdict.traffic_class, verdict.mark) == (traffic_class, mark)


def test_what_no_rule_names_is_normal_also_where_unmatched_allows_it() -> None:
    assert judged(leaf("{allow: {service: udp, class: bulk}}", unmatched="allow"), WEB).mark == LOCAL
    assert judged(leaf("{allow: {service: udp}}", unmatched="allow"), WEB).mark is None


def test_one_class_alone_divides_nothing() -> None:
    assert judged(leaf("{allow: {class: normal}}", head=""), WEB).mark is None


def test_rates_are_those_of_the_rule_that_allows() -> None:
    policies = leaf("{allow: {service: tcp, limit: 50 mbit, packets: 20 kpps}}, {allow: {}}")
    assert (judged(policies, WEB).limit_kbps, judged(policies, WEB).packets_pps) == (50_000, 20_000)
    assert (judged(policies, DNS).limit_kbps, judged(policies, DNS).packets_pps) == (None, None)


def test_the_rule_that_decides_says_whether_it_is_logged() -> None:
    policies = leaf("{deny: {service: tcp, log: true}}, {allow: {}}")
    assert (judged(policies, WEB).action, judged(policies, WEB).log) == (Action.DENY, True)
    assert not judged(policies, DNS).log


AUDITED = leaf(
    "{deny: {name: a, stage: audit}}, {reject: {name: b, service: udp, stage: audit}}, "
    "{allow: {name: c, service: tcp}}, {deny: {name: d, stage: audit}}, "
    "{allow: {name: e, direction: ingress, stage: audit}}",
    unmatched="reject",
)


@pytest.mark.parametrize(
    ("packet", "direction", "rule", "audited"),
    [
        (WEB, OUT, "c", ["a"]),  # d stands behind the rule that decides
        (WEB, IN, "c", ["a"]),
        (DNS, OUT, None, ["a", "b", "d"]),
        (DNS, IN, None, ["a", "b", "d", "e"]),
    ],
)
def test_a_rule_under_audit_never_decides_and_counts_what_came_to_it(
    packet: Packet, direction: Direction, rule: str | None, audited: list[str]
) -> None:
    verdict = judged(AUDITED, packet, direction)
    assert (verdict.rule and verdict.rule.name) == rule
    assert verdict.action is (Action.ALLOW if rule else Action.REJECT)
    assert [one.name for one in verdict.audited] == audited


BOTH = """
weir: 1
classes: {realtime: {dscp: ef, share: 30 %}, bulk: {dscp: cs1, share: 10 %}}
policies:
  plain: {rules: [allow: {name: plain}]}
  rated: {rules: [allow: {name: rated, class: bulk, limit: 1 mbit, packets: 1 kpps, log: true},
                  deny: {name: never, stage: audit}]}
  sends: {rules: [allow: {name: out, direction: egress, class: realtime}, deny: {name: in, stage: audit}]}
  takes: {rules: [allow: {name: into, direction: ingress, dscp: af41}]}
  shut:  {unmatched: reject}
"""
POLICIES = parse({"p": BOTH})
EVERYBODY = {path: party(path, path, f"10.0.0.{place}") for place, path in enumerate(POLICIES.nodes, start=1)}
WHO = identities(*EVERYBODY.values())


def member(name: str | None) -> Party | None:
    return EVERYBODY[name] if name is not None else None


def between(sender: str | None, receiver: str | None) -> Delivery:
    return deliver(POLICIES, WHO, member(sender), member(receiver), WEB, OWN)


def back(sender: str | None, receiver: str | None) -> Delivery:
    return deliver_reply(POLICIES, WHO, member(sender), member(receiver), WEB, OWN)


@pytest.mark.parametrize(
    ("sender", "receiver", "passes"),
    [
        ("plain", "plain", True),
        ("sends", "takes", True),
        ("takes", "sends", False),
        ("plain", "shut", False),
        ("shut", "plain", False),
        ("plain", None, True),
        ("shut", None, False),
        (None, "takes", True),
        (None, "sends", False),
        (None, None, True),
    ],
)
def test_both_sides_must_allow_it_and_its_reply_passes_as_it_does(
    sender: str | None, receiver: str | None, passes: bool
) -> None:
    assert between(sender, receiver).passes == passes
    assert back(sender, receiver).passes == passes


@pytest.mark.parametrize(
    ("sender", "receiver", "dscp", "of_reply"),
    [
        ("plain", "plain", OWN, OWN),
        ("sends", "plain", EF, EF),
        ("plain", "rated", CS1, CS1),
        ("sends", "rated", CS1, EF),  # who receives marks last
        ("sends", "takes", AF41, EF),
        ("sends", None, EF, EF),
        (None, "takes", AF41, AF41),
        (None, "plain", OWN, OWN),
        ("shut", "takes", OWN, OWN),
    ],
)
def test_the_mark_that_it_arrives_with(sender: str | None, receiver: str | None, dscp: int, of_reply: int) -> None:
    assert between(sender, receiver).dscp == dscp
    assert back(sender, receiver).dscp == of_reply


def test_the_receiver_never_sees_what_the_sender_may_not_send() -> None:
    delivery = between("shut", "plain")
    assert (delivery.egress and delivery.egress.action, delivery.ingress) == (Action.REJECT, None)


def test_a_reply_is_judged_as_its_connection_and_uses_up_nothing() -> None:
    there, reply = between("plain", "rated"), back("plain", "rated")
    assert there.ingress is not None and reply.egress is not None and reply.ingress is not None
    assert (there.ingress.limit_kbps, there.ingress.packets_pps, there.ingress.log) == (1_000, 1_000, True)
    assert (reply.egress.rule, reply.egress.traffic_class, reply.egress.mark) == (there.ingress.rule, "bulk", CS1)
    assert (reply.egress.limit_kbps, reply.egress.packets_pps, reply.egress.log) == (None, None, False)
    assert reply.ingress.rule is not None and reply.ingress.rule.name == "plain"


def test_a_reply_is_not_counted_by_audited_rules() -> None:
    counted = between(None, "sends").ingress
    assert counted is not None and [rule.name for rule in counted.audited] == ["in"]
    of_reply = back(None, "sends").egress
    assert of_reply is not None and of_reply.audited == ()


@pytest.mark.parametrize(("ends", "port"), [(("10.0.0.1", "10.0.0.2"), 68), (("fd00::1", "fd00::2"), 546)])
def test_no_vif_reaches_the_port_of_a_dhcp_client(ends: tuple[str, str], port: int) -> None:
    def to(port: int, source_port: int = 1067) -> Packet:
        return udp(*ends, port, source_port)

    def went(sender: str | None, receiver: str | None, packet: Packet) -> Delivery:
        return deliver(POLICIES, WHO, member(sender), member(receiver), packet, OWN)

    refused = went("plain", None, to(port))
    assert not refused.passes and refused.egress is None and refused.lost == "no VIF is a DHCP server"
    assert went("plain", None, tcp(*ends, port)).passes and went("plain", None, to(port + 1)).passes
    assert went(None, "plain", to(port)).passes
    asks = to(67, source_port=port)
    assert went(None, "plain", asks).passes
    assert not deliver_reply(POLICIES, WHO, None, member("plain"), asks, OWN).passes
    assert deliver_reply(POLICIES, WHO, member("plain"), None, asks, OWN).passes
