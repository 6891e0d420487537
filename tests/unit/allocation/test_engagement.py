import numpy as np

from controller.allocation.engagement import Load, engaged
from controller.allocation.settings import Settings
from controller.allocation.tree import TreeNode, tree_of

TREE = tree_of(
    [
        TreeNode(-1),
        TreeNode(0, limit_kbps=100e3, name="acme"),
        TreeNode(1, leaf_key=1, link=0),
        TreeNode(1, leaf_key=2, link=1),
        TreeNode(0, leaf_key=3, link=0, limit_kbps=1e3),
    ]
)


def nodes(share, local, link, before=None, loose=(0, 0, 0)):
    load = Load(*(np.array(figures, dtype=float) for figures in (share, local, link, loose)))
    return engaged(TREE, load, before or {}, Settings())


def test_traffic_through_one_link_is_left_to_its_queue_tree():
    assert nodes([100e3, 0, 9e3], [0, 0, 0], [100e3, 0, 1e3]) == {}


def test_local_traffic_near_the_limit_engages_and_so_does_a_second_link():
    assert nodes([95e3, 0, 0], [30e3, 0, 0], [65e3, 0, 0]) == {"acme": 0}
    assert nodes([50e3, 50e3, 0], [0, 0, 0], [50e3, 50e3, 0]) == {"acme": 0}
    assert nodes([50e3, 30e3, 0], [50e3, 30e3, 0], [0, 0, 0]) == {}


def test_it_is_released_only_after_its_need_has_ended_for_long_enough():
    state = nodes([85e3, 0, 0], [40e3, 0, 0], [40e3, 0, 0], {"acme": 0})
    assert state == {"acme": 0}
    for quiet in range(1, Settings().release_ticks):
        state = nodes([50e3, 0, 0], [50e3, 0, 0], [0, 0, 0], state)
        assert state == {"acme": quiet}
    assert nodes([50e3, 0, 0], [50e3, 0, 0], [0, 0, 0], state) == {}


def test_while_the_node_is_full_no_local_traffic_is_no_reason_to_let_go_soon():
    state = {"acme": 0}
    for _ in range(Settings().release_ticks - 1):
        state = nodes([100e3, 0, 0], [0, 0, 0], [100e3, 0, 0], state)
        assert "acme" in state
    assert nodes([100e3, 0, 0], [0, 0, 0], [100e3, 0, 0], state) == {}


def test_what_nobody_sees_engages_nothing_and_ends_nothing():
    silent = {"share": [5e3, 5e3, 0], "local": [5e3, 5e3, 0], "link": [0, 0, 0], "loose": [90e3, 90e3, 0]}
    assert nodes(**silent) == {}
    assert nodes(**silent, before={"acme": 0}) == {"acme": 0}
    assert nodes(**{**silent, "loose": [0, 30e3, 0]}, before={"acme": 0}) == {"acme": 1}  # it could not fill the node
