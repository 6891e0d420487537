from __future__ import annotations

from dataclasses import replace
from ipaddress import IPv4Address, IPv6Address

import pytest

from controller.world.identities import identities_of, in_force, next_expiry_s, own_addresses
from ovsdb.rows import UserBinding
from policies.identity import Party
from policies.parser import parse
from tests.unit.intent.worlds import FILES, vif, world

STAYS = UserBinding("alice", "web1", "", 0.0)
ENDS = UserBinding("bob", "", "10.0.0.9", 0.0, 20.0)
ENDS_LATER = UserBinding("bob", "", "fd00::9", 0.0, 30.0)
POLICIES = parse(FILES)
AHEAD = UserBinding("carol", "gone", "", 0.0)
WORLD = replace(
    world(vif("web1", 2, labels={"user": "vera", "app": "pay"}), vif("web2", 3, chassis=None)),
    bindings=(STAYS, ENDS, ENDS_LATER, AHEAD),
)


def test_parties_have_their_users_and_all_their_addresses() -> None:
    parties = identities_of(WORLD, POLICIES, 10.0).parties
    assert parties == {
        "web1": Party(
            "web1", 2, "acme/web", "lab", frozenset({IPv4Address("10.30.0.2"), IPv6Address("fe80::ff:fe00:2")}),
            frozenset({"alice", "vera"}), (("app", "pay"), ("user", "vera")),
        ),
        "web2": Party(
            "web2", 3, "acme/web", "lab", frozenset({IPv4Address("10.30.0.3"), IPv6Address("fe80::ff:fe00:3")}),
        ),
    }  # fmt: skip


@pytest.mark.parametrize(
    ("now_s", "addresses", "following_s"),
    [(19.9, {"10.0.0.9", "fd00::9"}, 20.0), (20.0, {"fd00::9"}, 30.0), (30.0, set(), None)],
)
def test_a_binding_holds_before_it_expires_and_not_from_then_on(
    now_s: float, addresses: set[str], following_s: float | None
) -> None:
    found = identities_of(WORLD, POLICIES, now_s).addresses.get("bob", frozenset())
    assert {str(address) for address in found} == addresses
    assert next_expiry_s(WORLD.bindings, now_s) == following_s
    assert STAYS in in_force(WORLD.bindings, now_s)


@pytest.mark.parametrize(("segment", "counts"), [("office", True), ("lab", False), ("nosuch", False)])
def test_what_a_vif_was_told_outside_is_its_own_only_where_it_may_be_told(segment: str, counts: bool) -> None:
    told = IPv4Address("203.0.113.5")
    one = vif("web1", 2, segment=segment, addresses=(), learned=(f"{told}/24",))
    assert (told in identities_of(world(one), POLICIES, 10.0).parties["web1"].addresses) is counts
    assert own_addresses(one, POLICIES.segments.get(segment)) == (one.learned if counts else ())
