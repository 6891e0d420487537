"""From snapshots to bridges."""

from __future__ import annotations

from dataclasses import replace

import pytest

from controller.world import desired
from controller.world.desired import Unnumbered, World, bridge_of, read_world
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
    assert bridge.segments["office"].uplink_ofport == 100 and bridge.segments["lab"].uplink_ofport is None
    assert set(bridge.node_numbers) == {"acme", "acme/web"}


def test_the_meter_holds_the_lower_of_policy_and_loop() -> None:
    made = world(vif(1), vif(2, "acme/free"), vif(3, "acme/free", kind="port"))
    meters = {one.number: one.egress_meter for one in bridge_of(made, "h1", {1: 30_000, 3: 5000}).vifs}
    assert meters[1] is not None and meters[1].rate_kbps == 20_400  # a backstop behind the shaper
    assert meters[2] is None
    assert meters[3] is not None and meters[3].rate_kbps == 5000
    lowered = bridge_of(made, "h1", {1: 1000}).vifs[0].egress_meter
    assert lowered is not None and lowered.rate_kbps == 1020


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
