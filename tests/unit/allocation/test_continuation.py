"""A row of steps is continued to where it leads; what is played here is what a round does with what is tried."""

import numpy as np
import pytest

from controller.allocation.continuation import History

NONE = np.zeros(1, dtype=np.bool_)
PART = np.zeros(3, dtype=np.int64)


def rounds_until_there(matrix, there, start, most):
    """Walks x -> there + matrix (x - there), each step continued as History says, until steps are nothing."""
    history, cap, safe = History(PART), start, start
    for rounds in range(most):
        moved = there + matrix @ (cap - there)
        too_low = np.array([bool((moved > cap * (1 + 1e-11)).any())])
        lowered = safe if too_low[0] else np.minimum(moved, cap)
        if not too_low[0] and (cap - lowered <= cap * 1e-11).all():
            assert np.abs(lowered - there).max() < 1e-6
            return rounds
        history.note(lowered, cap - lowered, NONE, too_low)
        safe, cap = lowered, history.continued(lowered, ~NONE)
    return most


@pytest.mark.parametrize("factor", [0.5, 0.9, 0.999, 0.9999])
def test_a_geometric_row_ends_after_two_steps(factor):
    there, start = np.array([5.0, 3.0, 1.0]), np.array([9.0, 5.0, 2.0])
    assert rounds_until_there(factor * np.eye(3), there, start, 100) <= 8


def test_several_modes_end_when_as_many_steps_are_known():
    matrix = np.array([[0.0, 0.9, 0.0], [0.1, 0.0, 0.6], [0.3, 0.5, 0.1]])
    there, start = np.array([5.0, 3.0, 1.0]), np.array([8.0, 6.0, 4.0])
    assert rounds_until_there(matrix, there, start, 100) <= 16
    assert np.abs(np.linalg.matrix_power(matrix, 16) @ (start - there)).max() > 1e-3  # walking would not do


def test_nothing_is_continued_before_two_steps_or_where_nothing_moves():
    history, caps, step = History(PART), np.array([9.0, 5.0, 2.0]), np.array([1.0, 1.0, 1.0])
    history.note(caps, step, NONE, NONE)
    assert history.continued(caps, ~NONE) is caps
    history.note(caps - step / 2, step / 2, NONE, NONE)
    assert history.continued(caps, NONE) is caps
    assert history.continued(caps, ~NONE) == pytest.approx(caps - 0.5)
