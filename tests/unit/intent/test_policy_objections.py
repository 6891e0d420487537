from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from controller.intent.errors import Rejected
from controller.intent.numbering import named, renumber
from controller.intent.policy import check
from ovsdb.rows import Chassis
from policies.errors import PolicyErrors
from policies.model import Node, PolicySet, Position, Segment, SegmentType
from policies.parser import parse
from tests.unit.intent.worlds import FILES, POLICY, vif, world

AT = Position("p.yaml", 1, 1)


def changed(old: str, new: str) -> dict[str, str]:
    assert old in POLICY
    return {"policy.yaml": POLICY.replace(old, new)}


def test_what_is_right_passes_with_and_without_vifs() -> None:
    assert check(FILES) == check(FILES, world(vif("a", 2))) == parse(FILES)


def test_faults_of_the_text_come_first() -> None:
    with pytest.raises(PolicyErrors):
        check({"p.yaml": "weir: 2"}, world())


@pytest.mark.parametrize(
    ("files", "words"),
    [
        (
            changed("      web: {egress", "      www: {egress"),
            "policy 'acme/web' is not there any more, but VIFs a, b use it. "
            "Keep it, or delete them first: weir vif delete a b.",
        ),
        (
            changed("ingress: {limit: 40 mbit}}", "ingress: {limit: 40 mbit}, children: {x: {}}}"),
            "policy 'acme/web' gets nodes below it and so takes no VIFs, but VIFs a, b use it.",
        ),
        (
            changed("  lab: {type: internal", "  lap: {type: internal"),
            "segment 'lab' is not there any more, but VIFs a, b use it.",
        ),
        (
            changed("10.30.0.0/24", "10.31.0.0/24"),
            "segment 'lab': addresses of VIFs a, b are not in its subnets 10.31.0.0/24, fd00:30::/64.",
        ),
        (changed("10.30.0.0/24", "10.30.0.0/23"), "are not in its subnets 10.30.0.0/23, fd00:30::/64"),
        (
            changed("egress: {guarantee: 50 mbit}", "egress: {guarantee: 30 mbit}"),
            "policy 'acme': the egress guarantees below it come to 40 mbit",
        ),
    ],
)
def test_what_vifs_need_must_stay(files: dict[str, str], words: str) -> None:
    with pytest.raises(Rejected) as rejected:
        check(files, world(vif("a", 2), vif("b", 3)))
    (line,) = rejected.value.lines
    assert words in line
    check(files, world())


def test_many_names_are_counted() -> None:
    vifs = [vif(f"v{number}", number, policy="free") for number in range(2, 42)]
    with pytest.raises(Rejected, match="VIFs v10, v11, v12, v13, v14, v15, v16, v17 and 32 more use it"):
        check(changed("  free: {}\n", ""), world(*vifs))


def test_what_was_broken_before_does_not_stop_a_change() -> None:
    over = world(vif("a", 2), vif("b", 3), vif("c", 4))
    check(changed("  free: {}\n", "  free: {unmatched: allow}\n"), over)


def test_a_segment_of_vifs_is_not_moved_to_an_uplink_that_their_host_does_not_have() -> None:
    hosts = {
        "h1": Chassis("h1", "b", uplink_ports={"eth1": 1}, agent_cfg=5),
        "h2": Chassis("h2", "b", uplink_ports={"eth2": 1}, agent_cfg=5),
        "h3": Chassis("h3", "b"),
    }
    out = [
        vif(name, number, policy="free", segment="office", addresses=("192.0.2.7/25",), chassis=host)
        for number, (name, host) in enumerate({"a": "h1", "b": "h1", "c": "h2", "d": "h3", "e": None}.items(), 1)
    ]
    inside = replace(world(*out), chassis=hosts)
    check(FILES, inside)  # c is cut off already, and stays so
    with pytest.raises(Rejected) as rejected:
        check(changed("uplink: eth1}", "uplink: eth2}"), inside)
    (line,) = rejected.value.lines
    assert line.startswith("VIFs a, b: segment 'office' leaves by uplink 'eth2', which host 'h1' does not have")
    check(changed("uplink: eth1}", "uplink: eth2}"), replace(world(), chassis=hosts))


sets = st.builds(
    lambda segments, nodes: PolicySet(
        {name: Segment(name, SegmentType.INTERNAL, AT) for name in segments},
        {},
        {path: Node(path, AT) for path in nodes},
    ),
    st.sets(st.sampled_from("abcde")),
    st.sets(st.sampled_from("abcde")),
)


@settings(max_examples=60)
@given(st.lists(sets, max_size=8))
def test_a_number_is_kept_while_it_is_named_and_never_given_again(path: list[PolicySet]) -> None:
    numbers: dict[tuple[str, str], int] = {}
    following: dict[str, int] = {}
    seen: set[tuple[str, int]] = set()
    for policies in path:
        after, following = renumber(policies, numbers, following)
        assert set(after) == set(named(policies))
        for (kind, key), number in after.items():
            if (kind, key) in numbers:
                assert numbers[kind, key] == number
            else:
                assert (kind, number) not in seen
                seen.add((kind, number))
        numbers = after
    assert renumber(path[-1] if path else PolicySet(), numbers, following) == (numbers, following)


def test_numbers_of_nodes_go_round_and_skip_those_in_use() -> None:
    policies = parse({"p.yaml": "weir: 1\npolicies: {a: {}, b: {}, c: {}}\n"})
    after, following = renumber(policies, {("node", "a"): 1}, {"node": 16381})
    assert {key: number for (_, key), number in after.items()} == {"a": 1, "b": 16381, "c": 2}
    assert following["node"] == 3


def test_a_rule_number_beyond_what_a_cookie_holds_is_replaced_and_the_circle_closes() -> None:
    rules = "{rules: [allow: {name: x}, allow: {name: y}, allow: {name: z}]}"
    policies = parse({"p.yaml": f"weir: 1\npolicies: {{a: {rules}}}\n"})
    x, y, z = (rule.identity for rule in policies.nodes["a"].rules)
    numbers = {("rule", x): 1 << 24, ("rule", y): (1 << 24) - 2}
    after, following = renumber(policies, numbers, {"rule": (1 << 24) - 2})
    assert [after["rule", identity] for identity in (x, y, z)] == [(1 << 24) - 1, (1 << 24) - 2, 1]
    assert following["rule"] == 2
