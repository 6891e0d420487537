"""Which class of a tree is whose traffic class. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from controller.host.class_queues import ClassShare
from controller.host.queue_ids import vif_of
from controller.host.queue_tree import ROOT, HtbPlan, QueuePlan

Named = Mapping[str, ClassShare]  # by name of the traffic class
Places = Mapping[int, tuple[int, str]]  # by class id: VIF number and name


def at_uplink(plan: QueuePlan, classes: Mapping[int, Named]) -> dict[int, tuple[int, str]]:
    """classes: by VIF number, of those that are divided."""
    found = {}
    for place, qdisc in plan.qdiscs.items():
        vif = vif_of(place)
        if vif is not None and isinstance(qdisc, HtbPlan):
            for name, own in classes.get(vif, {}).items():
                found[qdisc.handle | own.minor] = vif, name
    return found


def at_port(plan: QueuePlan | None, vif: int, classes: Named) -> dict[int, tuple[int, str]]:
    """Of the tree of one VIF's port; empty where it is not divided."""
    found = {}
    for place, qdisc in plan.qdiscs.items() if plan else ():
        if place != ROOT and isinstance(qdisc, HtbPlan):
            found.update({qdisc.handle | own.minor: (vif, name) for name, own in classes.items()})
    return found


def named(names: Sequence[str], classes: Sequence[ClassShare]) -> Named:
    """names: of all classes of the policy set, in the order of those of a VIF; a VIF that is not divided has none."""
    return dict(zip(names, classes, strict=False))
