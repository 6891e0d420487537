import pytest

from policies.hierarchy import Branch, Leaf, Member, admission, bandwidth_tree
from policies.model import Direction
from policies.parser import parse

POLICIES = parse(
    {
        "p": """
weir: 1
links:
  wan: {capacity: 100 mbit}
  lan: {capacity: 1 gbit, hosts: [h1]}
policies:
  acme:
    egress: {guarantee: 50 mbit, limit: 80 mbit, weight: 2}
    children:
      web: {egress: {guarantee: 20 mbit, limit: 30 mbit, weight: 3, burst: 20 ms}}
      team:
        children:
          dev: {egress: {guarantee: 10 mbit}, ingress: {guarantee: 40 mbit}}
      empty: {children: {x: {}}}
  capped:
    egress: {limit: 30 mbit}
    children: {a: {egress: {guarantee: 20 mbit}}}
  red: {egress: {guarantee: 45 mbit, burst: 64 kib}}
  plain: {}
"""
    }
)


def vif(number: int, policy: str, uplink: str | None = "wan", chassis: str | None = "h1") -> Member:
    return Member(number, f"v{number}", policy, uplink, chassis)


def test_the_tree():
    web1, web2, dev, red = vif(2, "acme/web"), vif(1, "acme/web"), vif(3, "acme/team/dev"), vif(4, "red")
    assert bandwidth_tree(POLICIES, Direction.EGRESS, [web1, web2, dev, red]) == Branch(
        path="",
        guarantee_kbps=95_000,
        limit_kbps=None,
        weight=1.0,
        branches=(
            Branch(
                path="acme",
                guarantee_kbps=50_000,
                limit_kbps=80_000,
                weight=2.0,
                branches=(Branch("acme/team", 10_000, None, 1.0, (), (Leaf(dev, 10_000, None, 1.0, None, None),)),),
                leaves=(
                    Leaf(web2, 20_000, 30_000, 3.0, 0.02, None),
                    Leaf(web1, 20_000, 30_000, 3.0, 0.02, None),
                ),
            ),
        ),
        leaves=(Leaf(red, 45_000, None, 1.0, None, 65536),),
    )


def test_directions_are_apart():
    tree = bandwidth_tree(POLICIES, Direction.INGRESS, [vif(1, "acme/team/dev"), vif(2, "red")])
    assert tree.guarantee_kbps == 40_000 and tree.leaves[0].guarantee_kbps == 0


def test_a_node_reserves_what_is_below_where_that_is_more():
    tree = bandwidth_tree(POLICIES, Direction.EGRESS, [vif(n, "acme/web") for n in range(3)])
    assert tree.branches[0].guarantee_kbps == 60_000


def test_no_members_no_branches():
    assert bandwidth_tree(POLICIES, Direction.EGRESS, []) == Branch("", 0, None, 1.0, (), ())


@pytest.mark.parametrize("policy", ["nowhere", "acme"])
def test_a_vif_belongs_to_a_leaf(policy):
    with pytest.raises(KeyError):
        bandwidth_tree(POLICIES, Direction.EGRESS, [vif(1, policy)])
    assert admission(POLICIES, [vif(1, policy)]) == [
        f"VIF 'v1': policy '{policy}' is no leaf of the policy set. Attach it to a leaf."
    ]


@pytest.mark.parametrize(
    "members",
    [
        [],
        [vif(1, "plain"), vif(2, "plain", "unknown")],
        [vif(1, "acme/web"), vif(2, "acme/web"), vif(3, "acme/team/dev")],
        [vif(1, "red"), vif(2, "red")],  # 90 of 100
        [vif(1, "red"), vif(2, "red"), vif(3, "red", chassis="h2")],  # each host has its own uplink
        [vif(1, "red"), vif(2, "red"), vif(3, "red", uplink=None)],  # an internal segment has no link
        [vif(n, "red", "lan") for n in range(20)],
        [vif(1, "red", chassis=None), vif(2, "red", chassis=None)],
        [vif(1, "acme/team/dev"), vif(2, "acme/team/dev")],  # 80 of 100 in
        [vif(1, "capped/a")],
    ],
)
def test_what_can_be_kept_is_admitted(members):
    assert admission(POLICIES, members) == []


@pytest.mark.parametrize(
    ("members", "line"),
    [
        (
            [vif(n, "red") for n in range(3)],
            "uplink 'wan' of host 'h1': the egress guarantees of its VIFs come to 135 mbit, 45 mbit more than 90 % of "
            "its capacity of 100 mbit. Lower or remove some, or raise links.wan.capacity.",
        ),
        (
            [vif(1, "acme/web", chassis=None), vif(2, "red", chassis=None)],  # acme reserves 50
            "uplink 'wan': the egress guarantees of its VIFs come to 95 mbit, 5 mbit more than 90 % of "
            "its capacity of 100 mbit. Lower or remove some, or raise links.wan.capacity.",
        ),
        (
            [vif(n, "acme/team/dev") for n in range(3)],
            "uplink 'wan' of host 'h1': the ingress guarantees of its VIFs come to 120 mbit, 30 mbit more than 90 % of "
            "its capacity of 100 mbit. Lower or remove some, or raise links.wan.capacity.",
        ),
        (
            [vif(n, "acme/web", uplink=None) for n in range(3)],
            "policy 'acme': the egress guarantees below it come to 60 mbit, 10 mbit more than its own guarantee of "
            "50 mbit. Raise its guarantee, or lower or remove some below it.",
        ),
        (
            [vif(n, "capped/a") for n in range(2)],
            "policy 'capped': the egress guarantees below it come to 40 mbit, 10 mbit more than its own limit of "
            "30 mbit. Raise its limit, or lower or remove some below it.",
        ),
        (
            [vif(1, "red", "lan", "h2")],
            "VIF 'v1': the egress guarantee of policy 'red' cannot be kept on uplink 'lan' of host 'h2', whose "
            "capacity is not known. Add it to the policy, as in 'links: {lan: {capacity: 1 gbit}}'.",
        ),
        (
            [vif(1, "acme/empty/x", "dsl")],
            "VIF 'v1': the egress guarantee of policy 'acme' cannot be kept on uplink 'dsl' of host 'h1', whose "
            "capacity is not known. Add it to the policy, as in 'links: {dsl: {capacity: 1 gbit}}'.",
        ),
    ],
)
def test_what_is_broken_is_said_with_how_much(members, line):
    assert admission(POLICIES, members) == [line]
