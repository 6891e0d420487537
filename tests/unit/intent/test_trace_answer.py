"""What the policy says to a packet, and how a switch that says otherwise is found out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import partial

import pytest

from controller.dataplane.cookies import CookieKind, encode, with_vif
from controller.dataplane.trace_output import Departure, Trace, TraceStep
from controller.intent import trace_views
from controller.intent.numbering import renumber
from controller.intent.on_paper import compiled, world_of
from controller.intent.trace import Answer, answer
from controller.intent.trace_question import parse_question
from controller.intent.trace_switch import CannotAsk, disagreements, probe_of
from controller.world.desired import World
from ovsdb.rows import Chassis
from policies.parser import parse
from tests.unit.intent.worlds import vif, world

POLICY = """\
weir: 1
segments:
  lab: {type: internal, subnets: [10.30.0.0/24]}
  net: {type: bridged, uplink: eth1, vlan: 7}
links: {eth1: {capacity: 100 mbit}}
classes: {realtime: {dscp: ef, share: 30 %}}
policies:
  web:
    egress: {limit: 10 mbit}
    rules:
      - deny: {name: watched, direction: egress, service: tcp/5432, stage: audit}
      - allow: {name: sql, direction: egress, service: tcp/5432, class: realtime, packets: 1 kpps}
      - reject: {name: mail, service: tcp/25}
  db:
    rules:
      - allow: {name: clients, direction: ingress, from: {policy: web}, service: tcp/5432}
"""
VIFS = (
    vif("a", 2, policy="web", ofport=2),
    vif("d", 3, policy="db", ofport=3),
    vif("far", 4, policy="db", ofport=2, chassis="h2"),
    vif("w", 5, policy="web", segment="net", addresses=("192.0.2.5/24",), ofport=5),
    vif("unplugged", 6, policy="web"),
    vif("e", 7, policy="db", segment="net", addresses=("192.0.2.7/24",), ofport=7),
    vif("far-e", 8, policy="db", segment="net", addresses=("192.0.2.8/24",), ofport=3, chassis="h2"),
)


def made(cfg: int = 5) -> World:
    numbers, following = renumber(parse({"p.yaml": POLICY}), {}, {})
    hosts = {name: Chassis(name, "br", agent_cfg=5, flow_cfg=5, uplink_ports={"eth1": 9}) for name in ("h1", "h2")}
    snapshot = world(*VIFS, files={"p.yaml": POLICY}, numbers=numbers, next_number=following, cfg=cfg)
    return world_of(replace(snapshot, chassis=hosts), 0.0)


WORLD = made()


def asked(text: str, world: World = WORLD) -> Answer:
    return answer(parse_question(text), world, partial(compiled, world))


SQL = asked("a egress tcp 10.30.0.2:1 > 10.30.0.3:5432")


def test_both_sides_of_a_packet_between_vifs() -> None:
    egress, ingress = SQL.sides
    assert SQL.passes and (SQL.sender, SQL.receiver) == ("a", "d")
    assert [step.outcome for step in egress.steps] == ["audited", "decides"]
    assert sorted(egress.meters.values()) == ["egress rate of VIF a", "packet rate of rule web:sql"]
    assert [(key.place, key.traffic_class) for key in egress.queues] == [("instance", "")]
    assert ingress.is_reached and not ingress.meters and not ingress.queues


def test_a_side_that_is_not_reached_is_still_told() -> None:
    found = asked("d ingress tcp 10.30.0.2:1 > 10.30.0.3:25")
    assert [side.is_reached for side in found.sides] == [True, False]
    assert found.sides[0].verdict.action.value == "reject" and not found.passes


def test_towards_outside_the_queue_is_that_of_the_class() -> None:
    (side,) = asked("w egress tcp 192.0.2.5:1 > 198.51.100.1:5432").sides
    assert [(key.place, key.traffic_class) for key in side.queues] == [("instance", ""), ("uplink eth1", "realtime")]


SERVED, DROPPED, UNTOLD = "served", "dropped", "not told"
LOCAL = "fe80::ff:fe00:2"  # of VIF a


@pytest.mark.parametrize(
    ("text", "fate", "words"),
    [
        ("a egress tcp 10.30.0.9:1 > 10.30.0.99:80", DROPPED, "10.30.0.9 is no address of VIF a"),
        ("a egress udp 0.0.0.0:68 > 255.255.255.255:67", SERVED, "DHCP is no matter"),
        ("a egress udp 0.0.0.0:68 > 10.30.0.99:67", DROPPED, "0.0.0.0 is no address of VIF a"),
        ("a egress udp 0.0.0.0:1 > 255.255.255.255:2", DROPPED, "0.0.0.0 is no address of VIF a"),
        (f"a egress udp [{LOCAL}]:546 > [ff02::1:2]:547", SERVED, "DHCP is no matter"),
        ("w ingress udp 192.0.2.1:67 > 192.0.2.5:68", SERVED, "DHCP is no matter"),
        ("a egress udp 10.30.0.2:67 > 10.30.0.99:68", DROPPED, "no VIF is a DHCP server"),
        (f"a egress udp [{LOCAL}]:1547 > [fe80::9]:546", DROPPED, "no VIF is a DHCP server"),
        ("a egress ip/2 0.0.0.0 > 224.0.0.22", SERVED, "IGMP is no matter"),
        ("a egress icmp6 :: > ff02::16 143", SERVED, "MLD is no matter"),
        (f"a egress icmp6 {LOCAL} > ff02::1 135", SERVED, "neighbour discovery is no matter"),
        (f"a egress icmp6 {LOCAL} > ff02::1 135/1", DROPPED, "no VIF sends neighbour discovery 135/1"),
        (f"a egress icmp6 {LOCAL} > ff02::2 133", SERVED, "neighbour discovery is no matter"),
        (f"a egress icmp6 {LOCAL} > ff02::1 134", DROPPED, "no VIF sends neighbour discovery 134/0"),
        (f"a egress icmp6 {LOCAL} > ff02::1 137", DROPPED, "no VIF sends neighbour discovery 137/0"),
        (f"a egress icmp6 {LOCAL} > ff02::1 136", UNTOLD, "if its ND target is an address of the VIF"),
        (f"a egress icmp6 {LOCAL} > ff02::1 136/1", DROPPED, "no VIF sends neighbour discovery 136/1"),
        ("a egress icmp6 :: > ff02::1 136", DROPPED, ":: is no address of VIF a"),
        ("a egress icmp6 :: > ff02::1 135", UNTOLD, "if its ND target is an address of the VIF"),
        ("w ingress icmp6 fd00::9 > fe80::ff:fe00:5 134", SERVED, "neighbour discovery is no matter"),
        ("a egress tcp 10.30.0.2:0 > 10.30.0.99:80", DROPPED, "no connection has port 0"),
        ("a egress tcp 10.30.0.2:1 > 10.30.0.99:0", DROPPED, "connection tracking calls it invalid"),
        ("a egress udp 10.30.0.2:0 > 10.30.0.99:80", DROPPED, "no connection has port 0"),
        ("a egress icmp 10.30.0.2 > 10.30.0.99 0/0", DROPPED, "it opens no connection"),
        ("a egress icmp 10.30.0.2 > 10.30.0.99 3/1", DROPPED, "it opens no connection"),
        (f"a egress icmp6 {LOCAL} > fd00::9 129", DROPPED, "it opens no connection"),
        ("w ingress icmp 192.0.2.9 > 192.0.2.5 11/0", DROPPED, "it opens no connection"),
    ],
)
def test_what_no_rule_is_asked_about(text: str, fate: str, words: str) -> None:
    found = asked(text)
    (stage,) = found.unjudged
    assert (stage.gate.fate.value, found.sides) == (fate, ())
    assert words in stage.gate.why
    assert found.passes is {SERVED: True, DROPPED: False, UNTOLD: None}[fate]


@pytest.mark.parametrize(
    "text",
    [
        "a egress udp 10.30.0.2:67 > 10.30.0.99:546",
        "a egress tcp 10.30.0.2:67 > 10.30.0.99:68",
        "a egress udp [fe80::ff:fe00:2]:68 > [ff02::1]:67",
        "w egress udp 192.0.2.5:546 > 192.0.2.9:547",
        "a egress sctp 10.30.0.2:0 > 10.30.0.99:1",
        "a egress icmp 10.30.0.2 > 10.30.0.99 9/0",
        "a egress icmp 10.30.0.2 > 10.30.0.99 8/1",
        "a egress icmp6 fe80::ff:fe00:2 > fd00::9 200",
        "a egress ip/2 fe80::ff:fe00:2 > fd00::9",
    ],
)
def test_what_rules_are_asked_about(text: str) -> None:
    found = asked(text)
    assert found.unjudged == () and len(found.sides) == 1


def test_what_many_judge_is_noted() -> None:
    (note,) = asked("a egress udp 10.30.0.2:1 > 10.30.0.255:2").notes
    assert "judges it as ingress for itself" in note
    assert asked(f"a egress icmp6 {LOCAL} > ff02::16 143").notes == ()


def test_each_side_is_asked_for_itself() -> None:
    """A VIF's request for an address is Weir's to answer; what it answers to others itself goes nowhere."""
    asks = asked("a egress udp 10.30.0.2:68 > 10.30.0.3:67")
    assert [stage.vif for stage in asks.unjudged] == ["a"] and asks.sides == ()
    assert asks.is_asked and asks.receiver is None and asks.passes and "Weir answers it itself" in asks.notes[0]
    answers = asked("d ingress udp 10.30.0.2:67 > 10.30.0.3:68")
    assert [stage.gate.fate.value for stage in answers.unjudged] == [DROPPED] and answers.passes is False
    untold = asked("d ingress icmp6 fe80::ff:fe00:2 > fe80::ff:fe00:3 136")
    assert [stage.gate.fate.value for stage in untold.unjudged] == [UNTOLD, SERVED] and untold.passes is None
    with pytest.raises(CannotAsk, match="ND target"):
        probe_of(untold, WORLD)


def test_the_document_tells_who_is_not_asked() -> None:
    body = trace_views.model_values(asked(f"a egress icmp6 {LOCAL} > ff02::1 136"), WORLD)
    assert body["passes"] is None and body["sides"] == []
    (one,) = body["unjudged"]
    assert (one["vif"], one["direction"], one["fate"], one["reached"]) == ("a", "egress", UNTOLD, True)


def test_a_change_under_way_is_noted() -> None:
    assert asked("a egress tcp 10.30.0.2:1 > 10.30.0.3:5432").notes == ()
    (note,) = asked("a egress tcp 10.30.0.2:1 > 10.30.0.3:5432", made(cfg=6)).notes
    assert "a change is under way on h1" in note


def test_the_packet_as_the_switch_is_asked_about_it() -> None:
    probe = probe_of(SQL, WORLD)
    assert (probe.chassis, probe.in_port) == ("h1", 2)
    assert (probe.fields["eth_src"], probe.fields["eth_dst"]) == (0x020000000002, 0x020000000003)
    out = probe_of(asked("w egress tcp 192.0.2.5:1 > 198.51.100.1:80"), WORLD)
    assert out.in_port == 5 and out.fields["eth_dst"] == 0x020000000000
    incoming = probe_of(asked("w ingress tcp 198.51.100.1:80 > 192.0.2.5:1"), WORLD)
    assert (incoming.in_port, incoming.fields["vlan_vid"], incoming.fields["eth_dst"]) == (9, 0x1007, 0x020000000005)
    many = probe_of(asked("a egress udp 10.30.0.2:1 > 10.30.0.255:2"), WORLD)
    assert many.fields["eth_dst"] == 0xFFFFFFFFFFFF


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("unplugged egress tcp 10.30.0.6:1 > 10.30.0.3:2", "VIF unplugged has no port"),
        ("d ingress tcp 10.30.0.6:1 > 10.30.0.3:2", "VIF unplugged has no port"),
        ("d ingress tcp 10.30.0.99:1 > 10.30.0.3:2", "nothing comes into segment lab"),
        ("d ingress tcp 10.30.0.4:1 > 10.30.0.3:2", "nothing comes into segment lab"),
    ],
)
def test_what_cannot_be_asked(text: str, words: str) -> None:
    with pytest.raises(CannotAsk, match=words):
        probe_of(asked(text), WORLD)


def cookie(kind: CookieKind, key: str, number: int) -> int:
    what = "node" if kind is CookieKind.UNMATCHED else "rule"
    return encode(kind, with_vif(WORLD.numbers[what, key], number))


def said(changes: Mapping[int, int | None] | None = None, port: int = 3, dscp: int = 46, meters: bool = True) -> Trace:
    """What a switch that holds the policy says of SQL. changes: cookies in the place of others, None: none there."""
    hits = [
        (32, cookie(CookieKind.AUDIT, "web:watched", 2)),
        (32, cookie(CookieKind.VERDICT, "web:sql", 2)),
        (82, cookie(CookieKind.VERDICT, "db:clients", 3)),
    ]
    changed = [(table, (changes or {}).get(at, one)) for at, (table, one) in enumerate(hits)]
    steps = [TraceStep(table, one, 100, "", ()) for table, one in changed if one is not None]
    steps.append(TraceStep(100, 1, 100, "", (f"output:{port}",)))
    used = tuple(SQL.sides[0].meters) if meters else ()
    return Trace(tuple(steps), (Departure(port, dscp),), used, False, "")


def test_a_switch_that_says_the_same_agrees() -> None:
    probe = probe_of(SQL, WORLD)
    assert disagreements(SQL, said(), probe, WORLD) == []
    body = trace_views.switch_values("", said(), probe, WORLD)
    assert [hit["name"] for hit in body["hits"]] == ["web:watched", "web:sql", "db:clients"]
    assert body["outputs"] == [{"port": 3, "name": "VIF d"}]


@pytest.mark.parametrize(
    ("trace", "words"),
    [
        (said({1: cookie(CookieKind.VERDICT, "web:mail", 2)}), "the switch says rule web:mail"),
        (said({1: None}), "the policy says rule web:sql decides, the switch says nothing"),
        (
            said({2: cookie(CookieKind.UNMATCHED, "db", 3)}),
            "rule db:clients decides, the switch says 'unmatched' of db",
        ),
        (said({0: None}), "audited rule web:watched counts by the policy, not by the switch"),
        (said(port=9), "way out: the policy says port 3, the switch says 9"),
        (said(dscp=0), "DSCP: the policy says 46, the switch says 0"),
        (said(meters=False), "meters: the policy says"),
    ],
)
def test_a_switch_that_says_otherwise_is_found_out(trace: Trace, words: str) -> None:
    (line,) = disagreements(SQL, trace, probe_of(SQL, WORLD), WORLD)
    assert words in line


def test_only_the_side_that_this_switch_judges_is_held_against_it() -> None:
    out = asked("w egress tcp 192.0.2.5:1 > 198.51.100.1:5432")
    number = cookie(CookieKind.VERDICT, "web:sql", 5)
    audited = cookie(CookieKind.AUDIT, "web:watched", 5)
    steps = (
        TraceStep(32, audited, 100, "", ()),
        TraceStep(32, number, 100, "", ()),
        TraceStep(100, 1, 100, "", ("push_vlan:0x8100", "output:9")),
    )
    trace = Trace(steps, (Departure(9, 46, 7),), tuple(out.sides[0].meters), False, "")
    assert disagreements(out, trace, probe_of(out, WORLD), WORLD) == []


OUT_OF_D = TraceStep(100, 1, 100, "", ("output:3",))


@pytest.mark.parametrize(
    ("text", "ports"),
    [
        ("a egress tcp 10.30.0.9:1 > 10.30.0.3:80", set()),
        (f"a egress icmp6 {LOCAL} > fe80::ff:fe00:3 134", set()),
        (f"a egress icmp6 {LOCAL} > ff02::1 134", set()),
        (f"a egress icmp6 {LOCAL} > fe80::ff:fe00:3 135", {3}),
        (f"a egress icmp6 {LOCAL} > ff02::1 135", {3}),
        ("a egress udp 10.30.0.2:68 > 255.255.255.255:67", set()),
        ("a egress icmp 10.30.0.2 > 10.30.0.3 0/0", set()),
    ],
)
def test_what_no_rule_is_asked_about_leaves_where_it_should(text: str, ports: set[int]) -> None:
    found = asked(text)
    probe = probe_of(found, WORLD)
    nothing, out_of_d = Trace((), (), (), False, ""), Trace((OUT_OF_D,), (), (), False, "")
    right, wrong = (out_of_d, nothing) if ports else (nothing, out_of_d)
    assert disagreements(found, right, probe, WORLD) == []
    (line,) = disagreements(found, wrong, probe, WORLD)
    assert line.startswith("way out: the policy says port ")


def test_what_another_host_drops_is_not_held_against_this_switch() -> None:
    """It is asked about the packet as if that came in all the same."""
    found = asked("e ingress icmp6 fe80::ff:fe00:8 > fe80::ff:fe00:7 134")
    assert found.passes is False and [stage.is_reached for stage in found.stages] == [True, False]
    trace = Trace((TraceStep(100, 1, 100, "", ("output:7",)),), (), (), False, "")
    assert disagreements(found, trace, probe_of(found, WORLD), WORLD) == []
    judged = asked("e ingress tcp 192.0.2.8:1 > 192.0.2.7:5432")
    assert [(side.passes, side.is_reached) for side in judged.sides] == [(False, True), (False, False)]
    steps = (TraceStep(82, cookie(CookieKind.UNMATCHED, "db", 7), 100, "", ()),)
    assert disagreements(judged, Trace(steps, (), (), False, ""), probe_of(judged, WORLD), WORLD) == []


def test_the_switch_is_told_what_connection_tracking_would_find() -> None:
    states = {text: probe_of(asked(f"a egress {text}"), WORLD).connection for text in (
        "tcp 10.30.0.2:1 > 10.30.0.3:2", "tcp 10.30.0.2:0 > 10.30.0.3:2",
        "icmp 10.30.0.2 > 10.30.0.3 8/0", "icmp 10.30.0.2 > 10.30.0.3 8/1",
    )}  # fmt: skip
    assert list(states.values()) == ["trk,new", "trk,inv"] * 2
