"""A scene described VIF by VIF, for the small ones. Pure."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from controller.allocation.tree import FloatArray, TreeNode
from lab.fluid.plant import Scene
from lab.fluid.senders import CONSTANT, NONE


@dataclass(frozen=True, slots=True)
class Flow:
    """wish: kbit/s, or that as a function of time in seconds."""

    wish: float | Callable[[float], float]
    kind: int = CONSTANT

    def at(self, time_s: float) -> float:
        return self.wish(time_s) if callable(self.wish) else self.wish


@dataclass(frozen=True, slots=True)
class FluidVif:
    """leaf: in the egress tree; its parent in the other is the same."""

    leaf: TreeNode
    local: Flow | None = None
    link: Flow | None = None
    inward: Flow | None = None
    shaped: bool = True
    ingress_limit_kbps: float = math.inf
    ingress_guarantee_kbps: float = 0.0


def scene_of(
    inner: Sequence[TreeNode],
    vifs: Sequence[FluidVif],
    capacity_kbps: Sequence[float] = (),
    ingress_inner: Sequence[TreeNode] | None = None,
) -> Scene:
    """inner: the nodes above the leaves, the root first; ingress_inner: likewise, without limits unless given."""
    ordered = sorted(vifs, key=lambda vif: vif.leaf.leaf_key or 0)
    flows = [[vif.local, vif.link, vif.inward] for vif in ordered]
    inward = ingress_inner or [TreeNode(node.parent, weight=node.weight, name=node.name) for node in inner]
    into = [
        TreeNode(
            vif.leaf.parent, vif.ingress_guarantee_kbps, vif.ingress_limit_kbps, vif.leaf.weight, vif.leaf.leaf_key
        )
        for vif in vifs
    ]

    def wish(time_s: float) -> FloatArray:
        return np.array([[0.0 if flow is None else flow.at(time_s) for flow in row] for row in flows], dtype=np.float64)

    return Scene(
        egress=[*inner, *(vif.leaf for vif in vifs)],
        ingress=[*inward, *into],
        capacity_kbps=capacity_kbps,
        shaped=np.array([vif.shaped for vif in ordered], dtype=np.bool_),
        kind=np.array([[NONE if flow is None else flow.kind for flow in row] for row in flows], dtype=np.int64),
        wish=wish,
    )
