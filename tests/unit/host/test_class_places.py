"""Which class of a tree is whose traffic class."""

from __future__ import annotations

from controller.host.class_places import at_port, at_uplink, named
from controller.host.class_queues import ClassShare
from controller.host.queue_ids import vif_of
from controller.host.queue_plan import Sender, ingress_plan, uplink_plan
from policies.hierarchy import Branch, Leaf, Member

SHARES = (ClassShare(0.3, (46,)), ClassShare(0.6), ClassShare(0.1, (8,)))
CLASSES = named(("gold", "normal", "bulk"), SHARES)


def test_every_class_of_an_uplink_that_is_no_vifs_or_nodes_is_somebodys_traffic_class() -> None:
    own = {7: CLASSES, 8: named(("gold", "normal", "bulk"), ()), 16_392: CLASSES}
    leaves = tuple(Leaf(Member(number, f"v{number}", "p"), 0, None, 1.0, None, None) for number in own)
    below = Branch("a", 0, None, 1.0, (), leaves[1:])
    senders = {number: Sender(number, tuple(classes.values())) for number, classes in own.items()}
    plan = uplink_plan(Branch("", 0, None, 1.0, (below,), leaves[:1]), 1_000_000, senders, {"a": 1}, 4554)
    places = at_uplink(plan, own)
    assert sorted(places.values()) == sorted((vif, name) for vif in (7, 16_392) for name in CLASSES)
    assert places.keys() <= plan.classes.keys() and not any(vif_of(place) for place in places)
    for place, (_, name) in places.items():
        assert place & 0xFFFF == CLASSES[name].minor


def test_a_port_that_is_divided_has_its_vifs_classes_and_no_other_port_has_any() -> None:
    plan = ingress_plan(10_000, 60_000, classes=SHARES)
    places = at_port(plan, 7, CLASSES)
    assert plan is not None and places.keys() <= plan.classes.keys()
    assert sorted(places.values()) == [(7, "bulk"), (7, "gold"), (7, "normal")]
    assert at_port(ingress_plan(10_000, 60_000), 7, {}) == {} and at_port(None, 7, CLASSES) == {}
