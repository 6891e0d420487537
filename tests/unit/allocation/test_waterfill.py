import math

import numpy as np
import pytest

from controller.allocation import waterfill
from controller.allocation.waterfill import Claims, fill

INF = math.inf


def shares(amounts, members):
    """members: (group, hard, soft, reserve, demand, weight) each."""
    group, *claims = zip(*members, strict=True)
    columns = (np.array(column, dtype=float) for column in claims)
    return fill(np.array(group), np.array(amounts, dtype=float), Claims(*columns)).tolist()


def test_groups_are_divided_each_by_itself():
    members = [(0, 0, 0, 0, INF, 1), (1, 0, 0, 0, INF, 3), (0, 0, 0, 0, 2, 1), (1, 0, 0, 0, INF, 1)]
    assert shares([10, 8], members) == pytest.approx([8, 6, 2, 2])


def test_who_has_enough_for_all_gives_it():
    assert shares([10, INF], [(0, 0, 0, 0, 7, 1), (1, 0, 0, 0, INF, 1), (0, 0, 0, 0, 3, 5)]) == [7, INF, 3]


def test_where_reserves_cannot_all_be_met_each_nears_its_own_as_far_as_it_asks():
    members = [(0, 10, 50, 50, INF, 9), (0, 0, 50, 50, INF, 1), (0, 0, 5, 50, 5, 1)]
    assert shares([60], members) == pytest.approx([10 + 40 / 2, 50 / 2, 5])
    assert shares([10], members) == pytest.approx([10, 0, 0])


def test_figures_of_one_group_do_not_blur_those_of_another():
    members = [(0, 0, 0, 0, 3e11, 1e6), (0, 0, 0, 0, INF, 1e6), (1, 0, 0, 0, 1e-4, 1e-6), (1, 0, 0, 0, INF, 3e-6)]
    assert shares([7e11, 3e-4], members) == pytest.approx([3e11, 4e11, 7.5e-5, 2.25e-4], rel=1e-12)


@pytest.mark.parametrize("growth", [1.5, 4.0, 1e3])
def test_the_steps_are_few_whoever_is_satisfied_when(growth, monkeypatch):
    """Members that are satisfied one after the other, each at a level far above the last."""
    count = min(1000, int(200 / math.log10(growth)))
    levels = growth ** np.arange(count)
    members = [(0, 0, 0, 0, 1.0, 1 / level) for level in levels] + [(0, 0, 0, 0, INF, 1e-3 / levels[-1])]
    steps = []
    sums = waterfill.sums
    monkeypatch.setattr(waterfill, "sums", lambda *args: steps.append(1) or sums(*args))
    given = shares([count + 0.5], members)
    assert given == pytest.approx([1.0] * count + [0.5])
    assert len(steps) / 2 < 120  # two a step: 98 seen, of 1000, 332 and 66 members
