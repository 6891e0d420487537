from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policies.errors import BadValue
from policies.hierarchy import Leaf, Member, admission, bandwidth_tree
from policies.model import Bandwidth, Direction
from policies.own_numbers import INHERITED, Own, columns_of, faults, own_of, read_own, with_own
from policies.parser import parse

RATES = st.none() | st.integers(0, 10**9)


@pytest.mark.parametrize(
    ("text", "own"),
    [
        ("guarantee=10 mbit,limit=50 mbit", Own(10_000, 50_000)),
        (" Limit = 50mbit ", Own(None, 50_000)),
        ("guarantee=0 bit", Own(0, None)),
        ("", INHERITED),
        ("none", INHERITED),
    ],
)
def test_own_numbers_are_read_in_the_units_of_the_language(text: str, own: Own) -> None:
    assert read_own(text) == own


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("10 mbit", "'10 mbit' is neither a guarantee nor a limit. Write it as in 'guarantee=10 mbit,limit=50 mbit'."),
        ("limt=10 mbit", "Write 'limit=10 mbit'."),
        ("limit=10", "'10' has no unit"),
        ("limit=10 mbps", "is not a rate"),
        ("limit=1 mbit,limit=2 mbit", "limit is given twice"),
        ("limit=0 mbit", "lets nothing pass"),
        ("limit=1 mbit,", "is neither"),
        ("guarantee=-1 mbit", "is negative"),
    ],
)
def test_what_is_wrong_is_said(text: str, words: str) -> None:
    with pytest.raises(BadValue) as fault:
        read_own(text)
    assert words in str(fault.value)


@given(st.builds(Own, RATES, st.none() | st.integers(1, 10**9)))
def test_stored_they_are_the_same(own: Own) -> None:
    assert own_of(columns_of(own)) == own


@given(st.builds(Bandwidth, st.integers(0, 100), RATES), st.builds(Own, RATES, RATES))
def test_they_never_leave_the_leaf(leaf: Bandwidth, own: Own) -> None:
    made = with_own(leaf, own)
    if own == INHERITED:
        assert made == leaf
        return
    if leaf.limit_kbps is not None:
        assert made.limit_kbps is not None and made.limit_kbps <= leaf.limit_kbps
    if made.limit_kbps is not None:
        assert made.guarantee_kbps <= made.limit_kbps
    sound = own.limit_kbps is None or own.limit_kbps > 0
    if sound and not list(faults(leaf, "p", Direction.EGRESS, own)):
        assert made.limit_kbps == (leaf.limit_kbps if own.limit_kbps is None else own.limit_kbps)
        assert made.guarantee_kbps == (leaf.guarantee_kbps if own.guarantee_kbps is None else own.guarantee_kbps)


@pytest.mark.parametrize(
    ("own", "words"),
    [
        (Own(None, 31_000), "limit of 31 mbit is more than the 30 mbit of policy 'p'. Ask for at most limit=30 mbit,"),
        (
            Own(31_000, None),
            "guarantee of 31 mbit is more than the egress limit of policy 'p', 30 mbit. Ask for at most",
        ),
        (Own(25_000, 20_000), "guarantee of 25 mbit is more than the egress limit of its own, 20 mbit."),
        (Own(None, 5_000), "is less than the 10 mbit that policy 'p' guarantees it. Ask for a lower guarantee with it"),
    ],
)
def test_what_a_leaf_does_not_allow_is_said_with_what_it_does(own: Own, words: str) -> None:
    (line,) = faults(Bandwidth(10_000, 30_000), "p", Direction.EGRESS, own)
    assert words in line and line.startswith("its own egress ") and line.endswith(".")


def test_within_it_goes() -> None:
    for own in (Own(30_000, None), Own(None, 10_000), Own(0, 1), Own(20_000, 20_000), INHERITED):
        assert not list(faults(Bandwidth(10_000, 30_000), "p", Direction.EGRESS, own))
    assert not list(faults(Bandwidth(), "p", Direction.EGRESS, Own(10**6, None)))


POLICIES = parse(
    {
        "p": """
weir: 1
links: {wan: {capacity: 100 mbit}}
policies:
  acme:
    egress: {guarantee: 50 mbit}
    children: {web: {egress: {guarantee: 20 mbit, limit: 60 mbit, weight: 3, burst: 20 ms}}}
"""
    }
)


def member(number: int, own: Own = INHERITED, uplink: str | None = "wan") -> Member:
    return Member(number, f"v{number}", "acme/web", uplink, "h1", egress=own)


def test_the_tree_has_them_in_place_of_the_leafs() -> None:
    members = [member(1, Own(5_000, 10_000)), member(2)]
    (acme,) = bandwidth_tree(POLICIES, Direction.EGRESS, members).branches
    assert acme.leaves == (
        Leaf(members[0], 5_000, 10_000, 3.0, 0.02, None),
        Leaf(members[1], 20_000, 60_000, 3.0, 0.02, None),
    )


def test_admission_counts_them() -> None:
    assert not admission(POLICIES, [member(1, Own(5_000)), member(2, Own(5_000)), member(3), member(4)])
    (line,) = admission(POLICIES, [member(1, Own(40_000)), member(2)])
    assert line.startswith("policy 'acme': the egress guarantees below it come to 60 mbit, 10 mbit more than")


def test_a_guarantee_of_its_own_needs_a_link_whose_capacity_is_known() -> None:
    (line,) = [one for one in admission(POLICIES, [member(1, Own(5_000), "lan")]) if one.startswith("VIF")]
    assert line.startswith("VIF 'v1': its own egress guarantee cannot be kept on uplink 'lan' of host 'h1'")
    (line,) = admission(POLICIES, [member(1, Own(0), "lan")])
    assert "the egress guarantee of policy 'acme' cannot be kept" in line
