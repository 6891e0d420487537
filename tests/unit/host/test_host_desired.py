"""From the Weir DB to limits, ports and trees of one host: values in, values out."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from controller.config import StateDir
from controller.host import desired
from controller.host.class_queues import ClassShare
from controller.host.desired import Limits, PolicyInForce
from controller.host.errors import HostError
from controller.host.kinds import port as port_kind
from controller.host.links import Mark
from controller.host.planning import Planner
from controller.host.queue_sizes import FRAME_BYTES, LEAST_QUEUE_BYTES
from controller.host.queue_tree import BfifoPlan, HeadDropPlan, HtbPlan, QueuePlan, Steers
from controller.host.settings import AgentConfig
from controller.host.wishes import HeldVif, plan, with_trees
from controller.stream.messages import Rates
from ovsdb.rows import Chassis, Snapshot, VirtualInterface
from ovsdb.switch import PortStatus
from policies.parser import parse

POLICY = """
weir: 1
segments:
  office: {type: bridged, uplink: up0}
  lab: {type: internal}
links:
  up0: {capacity: 100 mbit, hosts: [h1]}
policies:
  acme:
    children:
      web: {egress: {limit: 20 mbit, burst: 10 ms}, ingress: {limit: 30 mbit, burst: 20 ms}}
      free: {}
"""
POLICIES = parse({"p.yaml": POLICY})
CONFIG = AgentConfig("h1", "br-weir", StateDir(Path("/s")), Path("/r"), "weir-1", {"up0": "eth9"})
NODES = {"acme": 1, "acme/web": 2}
SNAPSHOT = Snapshot(numbers={("node", path): number for path, number in NODES.items()})
SEND_BUFFER_BYTES = 212_992


def vif(name: str = "a", number: int = 7, **changes: Any) -> VirtualInterface:
    fields: dict[str, Any] = {
        "policy": "acme/web", "segment": "office", "kind": "veth", "mac": f"02:00:00:00:00:{number:02x}",
        "addresses": (), "chassis": "h1",
    }  # fmt: skip
    return VirtualInterface(name=name, number=number, **{**fields, **changes})


def test_limits_are_the_policys_lowered_by_the_loop_never_raised() -> None:
    assert desired.limits(vif(), POLICIES, Rates()) == Limits(20_000, 25_000, 30_000, 75_000, True)
    lowered = desired.limits(vif(), POLICIES, Rates({7: 8_000, 8: 1}, {7: 99_000}))
    assert (lowered.egress_kbps, lowered.egress_burst_bytes, lowered.ingress_kbps) == (8_000, 10_000, 30_000)


def test_the_loop_may_limit_what_the_policy_does_not() -> None:
    free = vif(policy="acme/free")
    assert desired.limits(free, POLICIES, Rates()) == Limits()
    assert desired.limits(free, POLICIES, Rates({}, {7: 500})) == Limits(ingress_kbps=500)
    assert desired.limits(free, POLICIES, Rates({7: 0}, {})).egress_kbps == 1


@pytest.mark.parametrize("policy", ["acme", "acme/none", ""])
def test_a_policy_that_takes_no_vifs_is_refused(policy: str) -> None:
    with pytest.raises(HostError, match="no leaf of the policy in force"):
        desired.limits(vif(policy=policy), POLICIES, Rates())


def test_a_policy_that_cannot_be_read_leaves_the_one_before_in_force() -> None:
    good = desired.read_policy(replace(SNAPSHOT, files={"p": POLICY}), PolicyInForce())
    assert good.fault is None and good.policies == parse({"p": POLICY})
    assert desired.read_policy(replace(SNAPSHOT, files={"p": POLICY}), good) is good
    bad = desired.read_policy(replace(SNAPSHOT, files={"p": "weir: 2"}), good)
    assert bad.policies == good.policies and bad.fault is not None and "p:1:7" in bad.fault
    assert bad.is_known and desired.read_policy(replace(SNAPSHOT, files={"p": "weir: 3"}), bad).is_known


def test_a_policy_that_could_never_be_read_is_not_an_empty_one() -> None:
    bad = desired.read_policy(replace(SNAPSHOT, files={"p": "weir: 2"}), PolicyInForce())
    assert not bad.is_known and bad.fault is not None and "left as it is" in bad.fault
    assert not desired.read_policy(replace(SNAPSHOT, files={"p": "weir: 3"}), bad).is_known
    assert desired.read_policy(replace(SNAPSHOT, files={"p": POLICY}), bad).is_known


def test_a_links_capacity_may_be_narrowed_to_hosts() -> None:
    assert desired.capacity_kbps(POLICIES, "up0", "h1") == 100_000
    assert desired.capacity_kbps(POLICIES, "up0", "h2") is None
    assert desired.capacity_kbps(POLICIES, "up1", "h1") is None


def held(one: VirtualInterface, **changes: Any) -> HeldVif:
    limits = desired.limits(one, POLICIES, Rates())
    return HeldVif(**{"vif": one, "port": f"wv{one.number}", "limits": limits, "place": Path("/n"), **changes})


def test_each_queue_stands_where_it_belongs() -> None:
    vifs = [
        held(vif()),
        held(vif("b", 8, policy="acme/free", segment="lab")),
        held(vif("c", 9, kind="port"), port="tap1", place=None),
        held(vif("d", 10, kind="port", policy="acme/free"), port="int1", place=None, queues_on_port=False),
    ]
    planned = plan(vifs, POLICIES, NODES, CONFIG, SEND_BUFFER_BYTES)
    wishes = planned.wishes
    assert not planned.faults and planned.note is None
    assert {number: wish.device for number, wish in wishes.ingress.items()} == {7: "wv7", 9: "tap1"}
    assert {number: (wish.device, wish.netns, wish.plan is None) for number, wish in wishes.shapers.items()} == {
        7: ("eth0", Path("/n"), False),
        8: ("eth0", Path("/n"), True),
    }
    tree = wishes.uplinks["up0"].plan
    assert wishes.uplinks["up0"].device == "eth9" and tree is not None
    assert {item.mac & 0xFF for item in tree.filters} == {7, 9, 10}
    assert with_trees(wishes) == {"eth9", "wv7", "tap1"}
    assert all(isinstance(wish.plan.qdiscs[0xFFFFFFFF], HtbPlan) for wish in wishes.ingress.values() if wish.plan)


CLASSED = POLICY.replace(
    "policies:",
    """classes:
  gold: {dscp: ef, share: 30 %}
  normal: {share: 60 %}
  bulk: {share: 10 %}
policies:""",
).replace(
    "      free: {}",
    """      free: {}
      classed:
        ingress: {limit: 30 mbit}
        rules:
          - allow: {direction: egress, service: tcp/22, class: gold, dscp: af31}
          - allow: {direction: egress, service: tcp/23, class: bulk, dscp: 1, stage: audit}
          - allow: {direction: egress, service: tcp/24, class: normal, dscp: 2}
          - allow: {direction: egress, dscp: 4}
      audited: {rules: [allow: {class: gold, stage: audit}]}
      plain: {rules: [allow: {dscp: 5}]}
""",
)


def test_a_leaf_is_divided_among_all_classes_once_a_rule_in_force_names_one() -> None:
    policies = parse({"p.yaml": CLASSED})
    paths = {f"acme/{leaf}" for leaf in ("classed", "audited", "plain", "free")}
    shares = desired.class_shares(policies, paths)
    gold, normal, bulk = shares.pop("acme/classed")
    assert (gold, normal) == (ClassShare(0.3, (46, 26)), ClassShare(0.6))
    assert bulk.share == 0.1 and bulk.code_points[0] % 4 == 3 and bulk.code_points[1:] == (1,)
    assert set(shares.values()) == {()}


def test_only_vifs_of_divided_leaves_have_queues_of_classes() -> None:
    policies = parse({"p.yaml": CLASSED})
    some = [held(vif(), port="wv7"), held(vif("b", 8, policy="acme/free"), port="wv8")]
    classed = vif("c", 9, policy="acme/classed")
    some.append(HeldVif(classed, "wv9", desired.limits(classed, policies, Rates()), Path("/n")))
    planned = plan(some, policies, NODES, CONFIG, SEND_BUFFER_BYTES)
    tree, ingress = planned.wishes.uplinks["up0"].plan, planned.wishes.ingress
    assert tree is not None and ingress[9].plan is not None and ingress[7].plan is not None
    steering = [qdisc.steers for qdisc in tree.qdiscs.values() if isinstance(qdisc, HtbPlan)]
    assert sorted(steering) == [Steers.MARK, Steers.SOURCE, Steers.SOURCE]
    assert len(ingress[9].plan.filters) == 4 and not ingress[7].plan.filters
    leaves = [body for wish in (*planned.wishes.uplinks.values(), *ingress.values()) for body in bounded(wish.plan)]
    assert len(leaves) == 2 + (1 + 1 + 3) + (1 + 3)  # default ones, of the VIFs on the uplink, on their ports
    assert 2 * (sum(leaves) - LEAST_QUEUE_BYTES) <= SEND_BUFFER_BYTES  # nothing comes to the default one of a tenant


def bounded(tree: QueuePlan | None) -> list[int]:
    assert tree is not None
    return [
        body.limit_bytes if isinstance(body, BfifoPlan) else body.limit_packets * FRAME_BYTES
        for body in tree.qdiscs.values()
        if isinstance(body, (BfifoPlan, HeadDropPlan))
    ]


def test_an_uplink_without_capacity_is_left_alone_and_one_that_cannot_be_planned_says_so() -> None:
    planned = plan([held(vif())], POLICIES, NODES, replace(CONFIG, chassis="h2"), SEND_BUFFER_BYTES)
    assert not planned.wishes.uplinks and not planned.faults
    planned = plan([held(vif())], POLICIES, {}, CONFIG, SEND_BUFFER_BYTES)
    assert not planned.wishes.uplinks and "acme" in planned.faults["up0"]
    assert planned.wishes.shapers


def test_more_queues_than_the_send_buffer_takes_are_noted_with_a_value_that_ends_it() -> None:
    def noted(vifs: int, send_buffer_bytes: int) -> str | None:
        some = [held(vif(f"v{number}", number), port=f"wv{number}") for number in range(1, vifs + 1)]
        return plan(some, POLICIES, NODES, CONFIG, send_buffer_bytes).note

    assert noted(11, SEND_BUFFER_BYTES) is None  # two queues each, and one of the uplink
    note = noted(12, SEND_BUFFER_BYTES)
    assert note is not None and note.startswith("25 queues")
    value = re.search(r"net\.core\.wmem_default=([0-9]+)", note)
    assert value is not None and noted(12, int(value[1])) is None


def test_trees_are_planned_anew_only_when_something_has_changed() -> None:
    planner = Planner(CONFIG)
    first = planner.plan([held(vif())], POLICIES, SNAPSHOT)
    assert planner.plan([held(vif())], POLICIES, replace(SNAPSHOT, cfg=2)) is first
    for other in (
        planner.plan([held(vif(), limits=Limits(egress_kbps=1))], POLICIES, SNAPSHOT),
        planner.plan([held(vif())], POLICIES, Snapshot()),
        planner.plan([held(vif())], parse({"p.yaml": POLICY.replace("100 mbit", "90 mbit")}), SNAPSHOT),
    ):
        assert other != first


CHASSIS = {"h1": Chassis("h1", "br-weir"), "h2": Chassis("h2", "br2")}
WANTED = vif(kind="port", chassis=None)


def test_a_port_is_found_by_its_mark_unless_it_is_our_own() -> None:
    ports = {
        "wv7": PortStatus("wv7", iface_id="a", owner="weir-1/h1"),
        "tap1": PortStatus("tap1", iface_id="a", ofport=3),
        "tap2": PortStatus("tap2", iface_id="b"),
    }
    assert port_kind.find(WANTED, ports, "weir-1/h1", SNAPSHOT).name == "tap1"
    ports["tap2"] = replace(ports["tap2"], iface_id="a")
    with pytest.raises(HostError, match="tap1, tap2 all carry external_ids:iface-id=a"):
        port_kind.find(WANTED, ports, "weir-1/h1", SNAPSHOT)


def test_while_there_is_no_port_it_says_where_one_is_awaited() -> None:
    snapshot = Snapshot(chassis=CHASSIS)
    with pytest.raises(port_kind.Waiting, match="iface-id=a on bridge br-weir or br2"):
        port_kind.find(WANTED, {}, "o", snapshot)
    with pytest.raises(port_kind.Waiting, match=r"on bridge br2\."):
        port_kind.find(replace(WANTED, chassis="h2"), {}, "o", snapshot)


def test_a_port_vif_concerns_every_host_until_one_has_claimed_it() -> None:
    assert port_kind.concerns(WANTED, "h1") and port_kind.concerns(replace(WANTED, chassis="h1"), "h1")
    assert not port_kind.concerns(replace(WANTED, chassis="h2"), "h1") and not port_kind.concerns(vif(), "h1")


@pytest.mark.parametrize(("type_", "good"), [("", True), ("system", True), ("internal", False), ("patch", False)])
def test_an_ingress_limit_needs_a_device_with_queues(type_: str, good: bool) -> None:
    if good:
        port_kind.check_ingress_limit(PortStatus("p", type=type_))
    else:
        with pytest.raises(HostError, match="no queue"):
            port_kind.check_ingress_limit(PortStatus("p", type=type_))


@pytest.mark.parametrize("alias", ["", "weir", "weir:a:b", "weir:a:b:c:d", "weir-system:/run/weir", "other:a:b:c"])
def test_only_our_own_marks_are_taken_for_ours(alias: str) -> None:
    assert Mark.parse(alias) is None
    assert Mark.parse(str(Mark("s", "h", "v"))) == Mark("s", "h", "v")
