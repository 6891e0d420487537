"""Which meters a rule has for a VIF."""

from __future__ import annotations

from controller.compiler.compile import compile_bridge
from controller.dataplane.cookies import CookieKind, decode
from controller.dataplane.pipeline import EGRESS_VERDICT
from controller.runtime.rule_cuts import meters_by_place
from tests.support.bridges import Vif, bridge

POLICY = """
weir: 1
segments: {s: {type: internal}}
policies:
  p:
    rules:
      - allow: {name: both, direction: egress, service: udp, limit: 1 mbit, packets: 10 pps}
      - allow: {name: tried, direction: egress, service: tcp, limit: 1 mbit, stage: audit}
      - allow: {name: free, direction: egress}
"""


def test_meters_of_bits_and_packets_stand_at_the_place_where_the_rule_is_counted() -> None:
    found = meters_by_place(compile_bridge(bridge(POLICY, Vif(1, "p", ("10.0.0.1/24",)))))
    assert {table for table, _ in found} == {EGRESS_VERDICT.id}
    kinds = {origin.kind: len(ids) for (_, cookie), ids in found.items() if (origin := decode(cookie)) is not None}
    assert kinds == {CookieKind.VERDICT: 2, CookieKind.AUDIT: 1}
