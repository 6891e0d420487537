from __future__ import annotations

import json

from controller.intent.views import vif_document, vif_documents
from policies.model import PolicySet
from policies.parser import parse
from tests.unit.intent.worlds import FILES, vif, world


def test_a_vif_is_shown_as_the_contract_says() -> None:
    figures = {"a": {"egress": {"offered_kbps": 5, "allocated_kbps": 6, "passed_kbps": 7, "dropped_kbps": 0}}}
    snapshot = world(vif("a", 2, state="ready", ofport=3, port_name="wv2", labels={"app": "x"}))
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
        "chassis": "h1",
        "bridge": "br-weir",
        "port": "wv2",
        "ofport": 3,
        "instance": None,
        "binding": {},
        "ifname": "eth0",
        "labels": {"app": "x"},
        "error": None,
        "egress": {
            "guarantee_kbps": 20000,
            "limit_kbps": 30000,
            "offered_kbps": 5,
            "allocated_kbps": 6,
            "passed_kbps": 7,
            "dropped_kbps": 0,
        },
        "ingress": {
            "guarantee_kbps": 0,
            "limit_kbps": 40000,
            "offered_kbps": None,
            "allocated_kbps": None,
            "passed_kbps": None,
            "dropped_kbps": None,
        },
        "path": {"latency_ms": {"p50": None, "p99": None}, "jitter_ms": None, "loss": None},
    }


def test_the_list_is_by_name_and_needs_neither_policy_nor_figures() -> None:
    shown = vif_documents(world(vif("b", 2, chassis=None), vif("a", 3)), PolicySet())
    assert [document["name"] for document in shown] == ["a", "b"]
    assert shown[1]["bridge"] is None and shown[1]["egress"]["limit_kbps"] is None
