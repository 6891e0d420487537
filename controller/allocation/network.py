"""What the loop divides, as one value: it changes when policy, VIFs or links do, never from tick to tick. Pure."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from controller.allocation.actuator import Direction
from controller.allocation.tree import FloatArray, IntArray, Tree


@dataclass(frozen=True, slots=True)
class Network:
    """What is divided: a tree a direction over the same VIFs, and the links that the egress tree's leaves name.

    capacity_kbps: float64[n_links]. Raises ValueError when the two trees have different VIFs, or one VIF twice.
    """

    egress: Tree
    ingress: Tree
    capacity_kbps: FloatArray

    def __post_init__(self) -> None:
        numbers = set(self.egress.leaf_keys)
        if numbers != set(self.ingress.leaf_keys):
            different = sorted(numbers ^ set(self.ingress.leaf_keys))
            raise ValueError(f"VIFs {different} are in one direction's tree only; build both from the same VIFs")
        if not len(numbers) == len(self.egress.leaf_keys) == len(self.ingress.leaf_keys):
            raise ValueError("a VIF is in a tree twice; each number may be the key of one leaf")
        highest = int(self.egress.link.max(initial=-1))
        if highest >= len(self.capacity_kbps):
            raise ValueError(f"link {highest} has no capacity; there are {len(self.capacity_kbps)}")

    def tree(self, direction: Direction) -> Tree:
        return self.egress if direction == "egress" else self.ingress

    @property
    def keys(self) -> IntArray:
        """The VIF numbers in ascending order."""
        return np.array(sorted(self.egress.leaf_keys), dtype=np.int64)
