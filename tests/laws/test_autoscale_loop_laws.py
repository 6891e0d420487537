"""Laws of guarantees that follow demand: they come to rest, and nothing that comes and goes makes them too many."""

from __future__ import annotations

import math
from dataclasses import replace

from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from controller.allocation.autoscaler import DEAD_BAND, Scale, Trigger, step
from controller.world.members import member
from policies.hierarchy import breaches
from tests.support.scaled_loop import POLICY, Loop, demand
from tests.unit.runtime.runtime_worlds import vif

LAWS = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
HERE = (1, "egress")


@st.composite
def scales(draw: st.DrawFn) -> Scale:
    down = draw(st.floats(0.05, 0.85))
    up = draw(st.floats(down + 0.05, 1.0))
    least = draw(st.floats(1.0, 1_000.0))
    most = least * draw(st.floats(1.0, 1_000.0))
    value = least + (most - least) * draw(st.floats(0.0, 1.0))
    return Scale(value, least, most, Trigger(up, 3.0, up), Trigger(down, 5.0, down))


@settings(LAWS, max_examples=40)
@given(scales(), st.floats(0.0, 2e6) | st.just(math.inf))
def test_under_a_demand_that_stays_a_number_moves_one_way_and_rests(scale: Scale, figure: float) -> None:
    """Each move but the last doubles or halves it, so there are few; where it rests it would rest again."""
    memory, path = {}, [scale.value]
    for second in range(150):
        memory, wishes = step(memory, {HERE: replace(scale, value=path[-1])}, {HERE: figure}, float(second))
        path += [wish.after for wish in wishes.values()]
    assert path == sorted(path) or path == sorted(path, reverse=True)
    assert len(path) - 1 <= math.ceil(math.log2(scale.most / scale.least) + 1e-9) + 1
    assert all(scale.least <= value <= scale.most for value in path)
    rest = path[-1]
    within = scale.down.part * rest * (1 - DEAD_BAND) <= figure <= scale.up.part * rest * (1 + 2 * DEAD_BAND)
    assert within or (rest == scale.most and figure > rest * scale.up.part) or (rest == scale.least and figure < rest)


@settings(LAWS, max_examples=40)
@given(scales(), st.lists(st.floats(0.0, 1.0), max_size=60))
def test_a_demand_within_the_band_moves_nothing(scale: Scale, places: list[float]) -> None:
    low, high = scale.down.part * scale.value, scale.up.part * scale.value
    memory = {}
    for second, place in enumerate(places):
        figure = min(high, low + (high - low) * place)
        memory, wishes = step(memory, {HERE: scale}, {HERE: figure}, float(second))
        assert not wishes


LEAVES = ["web", "web", "heavy", "other"]
DEMANDS = st.sampled_from([0.0, 4_000.0, 9_500.0, 30_000.0, math.inf])
EVENTS = st.one_of(
    st.tuples(st.just("come"), st.sampled_from(LEAVES)),
    st.tuples(st.just("go"), st.integers(0, 20)),
    st.tuples(st.just("want"), st.dictionaries(st.integers(1, 8), DEMANDS, min_size=1, max_size=4)),
    st.tuples(st.just("rest"), st.integers(1, 8)),
)
CROWDED = POLICY.replace("  other:", "  heavy: {egress: {guarantee: 5 mbit, weight: 4}, %s}\n  other:").replace(
    "%s", "autoscale: {guarantee: {min: 1 mbit, max: 90 mbit}, up: 80 % for 1 s, down: 30 % for 2 s}"
)


@settings(LAWS, max_examples=25)
@given(st.lists(EVENTS, max_size=25), st.booleans())
@example([("come", "web"), ("want", {1: math.inf}), ("rest", 8), ("rest", 8), ("come", "other"), ("rest", 2)], False)
def test_whoever_comes_and_goes_no_more_is_guaranteed_than_there_is(events: list, loses: bool) -> None:
    """As the agent and the loop read it, at every moment: `Loop.check` is the law."""
    loop = Loop(policy=CROWDED, loses=loses)
    wants: dict[int, float] = {}
    for number, (what, value) in enumerate(events, start=1):
        if what == "come":
            loop.interfaces(vif(number, value))
            present = [member(one, loop.world.policies) for one in loop.snapshot.interfaces.values()]
            if breaches(loop.world.policies, present):
                loop.remove(f"v{number}")
        elif what == "go" and loop.snapshot.interfaces:
            loop.remove(sorted(loop.snapshot.interfaces)[value % len(loop.snapshot.interfaces)])
        elif what == "want":
            wants = value
        loop.check()
        numbers = [one.number for one in loop.snapshot.interfaces.values()]
        figures = {one: wants.get(1 + at % 8, 0.0) for at, one in enumerate(sorted(numbers))}
        seen = {one: demand(min(kbps, 1e6), limited=kbps == math.inf) for one, kbps in figures.items()}
        loop.tick(seen, seconds=value if what == "rest" else 1)
