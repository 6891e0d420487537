import numpy as np
import pytest

from controller.allocation.loop import afresh, initial, step, with_network
from controller.allocation.network import Network
from controller.allocation.samples import MeterCounters, VifCounters
from controller.allocation.settings import Settings
from controller.allocation.tree import TreeNode, tree_of

MBIT = 125_000


def network(guarantees=(30e3, 10e3), capacity=60e3, keys=(1, 2)):
    leaves = [TreeNode(0, guarantee, leaf_key=key, link=0) for key, guarantee in zip(keys, guarantees, strict=True)]
    inward = [TreeNode(0, leaf_key=key) for key in keys]
    return Network(tree_of([TreeNode(-1), *leaves]), tree_of([TreeNode(-1), *inward]), np.array([capacity]))


def test_before_anything_is_measured_each_has_its_guarantee():
    _, decisions = step(initial(network()), {}, 5.0)
    assert [decision.allocated_kbps for decision in decisions.egress.values()] == [30e3, 10e3]
    assert decisions.egress[1].offered_kbps is None and decisions.egress[1].enforced_kbps is None
    assert decisions.changes == () and decisions.fault is None


def test_no_vif_is_no_trouble():
    empty = Network(tree_of([TreeNode(-1)]), tree_of([TreeNode(-1)]), np.array([]))
    state, decisions = step(initial(empty), {3: VifCounters(0, 0, MeterCounters(1, 0))}, 0.0)
    assert decisions.egress == {} and step(state, {}, 1.0)[1].changes == ()


def test_guarantees_that_no_longer_fit_are_shrunk_and_said():
    state = initial(network(capacity=20e3))
    for when in (0.0, 1.0):
        samples = {
            key: VifCounters(when, when, MeterCounters(int(50 * MBIT * when), int(MBIT * when))) for key in (1, 2)
        }
        state, decisions = step(state, samples, when)
    assert [decision.allocated_kbps for decision in decisions.egress.values()] == pytest.approx([15e3, 5e3])
    assert decisions.fault is not None and "link 0" in decisions.fault


def test_a_network_refuses_trees_that_do_not_belong_together():
    one, two = network(), network(keys=(1, 3))
    with pytest.raises(ValueError, match=r"VIFs \[2, 3\] are in one direction's tree only"):
        Network(one.egress, two.ingress, one.capacity_kbps)
    with pytest.raises(ValueError, match="link 0 has no capacity"):
        Network(one.egress, one.ingress, np.array([]))


def below_one_limit(keys=(1, 2)):
    """VIFs without a link below a limit of 100 Mbit/s, the first with a guarantee of 40."""
    leaves = [TreeNode(1, 40e3 if key == 1 else 0, 90e3, leaf_key=key) for key in keys]
    inward = [TreeNode(0, leaf_key=key) for key in keys]
    top = TreeNode(-1)
    return Network(
        tree_of([top, TreeNode(0, limit_kbps=100e3, name="t"), *leaves]), tree_of([top, *inward]), np.array([])
    )


def flooded(keys=(1, 2), ticks=3):
    """The loop's state after so many seconds in which each was cut, and the last decisions."""
    state = initial(below_one_limit(keys))
    for when in range(ticks):
        samples = {key: VifCounters(when, when, MeterCounters(200 * MBIT * when, 110 * MBIT * when)) for key in keys}
        state, decisions = step(state, samples, float(when))
    return state, decisions


def test_who_shares_nothing_may_have_what_it_wants_up_to_its_own_limit():
    leaves = [TreeNode(0, 5e3, 10e3, leaf_key=1), TreeNode(0, leaf_key=2)]
    state = initial(Network(tree_of([TreeNode(-1), *leaves]), tree_of([TreeNode(-1), *leaves]), np.array([])))
    for when in range(3):
        samples = {key: VifCounters(when, when, MeterCounters(20 * MBIT * when, 0)) for key in (1, 2)}
        state, decisions = step(state, samples, float(when))
    assert [decisions.egress[key].allocated_kbps for key in (1, 2)] == pytest.approx([10e3, 22e3])
    assert [decisions.ingress[key].allocated_kbps for key in (1, 2)] == [5e3, Settings().unknown_kbps]


def test_what_is_enforced_is_told_by_direction():
    _, decisions = flooded()
    assert decisions.engaged["egress"] == {"t"}
    assert decisions.enforced == {"egress": {1: 70_000, 2: 30_000}, "ingress": {}}
    assert [decisions.egress[key].enforced_kbps for key in (1, 2)] == [70_000, 30_000]


def test_what_is_enforced_outlives_what_was_measured():
    state, _ = flooded()
    _, decisions = step(afresh(state), {}, 50.0)
    assert decisions.enforced["egress"] == {1: 70_000, 2: 30_000}
    assert decisions.changes == () and decisions.egress[1].offered_kbps is None


def test_what_is_enforced_stays_with_its_vif():
    state, _ = flooded((1, 2, 3))
    moved = with_network(state, below_one_limit((1, 3, 4)))
    assert moved.egress.enforced_kbps.tolist() == [60_000, 20_000, np.inf]
