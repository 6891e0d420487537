"""From any name to everything that belongs to it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from controller.cli import explain_views, queue_classes
from controller.compiler.packet_rates import BOTH, PacketBound
from controller.compiler.rule_meters import MeterUse
from controller.dataplane.cookies import CookieKind, encode, with_vif
from controller.dataplane.meter_ids import SERVICE_METERS
from controller.intent import explanation
from controller.intent.errors import Rejected
from controller.intent.explain_target import Foreign, subject_of
from controller.intent.numbering import renumber
from controller.intent.on_paper import compiled, world_of
from controller.world.desired import World
from ovsdb.rows import Chassis
from policies.parser import parse
from tests.unit.intent.worlds import vif, world

POLICY = """\
weir: 1
segments:
  lab: {type: internal, subnets: [10.30.0.0/24]}
  net: {type: bridged, uplink: eth1}
links: {eth1: {capacity: 100 mbit}}
classes: {realtime: {dscp: ef, share: 30 %}}
policies:
  acme:
    mandatory:
      - deny: {name: no-metadata, direction: egress, to: 169.254.169.254}
    default:
      - allow: {name: ping, service: icmp/8}
    children:
      web:
        egress: {limit: 10 mbit}
        rules:
          - allow: {name: sql, direction: egress, service: tcp/5432, class: realtime, limit: 1 mbit}
          - reject: {service: tcp/25}
        buffer: 100 kb
        congestion: {queue: red, ecn: true}
      db: {ingress: {limit: 20 mbit}}
  free: {}
"""
VIFS = (
    vif("a", 2, policy="acme/web", ofport=2, segment="net", addresses=("192.0.2.2/24",)),
    vif("b", 3, policy="acme/web", ofport=3),
    vif("d", 4, policy="acme/db", ofport=4, port_name="wv4"),
)


def made() -> World:
    numbers, following = renumber(parse({"p.yaml": POLICY}), {}, {})
    snapshot = world(*VIFS, files={"p.yaml": POLICY}, numbers=numbers, next_number=following)
    return world_of(replace(snapshot, chassis={"h1": Chassis("h1", "br", uplink_ports={"eth1": 9})}), 0.0)


WORLD = made()
BRIDGES = {"h1": compiled(WORLD, "h1")}
METERS = {use: number for number, use in BRIDGES["h1"].meters.items()}


def explained(text: str) -> dict[str, Any]:
    if queue_classes.is_queue(text):
        subject, keys = queue_classes.subject_of(text, WORLD)
    else:
        subject = subject_of(text, WORLD, BRIDGES)
        keys = explanation.concerned_queues(subject, WORLD)
    ids = queue_classes.class_ids(WORLD)
    return explanation.document(subject, WORLD, BRIDGES, {key: ids[key] for key in keys})


def names(body: dict[str, Any]) -> list[str]:
    return [one["name"] for one in body["vifs"]]


def number(name: str, kind: str = "rule") -> int:
    return WORLD.numbers[kind, name]


def test_a_vif(capsys: pytest.CaptureFixture[str]) -> None:
    body = explained("a")
    assert names(body) == ["a"] and body["target"] == "vif"
    assert body["text"].endswith("of policy acme/web, segment net, on host h1")
    rows = body["walks"]["acme/web"]
    assert [(row["tier"], row["index"]) for row in rows] == [
        ("mandatory", "acme[1]"), ("rules", "acme/web[1]"), ("rules", "acme/web[2]"), ("default", "acme[2]"),
        ("unmatched", None),
    ]  # fmt: skip
    assert rows[0]["text"] == "deny egress to 169.254.169.254/32" and rows[0]["at"] == "p.yaml:10:9"
    assert {meter["for"] for meter in body["meters"]} == {
        "the egress rate of VIF a",
        "the egress rate of rule acme/web:sql for VIF a",
        "copies of what is rejected, which the controller answers, of VIF a",
        "what VIF a asks of the controller",
    }
    assert {(queue["place"], queue["class"]) for queue in body["queues"]} == {
        ("uplink eth1", None), ("uplink eth1", "realtime"), ("uplink eth1", "normal"), ("instance", None),
    }  # fmt: skip
    assert {(queue["class"], queue["buffer_bytes"]) for queue in body["queues"]} == {
        (None, 100_000), ("realtime", 30_000), ("normal", 70_000),
    }  # fmt: skip
    assert all(queue["congestion"] == {"queue": "red", "ecn": True} for queue in body["queues"])
    explain_views.show({**body, "counters": []})
    shown = [line for line in capsys.readouterr().out.splitlines() if "instance on h1: a" in line]
    assert len(shown) == 1 and shown[0].endswith("limit 10000 kbit weight 1 buffer 100000 bytes red ecn")
    assert body["entries"] and not any("reg0=0x3" in entry["text"] for entry in body["entries"])


def test_a_rule_by_its_identity_and_by_its_place() -> None:
    body = explained("acme/web:sql")
    assert names(body) == ["a", "b"] and body["rule"]["text"].endswith("class realtime limit 1 mbit")
    assert {meter["rule"] for meter in body["meters"]} == {"acme/web:sql"} and len(body["meters"]) == 2
    assert {queue["class"] for queue in body["queues"]} == {None, "realtime"}
    assert explained("acme/web[1]") == explained("acme/web 1") == body
    assert explained("acme[2]")["rule"]["name"] == "ping" and names(explained("acme[2]")) == ["a", "b", "d"]
    unnamed = explained("acme/web[2]")["rule"]
    assert unnamed["name"] is None and explained(unnamed["identity"])["rule"] == unnamed


def test_every_cookie_of_the_bridge() -> None:
    kinds = set()
    for body in BRIDGES["h1"].state.flows.values():
        found = explained(f"{body.cookie:#x}")
        kinds.add(found["kind"])
        assert found["entries"]
        assert {"cookie", "number", "name", "at", "text"} <= set(found)
    assert kinds == {
        "pipeline",
        "vif",
        "segment",
        "rule",
        "unmatched",
        "unmatched_reply",
        "verdict",
        "reply",
        "service",
    }


def test_a_dumped_line_of_a_verdict_is_about_one_vif() -> None:
    cookie = encode(CookieKind.VERDICT, with_vif(number("acme/web:sql"), 2))
    body = explained(f" cookie={cookie:#x}, duration=1s, table=32, reg6=0x1 actions=meter:70000,goto_table:35")
    assert names(body) == ["a"] and body["rule"]["name"] == "sql" and body["kind"] == "verdict"
    assert len(body["meters"]) == 1 and list(body["walks"]) == ["acme/web"]
    unmatched = explained(f"{encode(CookieKind.UNMATCHED, with_vif(number('acme/web', 'node'), 3)):#x}")
    assert names(unmatched) == ["b"] and unmatched["name"] == "acme/web"
    assert all("unmatched" not in entry["text"] for entry in unmatched["entries"])


def test_a_meter() -> None:
    of_rule = METERS[MeterUse(2, number("acme/web:sql"), "egress", "kbps")]
    for text in (f"meter {of_rule}", f"meter:{of_rule}", f"meter={of_rule} kbps burst stats bands="):
        body = explained(text)
        assert names(body) == ["a"] and body["rule"]["name"] == "sql"
        assert [meter["id"] for meter in body["meters"]] == [of_rule]
        assert body["entries"] and all(f"meter:{of_rule}" in entry["text"] for entry in body["entries"])
    assert explained("meter 2")["text"] == "meter 2 of chassis h1: the egress rate of VIF a"
    assert "if it has one" in explained("meter 4")["text"]
    asked = explained(f"meter {SERVICE_METERS.start + 2}")
    assert asked["text"].endswith("what VIF a asks of the controller") and len(asked["meters"]) == 1


def test_a_meter_of_packets() -> None:
    text = POLICY.replace("egress: {limit: 10 mbit}", "cpu: 20 %").replace(
        "  acme:\n", "  acme:\n    ingress: {packets: 3 kpps}\n"
    )
    numbers, following = renumber(parse({"p.yaml": text}), {}, {})
    bounded = world_of(world(*VIFS, files={"p.yaml": text}, numbers=numbers, next_number=following), 0.0)
    bridges = {"h1": compiled(bounded, "h1")}
    ids = {use: meter for meter, use in bridges["h1"].bounds.uses.items()}

    def said(use: PacketBound) -> dict[str, Any]:
        return explanation.document(subject_of(f"meter {ids[use]}", bounded, bridges), bounded, bridges, {})

    together = said(PacketBound(0, numbers["node", "acme"], "ingress"))
    assert together["text"].endswith("the ingress packets of all VIFs below acme on this host together")
    assert names(together) == ["a", "b", "d"]
    budget = said(PacketBound(2, 0, BOTH))
    assert budget["text"].endswith("packets of both directions that the processor time of VIF a is good for")
    assert names(budget) == ["a"] and [meter["id"] for meter in budget["meters"]] == [ids[PacketBound(2, 0, BOTH)]]
    found = [entry["text"] for entry in budget["entries"]]
    assert [any(f"table={name}," in text for text in found) for name in ("egress_bounds", "output")] == [True, True]


def test_a_queue() -> None:
    root = f"{number('acme', 'node'):x}"
    inner = explained(f"queue eth1:7fff:{0xC000 + number('acme', 'node'):x}")
    assert inner["text"].endswith("policy acme, all below it")
    own = explained(f"class htb {root}:2 parent {root}:ffff leaf 3fff: prio 0 rate 1Kbit")
    assert names(own) == ["a"] and own["queues"][0]["place"] == "uplink eth1"
    realtime = explained("eth1:4000:2f")
    assert realtime["queues"][0]["class"] == "realtime" and names(realtime) == ["a"]
    for device in ("d", "wv4"):
        port = explained(f"queue {device}:7fff:fffe")
        assert names(port) == ["d"] and port["queues"][0]["place"] == "port"
    assert "all others are below" in explained("7fff:ffff")["text"]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("aa", "Did you mean 'a'?"),
        ("acme/web:sqll", "Did you mean 'acme/web:sql'?"),
        ("acme/wev", "Did you mean 'acme/web'?"),
        ("acme/web[3]", "has 2 rules, none of which is number 3"),
        ("acme/wev[1]", "Did you mean 'acme/web'?"),
        ("zzzzzzzzzz", "Name a VIF, a rule, a node"),
        ("meter 77777777", "is none that the policy in force asks for"),
        ("queue eht1:7fff:2", "Did you mean 'eth1'?"),
        ("7fff:77", "is none that the policy in force asks for"),
        ("queue nonsense", "a queue is named by its class id"),
    ],
)
def test_what_is_not_known(text: str, words: str) -> None:
    with pytest.raises(Rejected) as rejected:
        explained(text)
    (line,) = rejected.value.lines
    assert words in line


def test_somebody_elses_entry() -> None:
    with pytest.raises(Foreign, match="cookie 0x1234 is none of Weir's"):
        explained("cookie=0x1234, table=0 actions=drop")


def test_counters_of_a_subject() -> None:
    rows = [
        {"rule": rule, "node": node, "vif": name, "packets": 1}
        for rule, node in (("acme/web:sql", None), ("acme:ping", None), (None, "acme/web"))
        for name in ("a", "b")
    ]

    def counted(text: str) -> int:
        return len(explanation.counted(subject_of(text, WORLD, BRIDGES), rows))

    assert (counted("a"), counted("acme/web:sql"), counted("acme"), counted("d")) == (3, 2, 6, 0)
    cookie = encode(CookieKind.UNMATCHED, with_vif(number("acme/web", "node"), 2))
    assert counted(f"{cookie:#x}") == 1
