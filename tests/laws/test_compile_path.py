"""The way does not matter: whatever was applied before, a switch ends with what the last state of things asks for.

With policies of random trees and rules, VIFs that come and go, users who move; numbers are kept as the Weir DB keeps
them, the compiler remembers its last compile, and the switch has Open vSwitch's rules for meters.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial

from hypothesis import given, settings
from hypothesis import strategies as st

from controller.compiler.bridge import Bridge
from controller.compiler.compile import compile_bridge
from controller.compiler.meters import egress_meter
from controller.compiler.parts import Memo
from controller.dataplane.actions import Controller
from controller.dataplane.entries import FlowBody, FlowKey, MeterBody
from controller.dataplane.pipeline import check
from controller.dataplane.stages import Failure, Stages
from controller.intent.numbering import renumber
from controller.reconcile.reconciler import Reconciler
from policies.identity import Identities
from tests.support.case_bridges import bridge_of_case
from tests.support.fake_switch import FakeSwitch
from tests.support.random_policies import HERE, Case, cases

Numbers = Mapping[tuple[str, str], int]


class Watched(FakeSwitch):
    """It knows in which turn each entry was written and each meter made."""

    def __init__(self) -> None:
        super().__init__()
        self.written: dict[FlowKey, int] = {}
        self.made: dict[int, int] = {}

    def apply(self, stages: Stages) -> Sequence[Failure]:
        failures, turn = super().apply(stages), len(self.applied)
        self.written |= {key: turn for key in (*stages.flows.add, *stages.flows.modify)}
        self.made |= {number: turn for number in stages.meters.add}
        return failures

    def stale(self) -> list[FlowKey]:
        """Entries that copy to the controller by a meter that was made after them, or that is gone. Open vSwitch would
        let a stranger's bound these copies."""
        return [key for key, body in self.flows.items() if any(map(partial(self._is_stale, key), copied_by(body)))]

    def _is_stale(self, key: FlowKey, meter_id: int) -> bool:
        return meter_id not in self.meters or self.made[meter_id] > self.written[key]


def copied_by(body: FlowBody) -> list[int]:
    """Meters of its copies to the controller, none of which is inside a clone."""
    return [action.meter_id for action in body.instructions.apply if isinstance(action, Controller)]


@dataclass(frozen=True)
class Step:
    """A policy in force, and the VIFs whose ports are there; rates: the egress limits in force, by VIF.

    advances: whether the switch is brought there without being read whole.
    """

    case: Case
    present: frozenset[str]
    rates: Mapping[str, int]
    advances: bool


@dataclass
class Database:
    """What the Weir DB keeps from one policy to the next."""

    numbers: Numbers = field(default_factory=dict)
    next_number: Mapping[str, int] = field(default_factory=dict)

    def bridge(self, step: Step) -> Bridge:
        self.numbers, self.next_number = renumber(step.case.policies, self.numbers, self.next_number)
        one = bridge_of_case(step.case)
        names = {party.number: name for name, party in step.case.identities.parties.items()}
        vifs = [vif for vif in one.vifs if names[vif.number] in step.present]
        return replace(
            one,
            vifs=tuple(replace(vif, egress_meter=self._meter(step.rates.get(names[vif.number]))) for vif in vifs),
            segments={name: replace(own, number=self.numbers["segment", name]) for name, own in one.segments.items()},
            identities=_known(step),
            node_numbers={path: self.numbers["node", path] for path in one.node_numbers},
            rule_numbers={identity: self.numbers["rule", identity] for identity in one.rule_numbers},
        )

    def _meter(self, rate_kbps: int | None) -> MeterBody | None:
        return None if rate_kbps is None else egress_meter(rate_kbps, None, shaped=False)


def _known(step: Step) -> Identities:
    """VIFs that are away from here are nowhere."""
    parties = step.case.identities.parties.items()
    known = {name: party for name, party in parties if name in step.present or name not in HERE}
    return replace(step.case.identities, parties=known)


@st.composite
def paths(draw: st.DrawFn) -> list[Step]:
    """Some steps change the policy and who is where; others only which VIFs are there and what they may send."""
    drawn = draw(st.lists(cases(), min_size=2, max_size=3))
    turns = draw(st.lists(st.integers(0, len(drawn) - 1), min_size=2, max_size=5))
    return [
        Step(
            drawn[turn],
            draw(st.frozensets(st.sampled_from(HERE))),
            draw(st.dictionaries(st.sampled_from(HERE), st.sampled_from([1000, 2000]), max_size=3)),
            draw(st.booleans()),
        )
        for turn in turns
    ]


@settings(deadline=None, max_examples=15)
@given(paths())
def test_any_path_ends_in_the_tables_of_the_last_step(path: list[Step]) -> None:
    database, memo, switch = Database(), Memo(), Watched()
    reconciler = Reconciler(switch)
    for step in path:
        bridge = database.bridge(step)
        desired = compile_bridge(bridge, memo)
        outcome = (reconciler.advance if step.advances else reconciler.reconcile)(desired, now_s=0.0)
        assert outcome.in_sync and not outcome.failures
        assert not switch.stale()
    fresh = FakeSwitch()
    Reconciler(fresh).reconcile(compile_bridge(bridge), now_s=0.0)
    assert check(fresh.read()) == []
    assert switch.read() == fresh.read()
    assert not reconciler.reconcile(desired, now_s=0.0).changes


@settings(deadline=None, max_examples=5)
@given(paths())
def test_what_stays_is_not_written_again(path: list[Step]) -> None:
    """A step back and forth changes what differs, and a step to where one is nothing."""
    database, switch = Database(), FakeSwitch()
    reconciler = Reconciler(switch)
    for step in path:
        bridge = database.bridge(step)
        before = switch.read()
        changes = reconciler.reconcile(compile_bridge(bridge), now_s=0.0).changes
        same = {number for number, body in switch.meters.items() if before.meters.get(number) == body}
        assert not same & (changes.meters.add.keys() | changes.meters.modify.keys() | changes.meters.delete.keys())
        assert not reconciler.reconcile(compile_bridge(database.bridge(step)), now_s=0.0).changes
