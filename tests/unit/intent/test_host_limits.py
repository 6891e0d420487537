"""What a host or a kind cannot keep is refused when it is asked for."""

from __future__ import annotations

from dataclasses import replace

import pytest

from controller.intent.errors import Rejected
from controller.intent.vif_change import VifChange, redraft
from controller.intent.vif_checks import VifRequest
from controller.intent.vif_drafting import draft
from ovsdb.rows import DPDK, NO, VIRTUAL_FUNCTIONS, YES, Chassis, Snapshot
from policies.own_numbers import Own
from policies.parser import parse
from tests.unit.intent.worlds import vif, world

VHOST = VifRequest("new", "free", "lab", kind="vhost-user")
FUNCTION = VifRequest("new", "free", "lab", kind="vf")
ABLE = {DPDK: YES, VIRTUAL_FUNCTIONS: YES}
UNABLE = {DPDK: NO, VIRTUAL_FUNCTIONS: NO}
NO_POLICER = {**ABLE, "egress_policer": "no: it has no policer"}


def hosts(*capabilities: dict[str, str]) -> Snapshot:
    rows = [Chassis(f"h{number}", "br-weir", capabilities=found) for number, found in enumerate(capabilities, 1)]
    return replace(world(), chassis={row.name: row for row in rows})


def unable(snapshot: Snapshot) -> Snapshot:
    return replace(snapshot, chassis=hosts(NO_POLICER).chassis)


def refusal(request: VifRequest, snapshot: Snapshot) -> str | None:
    try:
        draft([request], snapshot, parse(snapshot.files), "abcdef")
    except Rejected as fault:
        return str(fault)
    return None


@pytest.mark.parametrize(
    ("request_", "words"),
    [
        (
            VHOST,
            "VIF 'new': Open vSwitch on host 'h1' runs without DPDK, which vhost-user needs. Start the system with",
        ),
        (FUNCTION, "VIF 'new': host 'h1' has no NIC that can have virtual functions"),
    ],
)
def test_a_host_that_cannot_is_named_with_the_remedy(request_: VifRequest, words: str) -> None:
    assert words in (refusal(request_, hosts(UNABLE)) or "")
    assert refusal(request_, hosts(ABLE)) is None
    assert refusal(request_, hosts({})) is None  # its agent has not said
    assert words in (refusal(replace(request_, chassis="h1"), hosts(UNABLE, ABLE)) or "")
    assert refusal(replace(request_, chassis="h2"), hosts(UNABLE, ABLE)) is None
    for kind in ("veth", "tap", "port"):
        assert refusal(replace(request_, kind=kind), hosts(UNABLE)) is None


@pytest.mark.parametrize(
    ("request_", "words"),
    [
        (
            replace(VHOST, policy="acme/web"),
            "VIF 'new': policy.yaml:12:7: policies.acme.children.web.ingress.limit: ingress limit cannot be kept for "
            "kind vhost-user: it has no policer. Use kind tap",
        ),
        (replace(VHOST, ingress=Own(limit_kbps=5)), "VIF 'new': its own ingress limit cannot be kept for kind vhost-"),
        (replace(FUNCTION, options={"representor": "none"}), "policy free cannot be enforced on a VF without a repres"),
        (replace(FUNCTION, options={"representor": "none"}, policy="nosuch"), "there is no policy 'nosuch'"),
        (replace(VHOST, binding={"container": "c1"}), "a vhost-user VIF is a socket, which is in no network namespace"),
        (replace(VHOST, kind="tap", binding={"container": "c1"}), "a tap is opened by whoever runs the VM"),
        (replace(VHOST, kind="port", binding={"container": "c1"}), "a port is made by somebody else"),
        (replace(FUNCTION, binding={"pci": "vfio", "container": "c1"}), "is in no network namespace"),
        (replace(VHOST, kind="tap", options={"queues": "17"}), "a tap has at most 16"),
    ],
)
def test_what_a_kind_cannot_keep_is_refused_before_it_is_written(request_: VifRequest, words: str) -> None:
    said = refusal(request_, hosts(NO_POLICER)) or ""
    assert words in said and said.count("\n") == 0
    assert words in (refusal(replace(request_, chassis="h1"), hosts(NO_POLICER, ABLE)) or "")


def test_one_host_that_keeps_it_is_enough_where_none_is_named() -> None:
    request = replace(VHOST, policy="acme/web")
    assert "it has no policer" not in (refusal(request, hosts(NO_POLICER, ABLE)) or "")
    assert "it has no policer" in (refusal(request, hosts(NO_POLICER, NO_POLICER)) or "")
    assert refusal(request, hosts({DPDK: YES})) is None  # its agent has not said


def test_a_vif_is_not_changed_into_what_its_kind_cannot_keep() -> None:
    there = unable(world(vif("a", 2, policy="free", kind="vhost-user")))
    policies = parse(there.files)
    for change in (VifChange(policy="acme/web"), VifChange(ingress=Own(limit_kbps=5))):
        with pytest.raises(Rejected, match=r"VIF 'a': .*ingress limit cannot be kept for kind vhost-user"):
            redraft(["a"], change, there, policies)
    wrong = unable(world(vif("a", 2, policy="acme/web", kind="vhost-user")))  # as it was before
    assert redraft(["a"], VifChange(labels={"app": "x"}), wrong, policies)
    assert redraft(["a"], VifChange(policy="free"), wrong, policies)
