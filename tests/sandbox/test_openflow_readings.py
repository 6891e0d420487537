"""What a real Open vSwitch says when it is asked for everything, or only for what a change has touched."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from controller.dataplane.entries import FlowBody, FlowKey, MeterBody, SwitchState
from controller.dataplane.match import match
from controller.dataplane.stages import stages
from tests.support.probed_switch import COOKIE, SWITCH, ProbedSwitch, body, entries, probed_switch

METERS = {1: MeterBody(1000, 50), 2: MeterBody(2000, 50)}


@pytest.fixture(scope="module")
def connected() -> Iterator[ProbedSwitch]:
    with probed_switch() as switch:
        yield switch


@pytest.fixture
def switch(connected: ProbedSwitch) -> ProbedSwitch:
    connected.clear()
    return connected


def of_origin(number: int, count: int) -> dict[FlowKey, FlowBody]:
    """Under one cookie of its own; the first of them matches everything."""
    keys = [FlowKey(3, 1, match()), *(FlowKey(3, 1, match(in_port=port)) for port in range(1, count))]
    return {key: FlowBody(COOKIE + number, body(goto=10).instructions) for key in keys}


@pytest.mark.parametrize("count", [1, 3, 30])
def test_only_what_is_touched_is_looked_at(switch: ProbedSwitch, count: int) -> None:
    before = SwitchState({**entries(50), **of_origin(1, 40)}, METERS)
    switch.become(before)
    changed = {key: body(goto=11) for key in list(entries(50))[:count]}
    gone = set(list(of_origin(1, 40))[:count])
    flows = {key: one for key, one in {**before.flows, **changed, **of_origin(2, 0)}.items() if key not in gone}
    after = SwitchState({**flows, FlowKey(4, 9, match()): body(goto=12)}, {1: MeterBody(500, 50), 3: MeterBody(7, 7)})
    changes = stages(after, before)
    untouched = switch.probe.look(SWITCH, changes)
    assert set(untouched.flows) == set(changed) | gone and untouched.meters == METERS
    assert switch.change(before, after) == []
    found = switch.probe.look(SWITCH, changes)
    assert found.flows == {**changed, FlowKey(4, 9, match()): body(goto=12)} and found.meters == after.meters


def test_an_entry_under_another_cookie_is_not_the_one(switch: ProbedSwitch) -> None:
    switch.become(SwitchState(of_origin(1, 2)))
    changes = stages(SwitchState(of_origin(2, 2)), SwitchState())
    assert switch.probe.look(SWITCH, changes) == SwitchState()


def test_a_priority_or_match_beside_it_is_not_looked_at(switch: ProbedSwitch) -> None:
    switch.become(SwitchState(of_origin(1, 5)))
    key = FlowKey(3, 2, match())
    changes = stages(SwitchState({key: FlowBody(COOKIE + 1, body(goto=10).instructions)}), SwitchState())
    assert switch.probe.look(SWITCH, changes) == SwitchState()


def test_what_reads_as_it_did_is_not_looked_into_again(switch: ProbedSwitch) -> None:
    wanted = SwitchState(entries(3000), METERS)
    switch.become(wanted)
    switch.probe.want(SWITCH, wanted)
    assert [switch.probe.read_wanted() for _ in range(3)] == [(wanted, True)] * 3


@pytest.mark.parametrize(
    "edit",
    [
        ("del-flows", "br0", f"table=1,cookie={COOKIE:#x}/-1,in_port=7"),
        ("add-flow", "br0", f"table=1,priority=7,cookie={COOKIE:#x},in_port=7,actions=drop"),
        ("add-flow", "br0", f"table=1,priority=9999,cookie={COOKIE:#x},in_port=7,actions=goto_table:10"),
        ("add-flow", "br0", f"table=1,priority=7,cookie={COOKIE + 1:#x},in_port=7,actions=goto_table:10"),
        ("add-flow", "br0", f"table=1,priority=7,idle_timeout=900,cookie={COOKIE:#x},in_port=7,actions=goto_table:10"),
        ("mod-meter", "br0", "meter=1,kbps,burst,stats,bands=type=drop,rate=9,burst_size=50"),
    ],
)
def test_any_edit_of_others_is_seen(switch: ProbedSwitch, edit: tuple[str, ...]) -> None:
    wanted = SwitchState(entries(100), METERS)
    switch.become(wanted)
    switch.probe.want(SWITCH, wanted)
    assert switch.probe.read_wanted() == (wanted, True)
    switch.ovs.ofctl(*edit)
    found, as_wanted = switch.probe.read_wanted()
    assert found != wanted and bool(stages(wanted, found))
    assert found == switch.read()
    assert as_wanted == ("meter" in edit[0])
