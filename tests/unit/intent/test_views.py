from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from controller.cli.vif_views import in_words
from controller.client.values import PacketBound, ProcessorBudget, traffic
from controller.intent.views import vif_document, vif_documents
from policies.enforcement import PACKET_COST, PACKET_COST_OF
from policies.model import PolicySet
from policies.parser import parse
from tests.unit.intent.worlds import FILES, vif, world


def test_a_vif_is_shown_as_the_contract_says() -> None:
    figures = {
        "a": {
            "egress": {"offered_kbps": 5, "allocated_kbps": 6, "passed_kbps": 7, "dropped_kbps": 0},
            "ingress": {"backlog_bytes": 0, "classes": {"voice": {"passed_kbps": 3}}},
            "path": {"latency_ms": {"p50": 1.5, "p99": None}},
            "slo": {"latency": {"state": "held"}},
            "cpu_share": 0.25,
        }
    }
    snapshot = world(
        vif("a", 2, state="ready", ofport=3, port_name="wv2", labels={"app": "x"}, egress={"limit_kbps": 25000})
    )
    document = vif_document("a", snapshot, parse(FILES), figures)
    assert json.loads(json.dumps(document)) == {
        "name": "a",
        "number": 2,
        "policy": "acme/web",
        "kind": "veth",
        "segment": "lab",
        "state": "ready",
        "mac": "02:00:00:00:00:02",
        "addresses": ["10.30.0.2/24"],
        "learned": [],
        "chassis": "h1",
        "bridge": "br-weir",
        "port": "wv2",
        "ofport": 3,
        "instance": None,
        "binding": {},
        "ifname": "eth0",
        "labels": {"app": "x"},
        "options": {},
        "details": {},
        "error": None,
        "egress": {
            "guarantee_kbps": 20000,
            "written_guarantee_kbps": 20000,
            "limit_kbps": 25000,
            "packets": [],
            "own": {"limit_kbps": 25000},
            "offered_kbps": 5,
            "allocated_kbps": 6,
            "passed_kbps": 7,
            "dropped_kbps": 0,
            "backlog_bytes": None,
            "buffer_part": None,
            "classes": {},
        },
        "ingress": {
            "guarantee_kbps": 0,
            "written_guarantee_kbps": 0,
            "limit_kbps": 40000,
            "packets": [],
            "own": {},
            "offered_kbps": None,
            "allocated_kbps": None,
            "passed_kbps": None,
            "dropped_kbps": None,
            "backlog_bytes": 0,
            "buffer_part": None,
            "classes": {"voice": {"passed_kbps": 3}},
        },
        "buffer_bytes": None,
        "cpu": None,
        "cpu_share": 0.25,
        "path": {"latency_ms": {"p50": 1.5, "p99": None}, "jitter_ms": None, "loss": None},
        "slo": {"latency": {"state": "held"}},
        "class_kbps": None,
        "attach": {"qemu": None, "libvirt": None, "needs": None},
    }


def test_the_list_is_by_name_and_needs_neither_policy_nor_figures() -> None:
    shown = vif_documents(world(vif("b", 2, chassis=None), vif("a", 3)), PolicySet())
    assert [document["name"] for document in shown] == ["a", "b"]
    assert shown[1]["bridge"] is None and shown[1]["egress"]["limit_kbps"] is None


BOUNDED = """
weir: 1
segments: {lab: {type: internal}}
policies:
  acme:
    egress: {packets: 3 kpps}
    cpu: 20 %
    children:
      web: {egress: {packets: 1 kpps}, ingress: {packets: 20 pps}}
"""


@pytest.mark.parametrize(
    ("said", "figures"),
    [
        ({PACKET_COST: "8000", PACKET_COST_OF: "60000"}, (8000, 60_000, 25_000)),
        ({PACKET_COST: "20000", PACKET_COST_OF: "0"}, (20_000, 0, 10_000)),
        ({PACKET_COST: "no: softirq"}, (None, None, None)),
    ],
)
def test_bounds_of_packets_are_shown_with_where_they_come_from(
    said: dict[str, str], figures: tuple[int | None, int | None, int | None]
) -> None:
    snapshot = world(vif("a", 2))
    host = replace(snapshot.chassis["h1"], capabilities=said)
    document = vif_document("a", replace(snapshot, chassis={"h1": host}), parse({"p.yaml": BOUNDED}))
    own = {"pps": 1000, "node": "acme/web", "together": False}
    assert document["egress"]["packets"] == [own, {"pps": 3000, "node": "acme", "together": True}]
    assert document["ingress"]["packets"] == [{"pps": 20, "node": "acme/web", "together": False}]
    names = ("packet_ns", "packets_measured", "budget_pps")
    assert document["cpu"] == {"share": 0.2, "node": "acme", **dict(zip(names, figures, strict=True))}
    seen = traffic(document, 0.0)
    assert seen.egress.packets == (PacketBound(1000, "acme/web", False), PacketBound(3000, "acme", True))
    assert seen.cpu == ProcessorBudget(0.2, "acme", *figures)


def test_people_read_from_what_a_budget_is_derived() -> None:
    snapshot = world(vif("a", 2))
    policies = parse({"p.yaml": BOUNDED})

    def words(**said: str) -> dict[str, Any]:
        host = replace(snapshot.chassis["h1"], capabilities=said)
        return in_words(vif_document("a", replace(snapshot, chassis={"h1": host}), policies))

    measured = words(**{PACKET_COST: "8000", PACKET_COST_OF: "60000"})
    assert measured["egress"]["packets"] == ["1000 pps (acme/web)", "3000 pps of all below acme on its host"]
    assert measured["cpu"] == (
        "20 % of a core (acme): 25000 pps of both directions, at 8000 ns a packet, measured over 60000 packets"
    )
    assert words()["cpu"].endswith("10000 pps of both directions, at 20000 ns a packet, assumed until measured")
    assert words(**{PACKET_COST: "no: softirq"})["cpu"] == (
        "20 % of a core (acme): what a packet costs is not known on its host"
    )
    assert in_words(vif_document("a", snapshot, PolicySet()))["cpu"] is None
