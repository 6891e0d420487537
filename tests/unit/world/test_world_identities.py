from __future__ import annotations

from dataclasses import replace
from ipaddress import IPv4Address, IPv6Address

import pytest

from controller.world.identities import identities_of, in_force, next_expiry_s
from ovsdb.rows import UserBinding
from policies.identity import Party
from tests.unit.intent.worlds import vif, world

STAYS = UserBinding("alice", "web1", "", 0.0)
ENDS = UserBinding("bob", "", "10.0.0.9", 0.0, 20.0)
ENDS_LATER = UserBinding("bob", "", "fd00::9", 0.0, 30.0)
AHEAD = UserBinding("carol", "gone", "", 0.0)
WORLD = replace(
    world(vif("web1", 2, labels={"user": "vera", "app": "pay"}), vif("web2", 3, chassis=None)),
    bindings=(STAYS, ENDS, ENDS_LATER, AHEAD),
)


def test_parties_have_their_users_and_all_their_addresses() -> None:
    parties = identities_of(WORLD, 10.0).parties
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
    found = identities_of(WORLD, now_s).addresses.get("bob", frozenset())
    assert {str(address) for address in found} == addresses
    assert next_expiry_s(WORLD.bindings, now_s) == following_s
    assert STAYS in in_force(WORLD.bindings, now_s)
