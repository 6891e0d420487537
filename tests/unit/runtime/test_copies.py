"""Packets that switches send up: recorded where a rule logs, answered where one rejects."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import pytest

from controller.dataplane.cookies import CookieKind, encode, with_vif
from controller.dataplane.pipeline import EGRESS_VERDICT, INGRESS_VERDICT
from controller.runtime import copies as module
from controller.runtime.copies import KEPT, Copies, Reading
from controller.world.desired import World, read_world
from ovsdb.rows import Chassis
from tests.support.controller_process import numbers_of
from tests.unit.runtime.runtime_worlds import H1, SWITCH, snapshot, vif

POLICY = """
weir: 1
segments:
  office: {type: bridged, uplink: up0, vlan: 120}
  plain: {type: bridged, uplink: up0}
policies:
  acme:
    unmatched: reject
    default:
      - deny: {name: noted, service: tcp/83, log: true}
    children:
      web:
        rules:
          - reject: {name: told, service: tcp/80, log: true}
          - reject: {name: silent, service: tcp/81}
          - allow: {name: passed, service: tcp/82, log: true}
"""
NUMBERS = numbers_of(POLICY)
FRAME = b"\2\2\2\2\2\2\1\1\1\1\1\1\x08\x00rest"
UPLINK, PORT = 100, 7


@dataclass(frozen=True)
class Sent:
    """A Copy."""

    cookie: int
    table: int = EGRESS_VERDICT.id
    in_port: int = PORT
    frame: bytes = FRAME
    datapath_id: str = SWITCH


class Desk:
    """Copies, what they write and what they have a switch send."""

    def __init__(self, world: World) -> None:
        self.world, self.now_s = world, 12.3456
        self.written: list[Mapping[str, Any]] = []
        self.answers: list[tuple[int, bytes]] = []
        self.answer: bytes | None = b"macs of both" + b"\x08\x00answer"
        reading = Reading(lambda frame: {"protocol": f"{len(frame)} bytes"}, lambda frame: self.answer)
        self.copies = Copies(lambda: self.world, reading, self.written.append, lambda: self.now_s)

    def take(self, copy: Sent) -> None:
        self.copies.take(copy, "h1", self)  # type: ignore[arg-type]

    def packet_out(self, port: int, frame: bytes) -> None:
        self.answers.append((port, frame))


def desk(*chassis: Chassis, **changes: Any) -> Desk:
    vifs = (vif(1), vif(2, segment="plain"))
    made = snapshot(*vifs, chassis=chassis or (H1,), files={"p.yaml": POLICY}, numbers=NUMBERS, **changes)
    return Desk(read_world(made, World(), 0.0))


def cookie(rule: str, at: int = 1, kind: CookieKind = CookieKind.VERDICT) -> int:
    return encode(kind, with_vif(NUMBERS["rule", rule], at))


UNMATCHED = encode(CookieKind.UNMATCHED, with_vif(NUMBERS["node", "acme/web"], 1))


@pytest.mark.parametrize(
    ("number", "records", "answers"),
    [
        (cookie("acme/web:told"), 1, 1),
        (cookie("acme/web:silent"), 0, 1),
        (cookie("acme/web:passed"), 1, 0),
        (cookie("acme:noted"), 1, 0),
        (UNMATCHED, 0, 1),
        (encode(CookieKind.VERDICT, with_vif(12345, 1)), 0, 0),  # a rule that is gone
        (encode(CookieKind.RULE, 1), 0, 0),
        (0x1234, 0, 0),  # somebody else's
    ],
)
def test_who_is_recorded_and_who_is_answered(number: int, records: int, answers: int) -> None:
    one = desk()
    one.take(Sent(number))
    assert (len(one.written), len(one.answers)) == (records, answers)
    assert list(one.copies.records) == one.written


def test_a_record_says_who_what_and_why() -> None:
    one = desk()
    party = replace(one.world.identities.parties["v1"], users=frozenset({"bob", "alice"}))
    parties = {**one.world.identities.parties, "v1": party}
    one.world = replace(one.world, identities=replace(one.world.identities, parties=parties))
    one.take(Sent(cookie("acme/web:told"), INGRESS_VERDICT.id))
    assert one.written == [
        {
            "time": 12.346, "rule": "acme/web:told", "at": "p.yaml:14:13", "action": "reject", "vif": "v1",
            "users": ["alice", "bob"], "direction": "ingress", "chassis": "h1", "protocol": f"{len(FRAME)} bytes",
        }
    ]  # fmt: skip


def test_of_a_vif_that_is_gone_the_rule_is_still_recorded() -> None:
    one = desk()
    one.take(Sent(cookie("acme/web:passed", at=9)))
    assert one.written[0]["vif"] is None and one.written[0]["users"] == []


ANSWER = b"macs of both" + b"\x08\x00answer"
TAGGED = b"macs of both" + b"\x81\x00\x00\x78" + b"\x08\x00answer"


@pytest.mark.parametrize(
    ("at", "in_port", "sent"),
    [
        (1, PORT, [(PORT, ANSWER)]),  # back to a VIF
        (1, UPLINK, [(UPLINK, TAGGED)]),  # out again, in the VLAN it came in
        (2, UPLINK, [(UPLINK, ANSWER)]),  # a segment without one
        (9, UPLINK, []),  # whose VLAN it was nobody knows any more
        (9, PORT, [(PORT, ANSWER)]),
    ],
)
def test_answers_go_back_where_the_packet_came_in(at: int, in_port: int, sent: list[tuple[int, bytes]]) -> None:
    one = desk()
    one.take(Sent(cookie("acme/web:silent", at), in_port=in_port))
    assert one.answers == sent


def test_what_the_router_had_passed_on_is_answered_to_the_vif_that_sent_it() -> None:
    """The router's MAC is 02:00:00:00:00:00 in a system that has made no VIF."""
    one = desk()
    routed = b"\2\0\0\0\0\1" + b"\2\0\0\0\0\0" + FRAME[12:]
    for port in (2, UPLINK, 77):  # v2's; from another host; of nobody
        one.take(Sent(cookie("acme/web:silent"), INGRESS_VERDICT.id, port, routed))
    assert one.answers == [(2, b"\2\0\0\0\0\2" + b"\2\0\0\0\0\0" + b"\x08\x00answer")]


def test_ports_are_those_of_the_switch_that_sent_it() -> None:
    other = Chassis("h2", "br0", "00000000000000bb", uplink_ports={"up0": PORT}, agent_cfg=3)
    one = desk(H1, other)
    one.take(Sent(cookie("acme/web:silent")))
    one.take(Sent(cookie("acme/web:silent"), datapath_id=other.datapath_id))
    assert one.answers == [(PORT, ANSWER), (PORT, TAGGED)]


def test_what_must_not_be_answered_is_not() -> None:
    one = desk()
    one.answer = None
    for in_port in (PORT, UPLINK):
        one.take(Sent(cookie("acme/web:told"), in_port=in_port))
    assert len(one.written) == 2 and not one.answers


def test_a_rule_that_no_longer_rejects_is_not_answered_for() -> None:
    one = desk()
    one.take(Sent(cookie("acme/web:silent")))
    text = POLICY.replace("- reject: {name: silent", "- deny: {name: silent")
    one.world = read_world(replace(one.world.snapshot, files={"p.yaml": text}), one.world, 0.0)
    one.take(Sent(cookie("acme/web:silent")))
    assert len(one.answers) == 1


@pytest.mark.parametrize("broken", ["describe", "answer", "write", "table", "world"])
def test_nothing_is_raised_whatever_comes(broken: str, caplog: pytest.LogCaptureFixture) -> None:
    one = desk()

    def fails(*_: object) -> Any:
        raise ZeroDivisionError("nobody thought of this")

    reading = Reading(fails if broken == "describe" else lambda _: {}, fails if broken == "answer" else lambda _: None)
    world = fails if broken == "world" else lambda: one.world
    copies = Copies(world, reading, fails if broken == "write" else one.written.append, lambda: 0.0)
    table = 250 if broken == "table" else EGRESS_VERDICT.id
    copies.take(Sent(cookie("acme/web:told"), table), "h1", one)  # type: ignore[arg-type]
    assert "h1: a packet that it sent up cannot be dealt with" in caplog.text


def test_the_newest_records_are_kept() -> None:
    one = desk()
    for turn in range(KEPT + 5):
        one.now_s = float(turn)
        one.take(Sent(cookie("acme/web:passed")))
    assert len(one.copies.records) == KEPT and one.copies.records[0]["time"] == 5.0


def test_more_than_can_be_dealt_with_are_passed_over_until_the_second_is_over(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_A_SECOND", 2)
    one = desk()
    for _ in range(5):
        one.take(Sent(UNMATCHED))
    assert (len(one.answers), one.copies.passed_over) == (2, 3)
    one.now_s += 1
    one.take(Sent(UNMATCHED))
    assert (len(one.answers), one.copies.passed_over) == (3, 3)
