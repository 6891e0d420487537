import numpy as np
import pytest

from controller.allocation.decision import Decision, DecisionsByVif, Figures

INF, NAN = float("inf"), float("nan")
FIGURES = Figures(
    keys=np.array([3, 7]),
    offered_kbps=np.array([10.0, NAN]),
    passed_kbps=np.array([9.0, NAN]),
    dropped_kbps=np.array([1.0, NAN]),
    local_kbps=np.array([0.0, NAN]),
    limited=np.array([True, False]),
    demand_kbps=np.array([INF, 64.0]),
    allocated_kbps=np.array([12.0, 64.0]),
    enforced_kbps=np.array([12.0, INF]),
)
THREE = Decision(10.0, 9.0, 1.0, 0.0, True, INF, 12.0, 12)
SEVEN = Decision(None, None, None, None, False, 64.0, 64.0, None)


def test_one_is_made_when_it_is_asked_for():
    found = DecisionsByVif(FIGURES)
    assert (found[3], found[7]) == (THREE, SEVEN)
    assert found.get(5) is None and found.get(8) is None and len(found) == 2


def test_all_are_as_each():
    found = DecisionsByVif(FIGURES)
    assert found == {3: THREE, 7: SEVEN} and list(found) == [3, 7]
    with pytest.raises(KeyError):
        found[5]
