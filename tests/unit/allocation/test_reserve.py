"""What nobody may be held below."""

from __future__ import annotations

import math

import numpy as np
import pytest

from controller.allocation.reserve import promised
from controller.allocation.tree import TreeNode, tree_of

INF = math.inf
TREE = tree_of(
    [
        TreeNode(-1),
        TreeNode(0, 40.0, name="acme"),
        TreeNode(1, 10.0, leaf_key=1),
        TreeNode(1, 0.0, leaf_key=2),
        TreeNode(0, 5.0, leaf_key=3),
        TreeNode(0, 0.0, leaf_key=4),
    ]
)
EVERYBODY = np.ones(4, dtype=np.bool_)


@pytest.mark.parametrize(
    ("demand", "expected"),
    [
        ([INF, INF, INF, INF], [25.0, 15.0, 5.0, 0.0]),  # acme's 40 are divided below it, by its law
        ([0.0, INF, 0.0, INF], [10.0, 30.0, 5.0, 0.0]),  # who sleeps keeps its own
        ([0.0, 7.0, 0.0, 0.0], [10.0, 7.0, 5.0, 0.0]),
    ],
)
def test_guarantees_of_leaves_and_of_nodes_above_them(demand: list[float], expected: list[float]) -> None:
    assert promised(TREE, np.array(demand), EVERYBODY) == pytest.approx(expected, rel=1e-6, abs=1e-6)


def test_who_uses_another_link_has_nothing_here() -> None:
    on_link = np.array([True, False, True, False])
    assert promised(TREE, np.full(4, INF), on_link) == pytest.approx([40.0, 0.0, 5.0, 0.0], rel=1e-6, abs=1e-6)
