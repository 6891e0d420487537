"""What the agent refuses of a VIF, by what this host has said of itself."""

from __future__ import annotations

from dataclasses import replace

import pytest

from controller.host.desired import Limits
from controller.host.kinds.kind import Made
from controller.host.kinds.port import adopted
from controller.host.refusals import Refusals, of_device
from ovsdb.switch import PortConfig, PortStatus
from policies.parser import parse
from tests.support.agent_host import vif

TEXT = "weir: 1\npolicies: {web: {congestion: {queue: red}}, easy: {congestion: {queue: red}, best-effort: true}}\n"
POLICIES = parse({"p.yaml": TEXT})
RED, NO_RED = {"red": "true"}, {"red": "no: it has none"}
WORDS = "p.yaml:2:12: policies.web.congestion: congestion red cannot be kept for kind veth: it has none. Use a kernel"


def test_the_first_refusal_is_told_until_host_or_policy_are_others() -> None:
    refusals, web = Refusals(), vif("a", 7, policy="web")
    assert (refusals.of(web, POLICIES, NO_RED) or "").startswith(WORDS)
    assert refusals.of(web, POLICIES, RED) is None
    assert refusals.of(web, POLICIES, {}) is None  # not known yet
    assert (refusals.of(vif("b", 8, policy="web"), POLICIES, NO_RED) or "").startswith(WORDS)
    assert refusals.of(web, parse({"p.yaml": TEXT.replace("red", "fifo")}), NO_RED) is None


def test_each_is_judged_by_its_own_kind_numbers_and_policy() -> None:
    refusals = Refusals()
    assert refusals.of(vif("a", 7, policy="easy"), POLICIES, NO_RED) is None
    assert "for kind tap" in (refusals.of(vif("a", 7, policy="web", kind="tap"), POLICIES, NO_RED) or "")
    no_meters = {"meters": "no: it has no meters"}
    limited = replace(vif("a", 7, policy="easy", kind="tap"), egress={"limit_kbps": 5})
    assert refusals.of(limited, POLICIES, no_meters) is None  # best-effort
    limited = replace(vif("a", 7, policy="web", kind="tap"), egress={"limit_kbps": 5})
    assert (refusals.of(limited, POLICIES, no_meters) or "").startswith("its own egress limit cannot be kept for kind")


IN_NIC = Made(
    PortConfig("p0vf1"), has_queues=False, no_ingress_limit="the NIC has it. Do without.", details={"vf": "a/1"}
)


@pytest.mark.parametrize("made", [IN_NIC, adopted(PortStatus("p", type="internal"))])
def test_what_a_device_cannot_hold_is_refused_or_noted_where_best_effort(made: Made) -> None:
    asked = Limits(ingress_kbps=5, ingress_by_policy=True)
    for leaf in (POLICIES.nodes["web"], None):
        assert of_device(made, asked, leaf) == (made, made.no_ingress_limit)
    noted, refused = of_device(made, asked, POLICIES.nodes["easy"])
    assert refused is None and noted == replace(made, details={**made.details, "note": made.no_ingress_limit})
    for leaf in (POLICIES.nodes["web"], POLICIES.nodes["easy"]):
        assert of_device(made, replace(asked, ingress_by_policy=False), leaf) == (made, None)


def test_a_device_that_holds_limits_is_left_as_it_is() -> None:
    made = adopted(PortStatus("p"))
    assert of_device(made, Limits(ingress_kbps=5, ingress_by_policy=True), POLICIES.nodes["easy"]) == (made, None)
