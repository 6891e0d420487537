"""Who is meant by `from` and `to`: a VIF's own side and the other side."""

from __future__ import annotations

from dataclasses import replace

import pytest

from policies.identity import Identities, Party
from policies.model import Direction, Endpoint, PolicySet
from policies.parser import parse
from policies.semantics import judge
from tests.support.parties_and_packets import IN, OUT, identities, party, tcp

TEXT = """
weir: 1
segments:
  lab: {{type: internal, subnets: [10.0.0.0/24, 'fd00::/64']}}
  other: {{type: internal, subnets: [10.9.0.0/24]}}
groups: {{staff: [alice, bob], away: [zoe]}}
policies:
  t: {{rules: [allow: {{{direction}, {side}: {endpoint}}}]}}
  acme: {{children: {{web: {{}}, webs: {{}}}}}}
"""
ME = party("me", "t", "10.0.0.1", "fd00::1", "fe80::1", users=["alice"], app="web", role="front")
PAIR = party("pair", "acme/web", "10.0.0.2", "fd00::2", "fe80::2", users=["bob"], app="db", role="back")
TWIN = party("twin", "acme/webs", "10.0.0.2", "10.0.0.4", app="web", role="front")  # shares an address with PAIR
ALL = identities(ME, PAIR, TWIN, carol="203.0.113.7", alice="10.0.0.1")
NOBODY = identities(ME, PAIR, TWIN)


def policies(direction: str, side: str, endpoint: str) -> PolicySet:
    return parse({"p": TEXT.format(direction=f"direction: {direction}", side=side, endpoint=endpoint)})


def sends(endpoint: str, to: str, who: Identities = ALL, source: str = "10.0.0.1") -> bool:
    """Whether a rule `to: endpoint` matches what ME sends there."""
    return judge(policies("egress", "to", endpoint), who, ME, OUT, tcp(source, to)).allows


def is_me(endpoint: str, direction: Direction, address: str, me: Party = ME, who: Identities = ALL) -> bool:
    """Whether a rule that narrows its own side by the endpoint matches at ME."""
    other = "10.0.0.2" if "." in address else "fd00::2"
    if direction is OUT:
        return judge(policies("egress", "from", endpoint), who, me, OUT, tcp(address, other)).allows
    return judge(policies("ingress", "to", endpoint), who, me, IN, tcp(other, address)).allows


@pytest.mark.parametrize("direction", Direction)
@pytest.mark.parametrize(
    ("endpoint", "holds"),
    [
        ("10.0.0.1", True),
        ("10.0.0.2", False),
        ("[10.0.0.2, 10.0.0.0/31]", True),
        ("{cidr: 10.0.0.0/24}", True),
        ("{user: alice}", True),
        ("{user: bob}", False),
        ("{user: nobody}", False),
        ("{group: staff}", True),
        ("{group: away}", False),
        ("{app: web}", True),
        ("{app: db}", False),
        ("{policy: t}", True),
        ("{policy: acme}", False),
        ("{vif: me}", True),
        ("{vif: pair}", False),
        ("{segment: lab}", True),
        ("{segment: other}", False),
        ("{label: {role: front}}", True),
        ("{label: {role: front, app: web}}", True),
        ("{label: {role: front, app: db}}", False),
        ("{label: {role: front}, app: web, user: alice, vif: me, policy: t, segment: lab, cidr: 10.0.0.1}", True),
        ("{label: {role: front}, cidr: 10.0.0.2}", False),
        ("[{vif: pair}, {user: alice}]", True),
        ("any", True),
    ],
)
def test_on_its_own_side_it_narrows_the_vif_and_its_address(direction: Direction, endpoint: str, holds: bool) -> None:
    assert is_me(endpoint, direction, "10.0.0.1") == holds


def test_the_own_address_is_that_of_the_packet() -> None:
    assert is_me("10.0.0.1", OUT, "10.0.0.1")
    assert not is_me("10.0.0.1", OUT, "fd00::1")
    assert is_me("{cidr: 'fe80::/10', vif: me}", OUT, "fe80::1")


def test_the_own_side_is_in_the_segment_of_the_vif_whatever_its_address() -> None:
    assert is_me("{segment: lab}", IN, "203.0.113.1")
    assert not is_me("{segment: other}", IN, "10.9.0.1")


def test_a_user_bound_to_the_address_is_at_the_vif_for_what_has_that_address() -> None:
    me = party("me", "t", "10.0.0.1", "fd00::1")
    bound = identities(me, alice="10.0.0.1")
    assert is_me("{user: alice}", OUT, "10.0.0.1", me, bound)
    assert not is_me("{user: alice}", OUT, "fd00::1", me, bound)
    assert is_me("{group: staff}", OUT, "10.0.0.1", me, bound)
    assert is_me("{user: alice, vif: me}", OUT, "10.0.0.1", me, bound)


@pytest.mark.parametrize(
    ("endpoint", "to", "holds"),
    [
        ("10.0.0.0/24", "10.0.0.2", True),
        ("10.0.1.0/24", "10.0.0.2", False),
        ("{user: bob}", "10.0.0.2", True),
        ("{user: bob}", "fd00::2", True),
        ("{user: bob}", "fe80::2", True),  # the address that it gave itself
        ("{user: bob}", "10.0.0.3", False),
        ("{user: carol}", "203.0.113.7", True),  # bound to an address of no VIF
        ("{user: carol}", "10.0.0.2", False),
        ("{group: staff}", "10.0.0.2", True),
        ("{group: away}", "10.0.0.2", False),
        ("{app: db}", "fd00::2", True),
        ("{app: shop}", "fd00::2", False),
        ("{policy: acme}", "10.0.0.2", True),
        ("{policy: acme/web}", "fd00::2", True),
        ("{policy: acme/webs}", "10.0.0.4", True),
        ("{policy: acme/web}", "10.0.0.4", False),  # the beginning of its text, but not of its path
        ("{policy: acme/web}", "10.0.0.1", False),
        ("{vif: pair}", "fe80::2", True),
        ("{vif: me}", "10.0.0.1", True),  # the judging VIF is one of them
        ("{vif: unknown}", "10.0.0.2", False),
        ("{label: {role: back}}", "10.0.0.2", True),
        ("{label: {role: back, app: db}}", "10.0.0.2", True),
        ("{segment: lab}", "fe80::2", True),  # by its VIF
        ("{segment: lab}", "10.0.0.77", True),  # by its subnet
        ("{segment: lab}", "203.0.113.7", False),
        ("{segment: other}", "10.0.0.2", False),
        ("{segment: other}", "10.9.0.2", True),
        ("{cidr: 10.0.0.2, app: db}", "10.0.0.2", True),
        ("{cidr: 10.0.0.2, app: db}", "fd00::2", False),
    ],
)
def test_on_the_other_side_it_names_addresses(endpoint: str, to: str, holds: bool) -> None:
    assert sends(endpoint, to) == holds
    source = judge(policies("ingress", "from", endpoint), ALL, ME, IN, tcp(to, "10.0.0.1"))
    assert source.allows == holds


def test_all_that_is_said_of_a_vif_must_hold_of_one_vif() -> None:
    assert sends("{app: db, label: {role: back}}", "10.0.0.2")
    assert sends("{app: web, label: {role: front}}", "10.0.0.2")  # of its twin
    assert not sends("{app: db, label: {role: front}}", "10.0.0.2")
    assert not sends("{vif: pair, policy: acme/webs}", "10.0.0.2")
    assert not sends("{user: bob, vif: twin}", "10.0.0.2")


def test_a_user_at_the_address_is_as_good_as_one_at_the_vif() -> None:
    here = identities(PAIR, TWIN, carol="10.0.0.2", alice="10.0.0.9")
    assert sends("{user: carol, vif: twin}", "10.0.0.2", here)
    assert sends("{user: carol, app: db, label: {role: back}}", "10.0.0.2", here)
    assert not sends("{user: carol, vif: twin}", "fd00::2", here)
    assert not sends("{user: alice, vif: twin}", "10.0.0.9", here)  # there is no VIF
    assert sends("{user: alice, group: staff}", "10.0.0.9", here)
    assert sends("{user: alice, segment: lab}", "10.0.0.9", here)
    assert not sends("{user: alice, segment: other}", "10.0.0.9", here)


def test_a_segment_and_more_are_of_one_vif_or_the_address_is_in_its_subnet() -> None:
    elsewhere = Party("far", 9, "t", "other", frozenset(PAIR.addresses), labels=(("app", "far"),))
    who = identities(PAIR, elsewhere)
    assert sends("{app: far, segment: other}", "fe80::2", who)
    assert not sends("{app: db, segment: other}", "fe80::2", who)
    assert sends("{app: far, segment: lab}", "10.0.0.2", who)  # by the subnet
    assert not sends("{app: far, segment: lab}", "fe80::2", who)


def test_users_come_and_go_with_their_bindings() -> None:
    assert sends("{user: carol}", "203.0.113.7")
    assert not sends("{user: carol}", "203.0.113.7", NOBODY)
    assert not is_me("{user: carol}", OUT, "10.0.0.1", who=NOBODY)


def test_both_sides_must_hold() -> None:
    text = "weir: 1\npolicies: {t: {rules: [allow: {direction: ingress, from: {app: db}, to: {label: {role: front}}}]}}"
    both = parse({"p": text})
    assert judge(both, ALL, ME, IN, tcp("10.0.0.2", "10.0.0.1")).allows
    assert not judge(both, ALL, ME, IN, tcp("10.0.0.3", "10.0.0.1")).allows
    assert not judge(both, ALL, replace(PAIR, policy="t"), IN, tcp("10.0.0.2", "10.0.0.1")).allows


Endpoints = tuple[Endpoint, ...] | None


def with_endpoints(sources: Endpoints = None, destinations: Endpoints = None) -> PolicySet:
    node = parse({"p": "weir: 1\npolicies: {t: {rules: [allow: {}]}}"}).nodes["t"]
    rule = replace(node.rules[0], sources=sources, destinations=destinations)
    return PolicySet(nodes={"t": replace(node, rules=(rule,))})


def test_no_endpoint_at_all_is_nobody() -> None:
    for nobody in (with_endpoints(sources=()), with_endpoints(destinations=())):
        assert not judge(nobody, ALL, ME, OUT, tcp("10.0.0.1", "10.0.0.2")).allows


def test_a_group_that_nobody_defined() -> None:
    with pytest.raises(KeyError):
        judge(with_endpoints(sources=(Endpoint(group="ghosts"),)), ALL, ME, OUT, tcp("10.0.0.1", "10.0.0.2"))
