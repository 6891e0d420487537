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


@pytest.mark.parametrize(
    ("router", "words"),
    [
        ("front: {type: routed, subnets: [10.9.0.0/24], gateway: [10.9.0.50]}", "segment 'front': gateway 10.9.0.50"),
        (
            "edge: {type: routed, subnets: [10.8.0.0/24], uplink: eth1, vlan: 7, address: [192.0.2.7/24]}",
            "segment 'edge': address 192.0.2.7",
        ),
    ],
)
def test_the_router_must_not_come_to_have_an_address_of_a_vif(router: str, words: str) -> None:
    front = vif("web", 2, segment="front", addresses=("10.9.0.50/24",))
    guest = vif("guest", 3, segment="office", addresses=(), learned=("192.0.2.7/24",))
    files = {"p.yaml": POLICY.replace("  office:", f"  {router}\n  office:")}
    vifs = [front, guest] if "front" in router else [guest]
    with pytest.raises(Rejected) as rejected:
        check(files, world(*vifs))
    (line,) = rejected.value.lines
    assert line.startswith(f"{words} is an address of VIF {vifs[0].name}. Give the router another one, or delete")
    check({"p.yaml": files["p.yaml"].replace("50]", "51]").replace("192.0.2.7", "192.0.2.8")}, world(*vifs))


def test_a_vif_must_not_come_to_have_what_its_kind_cannot_keep() -> None:
    port = vif("a", 2, policy="free", kind="vhost-user")
    bare = vif("b", 3, policy="acme/db", kind="vf", options={"representor": "none"})
    tolerant = changed("      db:\n", "      db:\n        best-effort: true\n")
    rows = {"h1": Chassis("h1", "br-weir", capabilities={"egress_policer": "no: it has no policer"})}
    there = replace(world(port, bare, files=tolerant), chassis=rows)
    check(tolerant, there)
    limited = {name: text.replace("free: {}", "free: {ingress: {limit: 5 mbit}}") for name, text in tolerant.items()}
    with pytest.raises(Rejected) as rejected:
        check(limited, there)
    (line,) = rejected.value.lines
    at = parse(limited).nodes["free"].at
    assert line.startswith(
        f"VIF a: {at}: policies.free.ingress.limit: ingress limit cannot be kept for kind vhost-user: it has no "
        "policer. Use kind tap or veth for it"
    )
    assert line.endswith("to go on without. Keep it, or delete them first: weir vif delete a.")
    with pytest.raises(Rejected, match="VIF b: policy acme/db cannot be enforced on a VF without a representor"):
        check(FILES, there)
    check(limited, replace(there, files=limited))  # was so before
    moved = {name: f"# a line more\n{text}" for name, text in limited.items()}
    check(moved, replace(there, files=limited))


def test_numbers_of_a_vifs_own_must_stay_within_its_leafs() -> None:
    own = {"limit_kbps": 25_000, "guarantee_kbps": 10_000}
    inside = world(vif("a", 2, egress=own), vif("b", 3, egress=own), vif("c", 4, egress={"guarantee_kbps": 1000}))
    check(FILES, inside)
    with pytest.raises(Rejected) as rejected:
        check(changed("limit: 30 mbit", "limit: 20 mbit"), inside)
    (line,) = rejected.value.lines
    assert line.startswith("VIFs a, b: its own egress limit of 25 mbit is more than the 20 mbit of policy 'acme/web'.")
    assert line.endswith(" Or change them first: weir vif set.")
    beyond = world(vif("a", 2, egress={"limit_kbps": 99_000}))
    check(changed("  free: {}\n", "  free: {unmatched: allow}\n"), beyond)  # was so before


def test_a_guarantee_of_a_vifs_own_must_stay_where_autoscale_moves_it() -> None:
    own = world(vif("a", 2, egress={"guarantee_kbps": 10_000}), vif("b", 3))
    moves = "autoscale: {guarantee: {min: %s, max: 25 mbit}, up: 90 %% for 5 s, down: 40 %% for 30 s}"
    web = "      web: {egress: {guarantee: 20 mbit"
    check(changed(web, f"      web: {{{moves % '10 mbit'}, egress: {{guarantee: 20 mbit"), own)
    with pytest.raises(Rejected, match="VIF a: its own egress guarantee of 10 mbit is not within 15 mbit to 25 mbit"):
        check(changed(web, f"      web: {{{moves % '15 mbit'}, egress: {{guarantee: 20 mbit"), own)


def test_many_names_are_counted() -> None:
    vifs = [vif(f"v{number}", number, policy="free") for number in range(2, 42)]
    with pytest.raises(Rejected, match="VIFs v10, v11, v12, v13, v14, v15, v16, v17 and 32 more use it"):
        check(changed("  free: {}\n", ""), world(*vifs))


def test_what_was_broken_before_does_not_stop_a_change() -> None:
    over = world(vif("a", 2), vif("b", 3), vif("c", 4))
    check(changed("  free: {}\n", "  free: {unmatched: allow}\n"), over)


@pytest.mark.parametrize(
    ("guarantee", "is_worse"),
    [("20 mbit", False), ("19 mbit", False), ("21 mbit", True)],
    ids=["as before, on another line", "less", "more"],
)
def test_guarantees_that_are_more_than_there_is_may_be_lowered_and_not_raised(guarantee: str, is_worse: bool) -> None:
    over = world(vif("a", 2), vif("b", 3), vif("c", 4))
    text = changed("web: {egress: {guarantee: 20 mbit", f"web: {{egress: {{guarantee: {guarantee}")["policy.yaml"]
    files = {"policy.yaml": f"# a line more\n{text}"}
    if is_worse:
        with pytest.raises(Rejected, match="policy 'acme': the egress guarantees below it come to 63 mbit"):
            check(files, over)
    else:
        check(files, over)


@pytest.mark.parametrize(
    ("buffer", "is_worse"),
    [("100 kb", False), ("90 kb", False), ("110 kb", True)],
    ids=["as before, on another line", "less", "more"],
)
def test_a_send_buffer_that_is_short_holds_up_nothing_else(buffer: str, is_worse: bool) -> None:
    asking = POLICY.replace("      web: {", "      web: {buffer: 100 kb, ")
    host = Chassis("h1", "br-weir", capabilities={"send_buffer_bytes": "1000"})
    short = replace(world(vif("a", 2), files={"p.yaml": asking}), chassis={"h1": host})
    files = {"p.yaml": f"# a line more\n{asking.replace('100 kb', buffer)}"}
    if is_worse:
        with pytest.raises(Rejected, match=r"host 'h1': .*buffer: full queues may take"):
            check(files, short)
    else:
        check(files, short)


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
