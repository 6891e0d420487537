"""Laws of guarantees that move: whoever comes and goes, what is in force is never more than admission allows."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from policies.hierarchy import Member, breaches, overcommitted
from policies.model import Direction
from policies.parser import parse
from policies.scaling import UNSCALED, Scaled
from policies.surplus import fitted

SLOW = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow], max_examples=60)
MOVES = "autoscale: {guarantee: {min: 1 mbit, max: 100 mbit}, up: 90 % for 5 s, down: 40 % for 30 s}"
POLICIES = parse(
    {
        "p": f"""
weir: 1
links: {{wan: {{capacity: 100 mbit}}, lan: {{capacity: 60 mbit, hosts: [h1]}}}}
policies:
  kept:
    egress: {{guarantee: 40 mbit, limit: 70 mbit}}
    ingress: {{guarantee: 30 mbit}}
    children:
      light: {{egress: {{guarantee: 5 mbit}}, ingress: {{guarantee: 4 mbit}}, {MOVES}}}
      team:
        egress: {{limit: 30 mbit}}
        children:
          heavy: {{egress: {{guarantee: 8 mbit, weight: 4}}, {MOVES}}}
          still: {{egress: {{guarantee: 6 mbit}}}}
  capped:
    egress: {{limit: 50 mbit}}
    children: {{some: {{egress: {{guarantee: 7 mbit, weight: 0.5}}, {MOVES}}}}}
  open:
    children: {{any: {{egress: {{guarantee: 3 mbit}}, ingress: {{guarantee: 9 mbit, weight: 2}}, {MOVES}}}}}
  still: {{egress: {{guarantee: 11 mbit}}}}
"""
    }
)
LEAVES = sorted(path for path, node in POLICIES.nodes.items() if node.is_leaf)
MOVED = st.none() | st.integers(1_000, 100_000)
PLACES = st.tuples(st.sampled_from([None, "wan", "lan"]), st.sampled_from(["h1", "h2"]))


@st.composite
def crowds(draw: st.DrawFn) -> list[Member]:
    paths = draw(st.lists(st.sampled_from(LEAVES), min_size=1, max_size=9))
    return [
        Member(number, f"v{number}", path, *draw(PLACES), scaled=Scaled(draw(MOVED), draw(MOVED)))
        for number, path in enumerate(paths, start=1)
    ]


def guarantees(members: list[Member]) -> dict[tuple[int, Direction], int]:
    return {(one.number, way): one.bandwidth(POLICIES, way).guarantee_kbps for one in members for way in Direction}


def as_written(members: list[Member]) -> list[Member]:
    return [replace(one, scaled=UNSCALED) for one in members]


@SLOW
@given(crowds())
def test_what_is_in_force_is_never_more_than_admission_allows(members: list[Member]) -> None:
    """Where what is written already is more than there is, it is no more than that."""
    found = fitted(POLICIES, members)
    allowed = {(one.subject, one.direction): one.excess_kbps for one in overcommitted(POLICIES, as_written(members))}
    for breach in overcommitted(POLICIES, found):
        assert breach.excess_kbps <= allowed.get((breach.subject, breach.direction), 0), breach


@SLOW
@given(crowds())
def test_what_is_written_holds_and_nobody_gets_more_than_he_wants(members: list[Member]) -> None:
    wanted, found, written = (guarantees(own) for own in (members, fitted(POLICIES, members), as_written(members)))
    for one, kbps in found.items():
        assert min(wanted[one], written[one]) <= kbps <= wanted[one]


@SLOW
@given(crowds())
def test_nothing_is_left_that_somebody_wants(members: list[Member]) -> None:
    """Whose guarantee was cut could not have more than rounding took: less than 1 kbit/s from each."""
    found, wanted = fitted(POLICIES, members), guarantees(members)
    for (number, way), kbps in guarantees(found).items():
        more_kbps = kbps + len(members) + 1
        if more_kbps > wanted[number, way]:
            continue
        more = [
            replace(one, scaled=one.scaled.with_guarantee(way, more_kbps)) if one.number == number else one
            for one in found
        ]
        assert overcommitted(POLICIES, more)


@SLOW
@given(crowds(), st.randoms(use_true_random=False))
def test_neither_order_nor_a_second_look_changes_anything(members: list[Member], random) -> None:
    found = fitted(POLICIES, members)
    assert fitted(POLICIES, found) == found
    shuffled = fitted(POLICIES, random.sample(members, len(members)))
    assert sorted(shuffled, key=lambda one: one.number) == found


@SLOW
@given(crowds())
def test_equals_have_equally_much(members: list[Member]) -> None:
    twin = replace(members[0], number=99, name="twin")
    found = guarantees(fitted(POLICIES, [*members, twin]))
    for way in Direction:
        assert found[members[0].number, way] == found[99, way]


@SLOW
@given(crowds())
def test_admission_counts_what_is_written_alone(members: list[Member]) -> None:
    assert breaches(POLICIES, members) == breaches(POLICIES, as_written(members))
