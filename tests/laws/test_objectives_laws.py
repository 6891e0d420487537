"""Laws of objectives in the loop: who is guaranteed something keeps it, whatever is measured."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from controller.allocation.decision import Decision, Decisions
from controller.measure.path import PathFigures, VifPaths
from controller.runtime.objectives import GivingWay
from controller.runtime.tick import Tick
from controller.world.desired import World, read_world
from tests.support.controller_process import numbers_of
from tests.unit.runtime.runtime_worlds import snapshot, vif

POLICY = """
weir: 1
segments:
  office: {type: bridged, uplink: up0}
links:
  up0: {capacity: 100 mbit}
classes:
  normal: {share: 80 %}
  bulk: {share: 20 %}
policies:
  quiet: {egress: {guarantee: 5 mbit}, slo: {latency: 5 ms}}
  calm: {egress: {guarantee: 5 mbit, limit: 20 mbit}, slo: {jitter: 5 ms, loss: 1 %}}
  free: {}
  sure: {egress: {guarantee: 10 mbit, weight: 3}}
  parted: {egress: {guarantee: 10 mbit}, rules: [allow: {class: bulk, service: tcp/1}]}
  house:
    egress: {guarantee: 30 mbit}
    children: {room: {}, hall: {egress: {guarantee: 4 mbit}}}
  full:
    egress: {limit: 20 mbit}
    children: {all: {egress: {guarantee: 20 mbit}}, none: {}, torn: {rules: [allow: {class: bulk, service: tcp/1}]}}
"""
LEAVES = (
    "quiet", "calm", "free", "sure", "parted", "house/room", "house/hall", "full/all", "full/none", "full/torn"
)  # fmt: skip
GUARANTEE_KBPS = {"quiet": 5e3, "calm": 5e3, "sure": 10e3, "parted": 10e3, "house/hall": 4e3, "full/all": 20e3}
WORLD = read_world(
    replace(
        snapshot(*(vif(number, leaf) for number, leaf in enumerate(LEAVES, start=1))),
        files={"p.yaml": POLICY},
        numbers=numbers_of(POLICY),
    ),
    World(),
    0.0,
)
figures = st.none() | st.floats(0, 100)
offers = st.tuples(st.sampled_from([0.0, 1e3, 30e3, 90e3]), st.booleans())
seconds = st.tuples(st.sampled_from([0.5, 1.0, 2.0, 20.0]), st.lists(figures, min_size=2, max_size=2), offers)


def paths(value: float | None) -> VifPaths:
    whole = PathFigures(value, value, value, 0.0 if value is None else value / 1000, 100, 10.0)
    return VifPaths(whole, lately=VifPaths(replace(whole, window_s=3.0)))


@given(st.lists(seconds, min_size=15, max_size=30), st.lists(offers, min_size=len(LEAVES), max_size=len(LEAVES)))
@settings(max_examples=10, deadline=None)
def test_guarantees_outlast_whatever_is_measured(drawn, offered) -> None:
    actor, now_s = GivingWay(), 0.0
    for step_s, values, quiet in drawn:
        now_s += step_s
        seen = {
            number: Decision(kbps, kbps, 0.0, 0.0, limited, float("inf") if limited else kbps, kbps, None)
            for number, (kbps, limited) in enumerate([quiet, *offered[1:]], start=1)
        }
        told = {number: paths(value) for number, value in enumerate(values, start=1)}
        actor.act(Tick(1, now_s, now_s, WORLD, {}, Decisions(seen, seen, (), {}), told))
        caps = {LEAVES[number - 1]: own for number, own in actor.class_kbps.items()}
        assert all(kbps >= 1 for own in caps.values() for kbps in own.values())  # nobody is cut off
        for leaf, guarantee_kbps in GUARANTEE_KBPS.items():
            for kbps in caps.get(leaf, {}).values():
                assert kbps >= guarantee_kbps * 0.94  # smaller changes are not written
        house = [caps.get(leaf, {}).get("normal", float("inf")) for leaf in ("house/room", "house/hall")]
        wanted = sum(seen[number].demand_kbps for number in (6, 7))
        if wanted >= 30e3:
            assert sum(house) >= 30e3 * 0.94 - 1
