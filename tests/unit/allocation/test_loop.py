import numpy as np
import pytest

from controller.allocation.loop import initial, step
from controller.allocation.network import Network
from controller.allocation.samples import MeterCounters, VifCounters
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
