"""From a dumped flow back to the policy."""

from __future__ import annotations

import pytest

from controller.compiler.compile import compile_bridge
from controller.compiler.explain import Context, cookie_in, explain
from controller.dataplane.cookies import LEARNED, CookieKind, encode, with_vif
from controller.dataplane.pipeline import EGRESS_METER
from controller.dataplane.text import flow_lines
from policies.parser import parse
from tests.support.bridges import Vif, bridge

POLICY = """weir: 1
segments: {s: {type: internal}}
policies:
  acme:
    default:
      - allow: {name: lookups, direction: egress, service: udp/53}
    children:
      web: {}
"""
POLICIES = parse({"acme.yaml": POLICY})
RULE = POLICIES.nodes["acme"].default[0].identity
NUMBERS = {("segment", "s"): 1, ("node", "acme/web"): 1, ("rule", RULE): 1, ("rule", "acme:gone"): 2}
CONTEXT = Context(POLICIES, NUMBERS, {7: "web1"})


@pytest.mark.parametrize(
    ("kind", "number", "text"),
    [
        (CookieKind.PIPELINE, 40, f"the pipeline itself, table egress_meter: {EGRESS_METER.purpose}"),
        (CookieKind.PIPELINE, 41, "table number 41, which is not there any more"),
        (CookieKind.VIF, 7, "VIF web1"),
        (CookieKind.VIF, 8, "VIF number 8, which is not there any more"),
        (CookieKind.SERVICE, 7, "VIF web1 asks the controller: addresses, errors of the router"),
        (CookieKind.SERVICE, 8, "VIF number 8, which is not there any more"),
        (CookieKind.SERVICE, 0, "the router asks the controller about a packet from outside"),
        (CookieKind.SEGMENT, 1, "acme.yaml:2:12: segment s"),
        (CookieKind.SEGMENT, 2, "segment number 2, which is not there any more"),
        (CookieKind.RULE, 1, "acme.yaml:6:9: acme: rule allow lookups"),
        (CookieKind.RULE, 2, "rule acme:gone (number 2), which is not there any more"),
        (CookieKind.RULE, 3, "rule number 3, which is not there any more"),
        (CookieKind.VERDICT, with_vif(1, 7), "acme.yaml:6:9: acme: rule allow lookups, for VIF web1"),
        (
            CookieKind.VERDICT,
            with_vif(1, 8),
            "acme.yaml:6:9: acme: rule allow lookups, for VIF number 8, which is not there any more",
        ),
        (
            CookieKind.REPLY,
            with_vif(1, 7),
            "acme.yaml:6:9: acme: rule allow lookups, replies to what it allows, for VIF web1",
        ),
        (
            CookieKind.AUDIT,
            with_vif(1, 7),
            "acme.yaml:6:9: acme: rule allow lookups, counted under audit, for VIF web1",
        ),
        (CookieKind.VERDICT, with_vif(2, 7), "rule acme:gone (number 2), which is not there any more"),
        (
            CookieKind.UNMATCHED,
            with_vif(1, 7),
            "acme.yaml:8:7: acme/web: what no rule of it matches: deny, for VIF web1",
        ),
        (CookieKind.UNMATCHED, with_vif(9, 7), "node number 9, which is not there any more"),
    ],
)
def test_each_kind_of_origin(kind: CookieKind, number: int, text: str) -> None:
    explanation = explain(encode(kind, number), CONTEXT)
    assert explanation is not None and explanation.text == text


def test_what_the_switch_learned() -> None:
    found = explain(LEARNED | 1, CONTEXT)
    assert found is not None
    assert found.text == "acme.yaml:2:12: segment s: learned by the switch from what came from outside"


def test_somebody_elses_flow_has_no_explanation() -> None:
    assert explain(0x1234, CONTEXT) is None


@pytest.mark.parametrize(
    ("text", "cookie"),
    [
        ("0x5ee1030000000002", 0x5EE1030000000002),
        (" cookie=0x5ee1030000000002, duration=3s, table=0, reg0=0x1 actions=drop", 0x5EE1030000000002),
        ("cookie=0x0", 0),
        ("web1", None),
        ("table=0, reg0=0x1 actions=drop", None),
    ],
)
def test_a_cookie_is_found_in_what_people_paste(text: str, cookie: int | None) -> None:
    assert cookie_in(text) == cookie


def test_every_entry_of_a_bridge_leads_back() -> None:
    for line in flow_lines(compile_bridge(bridge(POLICY, Vif(7, "acme/web", ("10.0.0.1/24",))))):
        cookie = cookie_in(line)
        assert cookie is not None and explain(cookie, CONTEXT) is not None
