"""What a rule does for each VIF, and which counter and meter it has for that."""

from __future__ import annotations

from dataclasses import replace

import pytest

from controller.compiler.bridge import Bridge
from controller.compiler.compile import compile_bridge
from controller.compiler.parts import Memo
from controller.compiler.rule_meters import LOG, REJECT, MeterUse, rule_meters
from controller.compiler.survey import survey
from controller.compiler.verdict import COPIED_BYTES
from controller.dataplane.actions import DROP, Controller, Instructions, SetField
from controller.dataplane.cookies import CookieKind, decode
from controller.dataplane.entries import FlowBody, FlowKey
from controller.dataplane.pipeline import (
    EGRESS_COMMIT,
    EGRESS_PACKETS,
    EGRESS_VERDICT,
    INGRESS_COMMIT,
    INGRESS_PACKETS,
    INGRESS_VERDICT,
    Table,
)
from controller.dataplane.registers import AUDITED, REPLY
from tests.support.bridges import Vif, bridge
from tests.support.flow_interpreter import FlowInterpreter
from tests.support.parties_and_packets import tcp
from tests.support.vif_packets import back, send

POLICY = """
weir: 1
segments: {s: {type: internal}}
classes: {fast: {dscp: ef, share: 30 %}, normal: {dscp: cs1, share: 60 %}}
policies:
  p:
    rules:
      - allow: {name: free, direction: egress, service: tcp/80}
      - allow: {name: both, direction: egress, service: tcp/81, limit: 5 mbit, packets: 2 kpps, dscp: 12, log: true}
      - allow: {name: few, direction: ingress, service: tcp/82, packets: 2 kpps}
      - deny: {name: shut, service: tcp/83, log: true}
      - reject: {name: told, direction: egress, service: tcp/84, log: true}
      - allow: {name: asked, direction: egress, service: tcp/85, limit: 5 mbit, packets: 2 kpps, stage: audit}
      - deny: {name: asked-too, direction: egress, service: tcp/86, stage: audit, log: true}
  closed: {unmatched: reject}
  open: {unmatched: allow}
  classy: {unmatched: allow, rules: [{allow: {name: quick, service: tcp/80, class: fast}}]}
"""
P, OPEN = Vif(1, "p", ("10.0.0.1/24",)), Vif(2, "open", ("10.0.0.2/24",))
ONE = bridge(POLICY, P, OPEN, Vif(3, "closed", ()), Vif(4, "classy", ()))
STATE = compile_bridge(ONE)
METERS = {use: number for found in rule_meters(ONE, survey(ONE, Memo()))[0].values() for use, number in found.items()}


def entry(
    table: Table, vif: int, rule: str, bits: int = 0, one: Bridge = ONE
) -> tuple[CookieKind, Instructions] | None:
    """Of a rule for a VIF, and the kind of its cookie. rule "": `unmatched`."""
    number = (one.rule_numbers[rule] if rule else 0) | bits
    register = "reg0" if table.name.startswith("egress") else "reg1"
    wanted = (("reg6", number, 0xFFFFFFFF), (register, vif, 0xFFFFFFFF))
    state = STATE if one is ONE else compile_bridge(one)
    found = [
        body for key, body in state.flows.items() if key.table == table.id and set(key.match.fields) == set(wanted)
    ]
    if not found:
        return None
    (body,) = found
    origin = decode(body.cookie)
    assert origin is not None and origin.vif == vif
    assert origin.of == (
        number & 0xFFFFFF if rule else one.node_numbers[next(v.policy for v in one.vifs if v.number == vif)]
    )
    return origin.kind, body.instructions


def of_rule(rule: str, direction: str, unit: str) -> int:
    return METERS[MeterUse(1, ONE.rule_numbers[rule], direction, unit)]


LOGGED = Controller(COPIED_BYTES, METERS[MeterUse(1, 0, "", LOG)])
REJECTED = Instructions(apply=(Controller(COPIED_BYTES, METERS[MeterUse(1, 0, "", REJECT)]),))


@pytest.mark.parametrize(
    ("rule", "table", "does"),
    [
        ("p:free", EGRESS_VERDICT, Instructions(goto=EGRESS_COMMIT.id)),
        ("p:free", INGRESS_VERDICT, None),
        (
            "p:both",
            EGRESS_VERDICT,
            Instructions(
                of_rule("p:both", "egress", "kbps"), (SetField("reg4", 13), LOGGED), goto=EGRESS_PACKETS.id
            ),
        ),
        ("p:both", EGRESS_PACKETS, Instructions(of_rule("p:both", "egress", "pps"), goto=EGRESS_COMMIT.id)),
        ("p:few", INGRESS_VERDICT, Instructions(of_rule("p:few", "ingress", "pps"), goto=INGRESS_COMMIT.id)),
        ("p:few", INGRESS_PACKETS, None),
        ("p:shut", EGRESS_VERDICT, Instructions(apply=(LOGGED,))),
        ("p:shut", INGRESS_VERDICT, Instructions(apply=(LOGGED,))),
        ("p:told", EGRESS_VERDICT, REJECTED),
    ],
)  # fmt: skip
def test_what_a_rule_does_in_its_direction(rule: str, table: Table, does: Instructions | None) -> None:
    assert entry(table, 1, rule) == (None if does is None else (CookieKind.VERDICT, does))


@pytest.mark.parametrize(
    ("rule", "table", "does"),
    [
        ("p:free", INGRESS_VERDICT, Instructions(goto=INGRESS_COMMIT.id)),
        ("p:free", EGRESS_VERDICT, None),
        ("p:both", INGRESS_VERDICT, Instructions(apply=(SetField("reg4", 13),), goto=INGRESS_COMMIT.id)),
        ("p:few", EGRESS_VERDICT, Instructions(goto=EGRESS_COMMIT.id)),
        ("p:shut", EGRESS_VERDICT, DROP),
        ("p:told", INGRESS_VERDICT, DROP),
    ],
)
def test_replies_get_the_mark_and_use_up_no_rate(rule: str, table: Table, does: Instructions | None) -> None:
    assert entry(table, 1, rule, REPLY) == (None if does is None else (CookieKind.REPLY, does))


@pytest.mark.parametrize(
    ("rule", "table", "does"),
    [
        (
            "p:asked",
            EGRESS_VERDICT,
            Instructions(of_rule("p:asked", "egress", "kbps"), goto=EGRESS_PACKETS.id),
        ),
        ("p:asked", EGRESS_PACKETS, Instructions(of_rule("p:asked", "egress", "pps"))),
        ("p:asked-too", EGRESS_VERDICT, DROP),
        ("p:asked-too", INGRESS_VERDICT, None),
    ],
)
def test_a_rule_under_audit_counts_and_lets_nothing_through(rule: str, table: Table, does: Instructions | None) -> None:
    assert entry(table, 1, rule, AUDITED) == (None if does is None else (CookieKind.AUDIT, does))
    assert entry(table, 1, rule) is None and entry(table, 1, rule, REPLY) is None


@pytest.mark.parametrize("side", [(EGRESS_VERDICT, EGRESS_COMMIT), (INGRESS_VERDICT, INGRESS_COMMIT)])
def test_what_no_rule_decides(side: tuple[Table, Table]) -> None:
    verdict, commit = side
    told = Instructions(apply=(Controller(COPIED_BYTES, METERS[MeterUse(3, 0, "", REJECT)]),))
    marked = Instructions(apply=(SetField("reg4", 9),), goto=commit.id)
    assert [entry(verdict, vif, "") for vif in (1, 2, 3, 4)] == [
        (CookieKind.UNMATCHED, one) for one in (DROP, Instructions(goto=commit.id), told, marked)
    ]


def test_the_counters_of_a_rule_stay_when_it_moves_and_when_others_change() -> None:
    """An entry is rewritten with its counters kept as long as its key stays; here even the body does."""
    lines = POLICY.splitlines()
    at = [place for place, line in enumerate(lines) if "name: free" in line or "name: few" in line]
    lines[at[0]], lines[at[1]] = lines[at[1]], lines[at[0]]
    moved = bridge("\n".join(lines).replace("service: tcp/84", "service: tcp/94"), P, OPEN)
    before = verdicts(ONE)
    after = verdicts(replace(moved, rule_numbers=ONE.rule_numbers, node_numbers=ONE.node_numbers))
    assert {key: body for key, body in after.items() if body.cookie & 0xFFFF == 1} == {
        key: body for key, body in before.items() if body.cookie & 0xFFFF == 1
    }


def verdicts(one: Bridge) -> dict[FlowKey, FlowBody]:
    tables = (EGRESS_VERDICT.id, INGRESS_VERDICT.id, EGRESS_PACKETS.id, INGRESS_PACKETS.id)
    return {key: body for key, body in compile_bridge(one).flows.items() if key.table in tables}


@pytest.mark.parametrize(
    ("port", "passes", "rated", "copied"),
    [
        (80, True, [], []),
        (81, True, ["kbps", "pps"], [LOG]),
        (83, False, [], [LOG]),
        (84, False, [], [REJECT]),
        (85, False, ["kbps", "pps"], []),  # of the copy
        (99, False, [], []),
    ],
)
def test_packets_meet_their_meters(port: int, passes: bool, rated: list[str], copied: list[str]) -> None:
    switch = FlowInterpreter(STATE)
    packet = tcp("10.0.0.1", "10.0.0.2", port)
    assert bool(send(switch, packet, P, OPEN)) == passes
    names = {number: use.unit for use, number in METERS.items()}
    assert ([names[number] for number in switch.metered], [names[number] for number in switch.punted]) == (
        rated,
        copied,
    )
    if passes:
        switch.metered.clear()
        switch.punted.clear()
        assert send(switch, back(packet), OPEN, P) and not switch.metered and not switch.punted
