"""From the Weir DB to limits, ports and trees of one host: values in, values out."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from controller.config import StateDir
from controller.dataplane.macs import mac_number, router_mac
from controller.host import desired
from controller.host.class_queues import ClassShare
from controller.host.congestion import RedPlan
from controller.host.desired import Limits, PolicyInForce
from controller.host.errors import HostError
from controller.host.kinds import port as port_kind
from controller.host.kinds.port import Ports, adopted
from controller.host.link_codec import Link
from controller.host.links import Mark
from controller.host.planning import Planner
from controller.host.queue_ids import ROOT_MAJOR, vif_of
from controller.host.queue_sizes import FRAME_BYTES, LEAST_FRAMES
from controller.host.queue_tree import (
    ROOT,
    AddressPlan,
    BfifoPlan,
    FilterPlan,
    HeadDropPlan,
    HtbPlan,
    QueuePlan,
    RouterPlan,
    Steers,
    TbfPlan,
)
from controller.host.rooms import RAISED_SEND_BYTES
from controller.host.settings import AgentConfig
from controller.host.wishes import HeldVif, Known, Planned, plan, with_trees
from controller.stream.messages import Rates
from ovsdb.rows import Chassis, Snapshot, VirtualInterface
from ovsdb.switch import PortStatus
from policies.buffers import cost_bytes
from policies.joined_packets import LEAST_JOINED_LEAF_BYTES
from policies.model import Congestion, LeafQueue
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
KNOWN = Known(NODES, 0x06_AB_CD_EF_00_01)
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


def test_a_vifs_own_limit_stands_in_place_of_its_policys_and_the_burst_goes_with_it() -> None:
    own = vif(egress={"limit_kbps": 10_000}, ingress={"limit_kbps": 99_000})
    assert desired.limits(own, POLICIES, Rates()) == Limits(10_000, 12_500, 30_000, 75_000, True)
    assert desired.limits(own, POLICIES, Rates(egress_kbps={7: 4000})).egress_kbps == 4000
    free = desired.limits(vif(policy="acme/free", ingress={"limit_kbps": 5}), POLICIES, Rates())
    assert (free.ingress_kbps, free.ingress_by_policy, free.egress_kbps) == (5, True, None)
    above = parse({"p": POLICY.replace("  acme:\n", "  acme:\n    ingress: {limit: 50 mbit}\n")})
    assert desired.limits(vif(policy="acme/free"), above, Rates()).ingress_by_policy


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
    return HeldVif(
        **{"vif": one, "port": f"wv{one.number}", "limits": limits, "place": Path("/n"), "device": "eth0", **changes}
    )


def test_a_queue_of_the_kernels_datapath_takes_joined_segments_and_shares_no_buffer() -> None:
    vifs = [held(vif(number=number)) for number in range(1, 41)]
    user, kernel = (
        plan(vifs, POLICIES, KNOWN, replace(CONFIG, datapath_type=datapath), SEND_BUFFER_BYTES)
        for datapath in ("netdev", "system")
    )
    assert user.note is not None and kernel.note is None
    for wish in (kernel.wishes.uplinks["up0"], kernel.wishes.ingress[7]):
        assert wish.plan is not None
        held_by_vifs = {body.limit_bytes for body in wish.plan.qdiscs.values() if isinstance(body, TbfPlan)}
        assert max(held_by_vifs) == LEAST_JOINED_LEAF_BYTES >= 2 * 65_536


@pytest.mark.parametrize(("datapath", "limit_bytes"), [("netdev", 32_768), ("system", LEAST_JOINED_LEAF_BYTES)])
def test_a_shaper_that_cuts_nothing_holds_joined_segments_where_they_come(datapath: str, limit_bytes: int) -> None:
    limits = Limits(8000, buffer_bytes=32_768, congestion=Congestion(LeafQueue.RED))
    planned = plan([held(vif(), limits=limits)], POLICIES, KNOWN, replace(CONFIG, datapath_type=datapath), 1 << 26)
    shaper = planned.wishes.shapers[7].plan
    assert shaper is not None
    assert [body.limit_bytes for body in shaper.qdiscs.values() if isinstance(body, RedPlan)] == [limit_bytes]


def test_each_queue_stands_where_it_belongs() -> None:
    vifs = [
        held(vif()),
        held(vif("b", 8, policy="acme/free", segment="lab")),
        held(vif("c", 9, kind="port"), port="tap1", place=None),
        held(vif("d", 10, kind="port", policy="acme/free"), port="int1", place=None, queues_on_port=False),
    ]
    planned = plan(vifs, POLICIES, KNOWN, CONFIG, SEND_BUFFER_BYTES)
    wishes = planned.wishes
    assert not planned.faults and "queues hold as little as" in (planned.note or "")
    assert {number: wish.device for number, wish in wishes.ingress.items()} == {7: "wv7", 9: "tap1"}
    assert {number: (wish.device, wish.netns, wish.plan is None) for number, wish in wishes.shapers.items()} == {
        7: ("eth0", Path("/n"), False),
        8: ("eth0", Path("/n"), True),
    }
    tree = wishes.uplinks["up0"].plan
    assert wishes.uplinks["up0"].device == "eth9" and tree is not None
    assert {item.mac & 0xFF for item in tree.filters} == {7, 9, 10}
    ceilings = {vif_of(place): body.ceil_kbps for place, body in tree.classes.items()}
    assert (ceilings[7], ceilings[9]) == (20_400, 20_000)  # behind a shaper it is a backstop
    assert with_trees(wishes) == {"eth9", "wv7", "tap1"}
    assert all(isinstance(wish.plan.qdiscs[0xFFFFFFFF], HtbPlan) for wish in wishes.ingress.values() if wish.plan)


ROUTED = """
weir: 1
segments:
  office: {type: bridged, uplink: up0}
  front: {type: routed, subnets: [10.20.0.0/24]}
  second: {type: routed, subnets: [10.22.0.0/24], uplink: up1, address: [192.0.3.2/24]}
  edge: {type: routed, subnets: [10.21.0.0/24], uplink: up0, vlan: 7, address: [192.0.2.2/24], via: [192.0.2.1]}
links: {up0: {capacity: 100 mbit}, up1: {capacity: 100 mbit}}
policies: {open: {}}
"""


def test_what_is_routed_waits_at_the_routers_way_out_and_is_told_by_its_addresses() -> None:
    policies = parse({"p.yaml": ROUTED})
    vifs = [
        vif("a", 1, segment="office", policy="open", addresses=("10.20.0.9/24",)),
        vif("b", 2, segment="front", policy="open", addresses=("10.20.0.9/24", "fd00::9/64", "fd00::a/64")),
        vif("c", 3, segment="second", policy="open", addresses=("10.22.0.9/24",)),
    ]
    config = replace(CONFIG, uplinks={"up0": "eth9", "up1": "eth8"})
    some = [HeldVif(one, f"wv{one.number}", Limits(), Path("/n"), "eth0") for one in vifs]
    planned = plan(some, policies, KNOWN, config, SEND_BUFFER_BYTES)
    tree, other = (planned.wishes.uplinks[name].plan for name in ("up0", "up1"))
    assert tree is not None and other is not None and not other.filters
    outer = ROOT_MAJOR << 16
    assert {item for item in tree.filters if not isinstance(item, RouterPlan)} == {
        FilterPlan(outer, 0x02_00_00_00_00_01, outer | 1),
        *(AddressPlan(outer, 4, 10 << 24 | 20 << 16 | net << 16 | 9, outer | 2 + (net > 0)) for net in (0, 2)),
        *(AddressPlan(outer, 6, 0xFD << 120 | host, outer | 2) for host in (9, 10)),
    }
    links = [item for item in tree.filters if isinstance(item, RouterPlan)]
    assert len(links) == 4 and {item.mac for item in links} == {KNOWN.router_mac}


def test_the_planner_knows_the_mac_of_its_hosts_router() -> None:
    one = vif("b", 2, segment="front", policy="open", addresses=("10.20.0.9/24",))
    some = [HeldVif(one, "wv2", Limits(), Path("/n"), "eth0")]
    planner, policies = Planner(CONFIG), parse({"p.yaml": ROUTED})
    for system in ("000000", "abcdef"):
        planned = planner.plan(some, policies, replace(SNAPSHOT, other_config={"system-id": system}))
        tree = planned.wishes.uplinks["up0"].plan
        macs = {item.mac for item in (tree.filters if tree else ()) if isinstance(item, RouterPlan)}
        assert macs == {mac_number(router_mac(system, CONFIG.chassis))}


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
    some.append(HeldVif(classed, "wv9", desired.limits(classed, policies, Rates()), Path("/n"), "eth0"))
    planned = plan(some, policies, KNOWN, CONFIG, SEND_BUFFER_BYTES)
    tree, ingress = planned.wishes.uplinks["up0"].plan, planned.wishes.ingress
    assert tree is not None and ingress[9].plan is not None and ingress[7].plan is not None
    steering = [qdisc.steers for qdisc in tree.qdiscs.values() if isinstance(qdisc, HtbPlan)]
    assert sorted(steering) == [Steers.MARK, Steers.SOURCE, Steers.SOURCE]
    assert len(ingress[9].plan.filters) == 4 and not ingress[7].plan.filters
    leaves = [body for wish in (*planned.wishes.uplinks.values(), *ingress.values()) for body in bounded(wish.plan)]
    assert len(leaves) == 2 + (1 + 1 + 3) + (1 + 3)  # default ones, of the VIFs on the uplink, on their ports
    frames = sum(leaves) // FRAME_BYTES - LEAST_FRAMES  # nothing comes to the default one of a tenant
    assert frames * cost_bytes(FRAME_BYTES) <= SEND_BUFFER_BYTES


def bounded(tree: QueuePlan | None) -> list[int]:
    assert tree is not None
    return [
        body.limit_bytes if isinstance(body, BfifoPlan) else body.limit_packets * FRAME_BYTES
        for body in tree.qdiscs.values()
        if isinstance(body, (BfifoPlan, HeadDropPlan))
    ]


def test_an_uplink_without_capacity_is_left_alone_and_one_that_cannot_be_planned_says_so() -> None:
    planned = plan([held(vif())], POLICIES, KNOWN, replace(CONFIG, chassis="h2"), SEND_BUFFER_BYTES)
    assert not planned.wishes.uplinks and not planned.faults
    planned = plan([held(vif())], POLICIES, Known({}, 0), CONFIG, SEND_BUFFER_BYTES)
    assert not planned.wishes.uplinks and "acme" in planned.faults["up0"]
    assert planned.wishes.shapers


def test_more_queues_than_the_send_buffer_takes_are_noted_with_a_value_that_ends_it() -> None:
    def noted(vifs: int, send_buffer_bytes: int) -> str | None:
        some = [held(vif(f"v{number}", number), port=f"wv{number}") for number in range(1, vifs + 1)]
        return plan(some, POLICIES, KNOWN, CONFIG, send_buffer_bytes).note

    assert "may take" not in (noted(14, SEND_BUFFER_BYTES) or "")  # two queues each, and one of the uplink
    note = noted(15, SEND_BUFFER_BYTES)
    assert note is not None and note.startswith("31 queues may take 214272 bytes")
    assert "weir up --raise-buffers" in note and noted(15, RAISED_SEND_BYTES) is None


def test_a_buffer_that_is_asked_for_holds_in_every_place_and_counts_for_what_it_costs() -> None:
    def planned(buffer_bytes: int | None, send_buffer_bytes: int = SEND_BUFFER_BYTES) -> Planned:
        asked = Limits(20_000, None, 10_000, None, buffer_bytes=buffer_bytes)
        return plan([held(vif(), limits=asked, port="wv7")], POLICIES, KNOWN, CONFIG, send_buffer_bytes)

    wishes = planned(16_384).wishes
    (shaper,) = (wish.plan for wish in wishes.shapers.values())
    assert shaper is not None and shaper.qdiscs[ROOT].limit_bytes == 16_384  # type: ignore[union-attr]
    assert [plan for plan in queues(wishes.ingress[7].plan)] == [HeadDropPlan(16_384 // 1514)]
    assert HeadDropPlan(16_384 // 1514) in queues(wishes.uplinks["up0"].plan)
    assert HeadDropPlan(16_384 // 1514) not in queues(planned(None).wishes.uplinks["up0"].plan)
    assert "buffers that policies ask for" not in (planned(16_384).note or "")
    note = planned(1_000_000).note
    assert note is not None and "buffers that policies ask for" in note
    assert planned(1_000_000, RAISED_SEND_BYTES).note is None


def queues(tree: QueuePlan | None) -> list[object]:
    assert tree is not None
    return [body for body in tree.qdiscs.values() if not isinstance(body, HtbPlan)]


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


def test_whose_link_is_down_is_known_to_who_probes() -> None:
    """As of a machine that does not run. A link that the kernel does not show is not said to be down."""
    planner = Planner(CONFIG)
    planner.plan([held(vif(addresses=("10.1.0.7/24",)))], POLICIES, SNAPSHOT)
    links = {
        name: Link(index, name, "veth", "02:00:00:00:00:01", True, running, "", 0, 0, 1500)
        for index, (name, running) in enumerate({"wv7": False, "up0": False}.items())
    }
    assert planner.aims(POLICIES, SNAPSHOT, links).down == {"wv7"}
    assert planner.aims(POLICIES, SNAPSHOT, {}).down == frozenset()
    assert planner.aims(POLICIES, SNAPSHOT, {"wv7": replace(links["wv7"], running=True)}).down == frozenset()


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
    ports = Ports(CONFIG)
    assert ports.concerns(WANTED) and ports.concerns(replace(WANTED, chassis="h1"))
    assert not ports.concerns(replace(WANTED, chassis="h2")) and not ports.concerns(vif())


@pytest.mark.parametrize(("type_", "good"), [("", True), ("system", True), ("internal", False), ("patch", False)])
def test_an_ingress_limit_needs_a_device_with_queues(type_: str, good: bool) -> None:
    made = adopted(PortStatus("p", type=type_))
    assert made.has_queues == good and made.port is not None and not made.port.create
    assert good or "no queue" in (made.no_ingress_limit or "")


@pytest.mark.parametrize("alias", ["", "weir", "weir:a:b", "weir:a:b:c:d", "weir-system:/run/weir", "other:a:b:c"])
def test_only_our_own_marks_are_taken_for_ours(alias: str) -> None:
    assert Mark.parse(alias) is None
    assert Mark.parse(str(Mark("s", "h", "v"))) == Mark("s", "h", "v")
