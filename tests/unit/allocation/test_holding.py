import numpy as np
import pytest

from controller.allocation.estimator import Estimate
from controller.allocation.holding import Claims, claims_of, rates
from controller.allocation.network import Network
from controller.allocation.plan import plan_of
from controller.allocation.settings import Settings
from controller.allocation.tree import TreeNode, tree_of

INF, NAN = float("inf"), float("nan")
NODES = [TreeNode(-1), TreeNode(0, limit_kbps=100.0, name="t")]
LEAVES = [TreeNode(1, 40.0, leaf_key=1, link=0), TreeNode(1, leaf_key=2), TreeNode(0, leaf_key=3, limit_kbps=50.0)]
INTO = [TreeNode(-1), TreeNode(0), TreeNode(1, leaf_key=1), TreeNode(1, leaf_key=2), TreeNode(0, leaf_key=3)]
NETWORK = Network(tree_of([*NODES, *LEAVES]), tree_of(INTO), np.array([60.0]))
PLAN = plan_of(NETWORK, "egress", NETWORK.keys)


def held(tight, roomy=None, quiet=0, silent=(False, False, False)):
    """What each of the three is held to while node t is engaged; the third is not below it."""
    claims = Claims(np.array(tight, dtype=float), np.array(tight if roomy is None else roomy, dtype=float))
    return rates(PLAN, {"t": quiet}, claims, np.array(silent), Settings()).tolist()


def test_who_wants_more_shares_what_is_there_and_who_is_not_below_is_left_alone():
    assert held([INF, INF, INF]) == [70.0, 30.0, INF]


def test_a_sleeper_has_what_it_would_have_if_all_woke_up():
    assert held([0, INF, 0]) == [70.0, 100.0, INF]


def test_who_is_content_is_held_a_little_above_what_it_takes_and_the_others_have_the_rest():
    assert held([80, INF, 0], roomy=[88, INF, 0]) == [70.0, 30.0, INF]  # 80 do not fit
    assert held([20, 75, 0], roomy=[22, 82.5, 0]) == [70.0, 82.5, INF]


def test_a_claim_that_is_not_met_gives_no_room():
    assert held([65, 45, 0], roomy=[71.5, 49.5, 0]) == [71.5, 35.0, INF]


def test_one_that_nobody_sees_has_its_part_set_aside():
    assert held([NAN, INF, 0], roomy=[NAN, INF, 0], silent=(True, False, False)) == [70.0, 30.0, INF]
    assert held([5, INF, 0], silent=(True, False, False)) == [70.0, 30.0, INF]


def test_in_a_node_at_ease_each_may_have_what_all_leave():
    assert held([10, 0, 0], quiet=Settings().ease_ticks) == [100.0, 90.0, INF]
    assert held([10, 0, 0], quiet=Settings().ease_ticks - 1) == [70.0, 30.0, INF]
    unseen = held([10, 0, 0], quiet=Settings().ease_ticks, silent=(False, True, False))
    assert unseen == [70.0, 30.0, INF]  # but one that nobody sees, and what is set aside for it


def estimate(**columns):
    """Two VIFs, the first of which crosses a link."""
    measured = ("offered_kbps", "passed_kbps", "dropped_kbps", "local_kbps", "demand_kbps")
    base = {name: [50, 50] for name in measured}
    base |= {"limited": [False, False], "only_at_link": [False, False], "recalled_kbps": [INF, INF]}
    base |= {"local_demand_kbps": [0, 55], "link_demand_kbps": [55, 0]}
    found = {name: np.array(column) for name, column in (base | columns).items()}
    return Estimate(
        **{name: column if column.dtype == bool else column.astype(float) for name, column in found.items()}
    )


def claims(link=(50, 0), through=(50, 0), **columns):
    found = claims_of(estimate(**columns), np.array(link, float), np.array(through, float), Settings())
    return found.tight_kbps.tolist(), found.roomy_kbps.tolist()


def test_who_is_content_claims_what_passes():
    tight, roomy = claims()
    assert tight == pytest.approx([50, 50]) and roomy == pytest.approx([55, 55])


def test_one_that_its_link_alone_holds_claims_what_the_link_gives():
    where = {"limited": [True, False], "only_at_link": [True, False], "link_demand_kbps": [INF, 0]}
    tight, roomy = claims(**where)
    assert tight[0] == 50 and roomy[0] == pytest.approx(55)


def test_what_was_held_back_a_moment_ago_claims_what_it_wanted_then():
    tight, roomy = claims(limited=[False, True], local_demand_kbps=[0, INF], recalled_kbps=[INF, 70])
    assert tight[1] == 70 and roomy[1] == pytest.approx(77)
