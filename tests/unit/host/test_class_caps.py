"""What classes may take while they give way: their ceilings alone change, and never below what is guaranteed."""

from __future__ import annotations

from pathlib import Path

import pytest

from controller.config import StateDir
from controller.host.class_bounds import held
from controller.host.class_queues import ClassShare
from controller.host.desired import limits
from controller.host.queue_ids import CLASS_MAJORS, DEFAULT_MINOR, ROOT_MAJOR
from controller.host.queue_plan import Sender, uplink_plan
from controller.host.queue_sizes import PASS_KBPS, burst_us
from controller.host.queue_tree import ClassPlan, QueuePlan, Verb, changes
from controller.host.settings import AgentConfig
from controller.host.wishes import HeldVif, Known, plan
from controller.stream.messages import Rates
from ovsdb.rows import VirtualInterface
from policies.hierarchy import Branch, Leaf, Member
from policies.parser import parse

OUTER, HANDLE = ROOT_MAJOR << 16, CLASS_MAJORS[1] << 16
PLAIN = OUTER | 2


def uplink(
    bulk_kbps: int | None = None, plain_kbps: int | None = None, limit_kbps: int | None = None, is_shaped: bool = False
) -> QueuePlan:
    """VIF 1 is divided and guaranteed 10 Mbit/s, a tenth of it to its bulk; VIF 2 is plain, and guaranteed 5."""
    classes = ClassShare(0.9), ClassShare(0.1, (8,), bulk_kbps)
    leaves = (
        Leaf(Member(1, "v1", "p"), 10_000, None, 1.0, None, None),
        Leaf(Member(2, "v2", "p"), 5_000, limit_kbps, 1.0, None, None),
    )
    senders = {1: Sender(1, classes), 2: Sender(2, is_shaped=is_shaped, most_kbps=plain_kbps)}
    return uplink_plan(Branch("", 0, None, 1.0, (), leaves), 100_000, senders, {}, 15_000)


@pytest.mark.parametrize(("asked", "ceil"), [(20_000, 20_000), (10, 1_000), (1_000, 1_000)])
def test_a_class_is_bounded_and_keeps_its_part_of_the_guarantee(asked: int, ceil: int) -> None:
    (change,) = changes(uplink(bulk_kbps=asked), uplink())
    assert (change.verb, change.place) == (Verb.SET, HANDLE | 9)
    assert isinstance(change.item, ClassPlan) and change.item.ceil_kbps == ceil and change.item.rate_kbps == 1_000


@pytest.mark.parametrize(("asked", "ceil"), [(20_000, 20_000), (10, 5_000)])
def test_a_vif_that_is_not_divided_is_bounded_as_a_whole(asked: int, ceil: int) -> None:
    (change,) = changes(uplink(plain_kbps=asked), uplink())
    assert (change.verb, change.place) == (Verb.SET, PLAIN)
    assert isinstance(change.item, ClassPlan) and change.item.ceil_kbps == ceil
    assert change.item.cburst_us == burst_us(ceil)  # no more at once than at this rate


def test_a_bound_above_the_own_limit_changes_nothing() -> None:
    for is_shaped in (False, True):
        own = uplink(limit_kbps=20_000, is_shaped=is_shaped)
        assert changes(uplink(plain_kbps=30_000, limit_kbps=20_000, is_shaped=is_shaped), own) == ()
        assert changes(uplink(plain_kbps=15_000, limit_kbps=20_000, is_shaped=is_shaped), own) != ()


def test_all_goes_back_when_the_bounds_go() -> None:
    back = changes(uplink(), uplink(bulk_kbps=10, plain_kbps=10))
    assert {change.verb for change in back} == {Verb.SET} and len(back) == 2


def test_what_has_no_bound_is_no_backstop() -> None:
    body = ClassPlan(OUTER, 1, PASS_KBPS, 2000, 2000, 1518)
    assert held(body, is_shaped=True, most_kbps=None) == body


POLICIES = parse(
    {
        "p.yaml": """
weir: 1
segments: {office: {type: bridged, uplink: up0}}
links: {up0: {capacity: 100 mbit}}
classes: {fast: {share: 30 %, dscp: ef}, normal: {share: 60 %}, bulk: {share: 10 %, dscp: cs1}}
policies:
  split: {egress: {guarantee: 10 mbit}, rules: [allow: {class: bulk}]}
  plain: {}
"""
    }
)
CONFIG = AgentConfig("h1", "br-weir", StateDir(Path("/s")), Path("/r"), "weir-1", {"up0": "eth9"})


def tree(rates: Rates) -> QueuePlan:
    """Of VIF 1, which is divided, and VIF 2, which is not."""
    vifs = [
        VirtualInterface(f"v{number}", number, leaf, "office", "veth", f"02:00:00:00:00:0{number}", (), "h1")
        for number, leaf in ((1, "split"), (2, "plain"))
    ]
    some = [HeldVif(one, f"wv{one.number}", limits(one, POLICIES, rates), Path("/n"), "eth0") for one in vifs]
    found = plan(some, POLICIES, Known({}, 0), CONFIG, 1 << 24).wishes.uplinks["up0"].plan
    assert found is not None
    return found


def test_the_loops_bounds_are_told_by_class() -> None:
    told = Rates(class_kbps={1: {"bulk": 2_500, "normal": 9_000}, 2: {"normal": 4_000}})
    ceils = {
        change.place: change.item.ceil_kbps
        for change in changes(tree(told), tree(Rates()))
        if isinstance(change.item, ClassPlan)
    }
    assert ceils == {PLAIN: 4_000, HANDLE | 9: 2_500, HANDLE | DEFAULT_MINOR: 9_000}
