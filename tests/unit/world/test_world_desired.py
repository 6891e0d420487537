"""From snapshots to bridges."""

from __future__ import annotations

from dataclasses import replace

import pytest

from controller.compiler.meters import FRAME_KBIT, JOINED_KBIT
from controller.world import desired
from controller.world.desired import Unnumbered, World, bridge_of, read_world
from ovsdb.rows import DATAPATH, KERNEL, Chassis
from policies.enforcement import PACKET_COST, PACKET_COST_OF
from tests.unit.runtime.runtime_worlds import FILES, H1, snapshot, vif, world

BROKEN = {"p.yaml": "weir: 1\npolicies: ["}


def test_a_vif_takes_part_once_it_is_placed_has_a_port_and_is_known() -> None:
    absent = [
        vif(2, ofport=None), vif(3, chassis=None), vif(4, chassis="gone"), vif(5, "acme"), vif(6, "nosuch"),
        vif(7, segment="nosuch"),
    ]  # fmt: skip
    made = world(vif(9), vif(1), *absent)
    assert [one.number for one in made.members["h1"]] == [1, 9]
    bridge = bridge_of(made, "h1", {})
    assert [one.ofport for one in bridge.vifs] == [1, 9]
    assert bridge.segments["office"].uplink_ofports == (100,) and bridge.segments["lab"].uplink_ofports == ()
    assert set(bridge.node_numbers) == {"acme", "acme/web"}


def test_the_meter_holds_the_lower_of_policy_and_loop() -> None:
    made = world(vif(1), vif(2, "acme/free"), vif(3, "acme/free", kind="port"))
    meters = {one.number: one.egress_meter for one in bridge_of(made, "h1", {1: 30_000, 3: 5000}).vifs}
    assert meters[1] is not None and meters[1].rate_kbps == 20_400  # a backstop behind the shaper
    assert meters[2] is None
    assert meters[3] is not None and meters[3].rate_kbps == 5000
    own = world(vif(1, egress={"limit_kbps": 10_000}), vif(2, egress={"limit_kbps": 99_000}))
    assert [one.egress_meter and one.egress_meter.rate_kbps for one in bridge_of(own, "h1", {}).vifs] == [
        10_200, 20_400,
    ]  # fmt: skip
    lowered = bridge_of(made, "h1", {1: 1000}).vifs[0].egress_meter
    assert lowered is not None and lowered.rate_kbps == 1020


def test_a_meter_of_the_kernels_datapath_takes_joined_segments() -> None:
    kernel = replace(H1, capabilities={DATAPATH: KERNEL})
    slow = vif(1, "acme/free", kind="port", egress={"limit_kbps": 1000})
    here, there = (bridge_of(world(slow, chassis=(host,)), "h1", {}) for host in (H1, kernel))
    bursts = [one.egress_meter.burst_kbit for bridge in (here, there) for one in bridge.vifs if one.egress_meter]
    assert bursts == [200, JOINED_KBIT] and (here.largest_kbit, there.largest_kbit) == (FRAME_KBIT, JOINED_KBIT)


def test_a_policy_is_parsed_only_when_its_text_changes(monkeypatch: pytest.MonkeyPatch) -> None:
    made, texts = world(vif(1)), []
    real = desired.parse
    monkeypatch.setattr(desired, "parse", lambda files: (texts.append(files), real(files))[1])
    made = read_world(snapshot(vif(1), vif(2)), made, 0.0)
    assert not texts and len(made.members["h1"]) == 2
    made = read_world(snapshot(vif(1), files=BROKEN), made, 0.0)
    made = read_world(snapshot(vif(1), vif(2), files=dict(BROKEN)), made, 0.0)
    assert len(texts) == 1 and made.fault is not None
    made = read_world(snapshot(vif(1), files=FILES), made, 0.0)
    assert len(texts) == 2 and made.fault is None


def test_while_the_policy_cannot_be_read_the_last_one_holds_with_its_numbers() -> None:
    made = read_world(snapshot(vif(1), vif(2), files=BROKEN, numbers={}), world(vif(1)), 0.0)
    assert made.is_known and "cannot be read" in (made.fault or "") and "still in force" in (made.fault or "")
    assert len(bridge_of(made, "h1", {}).vifs) == 2


def test_when_none_could_ever_be_read_nothing_is_known() -> None:
    made = read_world(snapshot(vif(1), files=BROKEN), World(), 0.0)
    assert not made.is_known and not made.members and "left as it is" in (made.fault or "")
    assert read_world(snapshot(files={}), World(), 0.0).is_known  # no policy is a policy
    assert not World().is_known


def test_a_missing_number_is_told_by_name() -> None:
    numbers = {key: number for key, number in snapshot().numbers.items() if key != ("node", "acme/web")}
    made = read_world(snapshot(vif(1), numbers=numbers), World(), 0.0)
    with pytest.raises(Unnumbered, match=r"node 'acme/web' of the policy has no number .*weir policy apply"):
        bridge_of(made, "h1", {})


def test_members_are_kept_by_chassis() -> None:
    h2 = replace(H1, name="h2", datapath_id="00000000000000bb")
    made = read_world(snapshot(vif(1), vif(2, chassis="h2"), vif(3), chassis=(H1, h2)), World(), 0.0)
    assert {name: [one.number for one in vifs] for name, vifs in made.members.items()} == {"h1": [1, 3], "h2": [2]}


def test_the_ports_of_an_uplink_are_in_their_order_and_no_other_uplinks() -> None:
    ports = {"core#10": 9, "core": 3, "core#2": 4, "core#x": 5, "score": 6, "score#2": 7}
    row = Chassis("h1", "br", uplink_ports=ports)
    assert (row.ports_of("core"), row.ports_of("score"), row.ports_of("none")) == ((3, 4, 9), (6, 7), ())


def test_a_share_of_processor_time_is_packets_at_what_one_costs_on_the_host() -> None:
    files = {"p.yaml": FILES["p.yaml"].replace("free: {", "free: {cpu: 20 %, ")}
    budgets = []
    for said in ({}, {PACKET_COST: "8000", PACKET_COST_OF: "9999"}, {PACKET_COST: "no: softirq"}):
        made = world(vif(1), vif(2, "acme/free"), files=files, chassis=(replace(H1, capabilities=said),))
        budgets.append([one.cpu_pps for one in bridge_of(made, "h1", {}).vifs])
    assert budgets == [[None, 10_000], [None, 25_000], [None, None]]
