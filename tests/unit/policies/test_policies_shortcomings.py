"""What of a policy an interface would not get, as it is told."""

from __future__ import annotations

import pytest

from policies.enforcement import Port
from policies.own_numbers import INHERITED, Own
from policies.parser import parse
from policies.shortcomings import Interface, shortcomings

POLICIES = parse(
    {
        "p.yaml": """
weir: 1
policies:
  acme:
    ingress: {limit: 50 mbit}
    children:
      web: {}
      easy: {best-effort: true}
  free: {egress: {limit: 5 mbit}}
  loose: {best-effort: true}
"""
    }
)
NO_DPDK = {"egress_policer": "no: Open vSwitch runs without DPDK"}
VHOST, BARE = Port("vhost-user"), Port("vf", has_representor=False)
LIMIT = "p.yaml:4:3: policies.acme.ingress.limit: ingress limit cannot be kept for kind vhost-user"


def said(
    port: Port, path: str, abilities: dict[str, str] | None = None, own: Own = INHERITED
) -> list[tuple[str, bool]]:
    found = shortcomings(POLICIES, Interface(port, path, INHERITED, own), NO_DPDK if abilities is None else abilities)
    return [(str(one), one.is_refusal) for one in found]


def test_a_refusal_names_place_field_reason_and_remedy() -> None:
    [(line, is_refusal)] = said(VHOST, "acme/web")
    assert line.startswith(f"{LIMIT}: Open vSwitch runs without DPDK. Use kind tap") and is_refusal
    assert line.endswith("or add 'best-effort: true' to the node to go on without.")
    assert said(Port("tap"), "acme/web") == [] == said(VHOST, "free")


def test_whoever_is_best_effort_is_warned() -> None:
    [(line, is_refusal)] = said(VHOST, "acme/easy")
    assert line.startswith(LIMIT) and line.endswith("The policy is best-effort: it goes on without.") and not is_refusal


def test_own_numbers_are_named_as_such() -> None:
    [(line, _)] = said(VHOST, "free", own=Own(limit_kbps=5))
    assert line.startswith("its own ingress limit cannot be kept for kind vhost-user: ")


@pytest.mark.parametrize(
    ("path", "is_let_go"),
    [("loose", True), ("acme/easy", True), ("free", False), ("acme/web", False), ("nosuch", False)],
)
def test_what_passes_no_bridge_must_be_let_go_and_is_told(path: str, is_let_go: bool) -> None:
    [(line, is_refusal)] = said(BARE, path, {})
    assert line.startswith(f"policy {path} cannot be enforced on a VF without a representor: its packets never pass")
    assert is_refusal != is_let_go
    assert line.endswith(
        "The policy is best-effort: it goes on without." if is_let_go else "to go on without enforcement."
    )
    assert said(Port("vf"), path, {}) == []
