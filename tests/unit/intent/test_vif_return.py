"""What was changed and did not come into force goes back to what it was, but never to what others have by then."""

from __future__ import annotations

from dataclasses import replace

import pytest

from controller.intent.vif_return import returning
from ovsdb.rows import Snapshot, VirtualInterface
from tests.unit.intent.worlds import FILES, POLICY, vif, world

A = vif("a", 2, binding={"netns": "red"}, state="ready", cfg=4)
B = vif("b", 3, policy="free", cfg=4)
BEFORE = world(A, B)


def with_others(snapshot: Snapshot, *vifs: VirtualInterface) -> Snapshot:
    return replace(snapshot, interfaces={**snapshot.interfaces, **{one.name: one for one in vifs}})


def test_what_nobody_has_taken_comes_back_with_the_status_of_now() -> None:
    now = replace(A, addresses=("10.30.0.9/24",), policy="free", cfg=6, state="error", error="no")
    meanwhile = with_others(BEFORE, now, vif("c", 5, policy="free"))
    assert returning([A], BEFORE, meanwhile) == ([replace(A, cfg=6, state="error", error="no")], [])


@pytest.mark.parametrize(
    ("now", "other", "words"),
    [
        (
            replace(A, addresses=("10.30.0.9/24",)),
            vif("c", 5, policy="free", addresses=("10.30.0.2/24",)),
            "address 10.30.0.2 is that of VIF 'c' on segment 'lab'",
        ),
        (
            replace(A, addresses=("10.30.0.9/24",)),
            vif("c", 5, policy="free", learned=("10.30.0.2/24",)),
            "address 10.30.0.2 is that of VIF 'c' on segment 'lab'",
        ),
        (
            replace(A, segment="office", addresses=()),
            vif("c", 5, policy="free", addresses=("10.30.0.2/24",)),
            "address 10.30.0.2 is that of VIF 'c' on segment 'lab'",
        ),
        (
            replace(A, binding={"netns": "blue"}),
            vif("c", 5, policy="free", binding={"netns": "red"}),
            "VIF 'c' has the name eth0 there already",
        ),
        (
            replace(A, ifname="eth1"),
            vif("c", 5, policy="free", binding={"netns": "red"}),
            "VIF 'c' has the name eth0 there already",
        ),
        (
            replace(A, policy="free"),
            vif("c", 5, policy="acme/db", egress={"guarantee_kbps": 40_000}),
            "policy 'acme': the egress guarantees below it come to 60 mbit",
        ),
    ],
)
def test_what_others_have_taken_stays_theirs(now: VirtualInterface, other: VirtualInterface, words: str) -> None:
    kept, faults = returning([A, B], BEFORE, with_others(BEFORE, now, replace(B, labels={"k": "v"}), other))
    assert kept == [B]
    assert [name for name, _ in faults] == ["a"] and words in faults[0][1]


def test_one_that_cannot_go_back_keeps_what_it_has_now() -> None:
    """The others of the same change that had that before cannot go back either."""
    swapped = [replace(A, addresses=B.addresses), replace(B, addresses=A.addresses)]
    assert returning([A, B], BEFORE, with_others(BEFORE, *swapped)) == ([A, B], [])
    elsewhere = [replace(A, addresses=B.addresses), replace(B, addresses=("10.30.0.9/24",))]
    kept, faults = returning([A, B], BEFORE, with_others(BEFORE, *elsewhere, vif("c", 5, addresses=A.addresses)))
    assert kept == [] and [name for name, _ in faults] == ["a", "b"]
    assert "is that of VIF 'c'" in faults[0][1] and "is that of VIF 'a'" in faults[1][1]


@pytest.mark.parametrize(
    ("former", "text", "words"),
    [
        (A, POLICY.replace("      web: {", "      cache: {"), "there is no policy 'acme/web'"),
        (replace(B, segment="office", addresses=()), POLICY.replace("office: {type: bridged, uplink: eth1}", ""),
         "there is no segment 'office'"),
    ],
)  # fmt: skip
def test_what_has_gone_from_the_policy_is_said(former: VirtualInterface, text: str, words: str) -> None:
    now = replace(former, policy="free", segment="lab", addresses=("10.30.0.9/24",))
    kept, faults = returning([former], world(former), world(now, files={"policy.yaml": text}))
    assert kept == [] and words in faults[0][1]


def test_what_was_wrong_before_the_change_does_not_stand_against_it() -> None:
    others = [vif("c", 5), vif("d", 6), vif("e", 7, policy="free", addresses=(), learned=A.addresses)]
    broken = world(A, *others)  # 60 of 50, and an address that another one got from outside
    now = replace(A, policy="free", addresses=("10.30.0.9/24",))
    assert returning([A], broken, with_others(broken, now)) == ([A], [])
    more = with_others(broken, now, vif("f", 8, policy="acme/db"))
    assert returning([A], broken, more)[0] == []  # 70 of 50: by more than before


def test_what_is_as_wrong_with_it_as_it_is_does_not_either() -> None:
    now = replace(A, policy="free")
    gone = replace(world(now, files=FILES), chassis={})
    assert returning([A], BEFORE, gone) == ([A], [])
    taken = with_others(gone, replace(now, addresses=()), vif("c", 5, policy="free", addresses=A.addresses))
    kept, ((_, text),) = returning([A], BEFORE, taken)
    assert kept == [] and "is that of VIF 'c'" in text
