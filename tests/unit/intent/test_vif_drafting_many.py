"""Many requests together: those that cannot be do not stand in the way of the others; addresses that are not free."""

from __future__ import annotations

import time
from dataclasses import replace

import pytest

from controller.intent.errors import Rejected
from controller.intent.vif_checks import VifRequest
from controller.intent.vif_drafting import Draft, draft, draft_each, said
from ovsdb.rows import Snapshot
from policies.own_numbers import Own
from policies.parser import parse
from tests.unit.intent.worlds import FILES, POLICY, vif, world

LAB = VifRequest("n", "free", "lab")


def each(requests: list[VifRequest], snapshot: Snapshot | None = None) -> Draft:
    snapshot = snapshot if snapshot is not None else world()
    return draft_each(requests, snapshot, parse(snapshot.files), "abcdef")


def numbered(count: int, **changes: object) -> list[VifRequest]:
    return [replace(LAB, name=f"n{number}", **changes) for number in range(1, count + 1)]


def test_what_is_wrong_with_one_is_not_with_the_others() -> None:
    requests = [*numbered(2), replace(LAB, name="a b"), replace(LAB, name="n1"), replace(LAB, name="z", policy="fre")]
    made = each(requests)
    assert [one.name for one in made.vifs] == ["n1", "n2"]
    assert [name for name, _ in made.faults] == ["a b", "n1", "z"]
    assert made.next_number == 3


def test_the_same_fault_is_said_once() -> None:
    made = each(numbered(12, policy="fre"))
    assert made.vifs == ()
    (line,) = said(made.faults)
    assert line.startswith("VIFs 'n1', 'n2', 'n3', 'n4', 'n5', 'n6', 'n7', 'n8' and 4 more: there is no policy 'fre'.")


def test_a_full_subnet_takes_as_many_as_fit() -> None:
    tiny = {"p.yaml": POLICY.replace("10.30.0.0/24, 'fd00:30::/64'", "10.30.0.0/29")}
    made = each(numbered(9), world(files=tiny))
    assert len(made.vifs) == 5
    assert {text for _, text in made.faults} == {
        "subnet 10.30.0.0/29 of segment 'lab' has no free address left. "
        "Delete VIFs that are not needed, or give the segment a larger subnet."
    }


def test_guarantees_are_given_as_far_as_they_go_and_others_go_on() -> None:
    requests = [*numbered(4, policy="acme/web"), replace(LAB, name="free"), replace(LAB, name="db", policy="acme/db")]
    made = each(requests)
    assert [one.name for one in made.vifs] == ["n1", "n2", "free", "db"]
    assert [name for name, _ in made.faults] == ["n3", "n4"]
    assert "policy 'acme': the egress guarantees below it come to 60 mbit" in made.faults[0][1]
    smaller = [replace(one, egress=Own(5_000)) if one.name == "n4" else one for one in requests]
    assert [one.name for one in each(smaller[:4]).vifs] == ["n1", "n2", "n4"]


def test_a_thousand_that_cannot_all_be_cost_little() -> None:
    wide = {"p.yaml": FILES["policy.yaml"].replace("10.30.0.0/24", "10.30.0.0/16")}
    before_s = time.perf_counter()
    made = each(numbered(1000, policy="acme/web"), world(files=wide))
    assert len(made.vifs) == 2 and len(made.faults) == 998
    assert time.perf_counter() - before_s < 20


ROUTED = """\
weir: 1
segments:
  front: {type: routed, subnets: [10.20.0.0/29], gateway: [10.20.0.2]}
  back:  {type: routed, subnets: [10.21.0.0/29]}
  alone: {type: internal}
policies: {free: {}}
"""


def routed(request: VifRequest, *vifs: object) -> tuple[str, ...]:
    snapshot = world(*vifs, files={"p.yaml": ROUTED})
    return draft([request], snapshot, parse(snapshot.files), "abcdef").vifs[0].addresses


def test_a_gateway_is_nobodys_address() -> None:
    assert routed(replace(LAB, segment="front")) == ("10.20.0.1/29",)
    one = vif("a", 1, segment="front", policy="free", addresses=("10.20.0.1/29",))
    assert routed(replace(LAB, segment="front"), one) == ("10.20.0.3/29",)
    assert routed(replace(LAB, segment="back")) == ("10.21.0.2/29",)
    for segment, address, owner in (
        ("front", "10.20.0.2", "the gateway on segment 'front'"),
        ("back", "10.21.0.1", "the gateway on segment 'back'"),
    ):
        with pytest.raises(Rejected, match=f"address {address} is that of {owner}. Choose another."):
            routed(replace(LAB, segment=segment, addresses=(address,)))


def test_what_one_got_from_outside_is_taken() -> None:
    snapshot = world(vif("a", 1, segment="office", policy="free", addresses=(), learned=("192.0.2.9/24",)))
    request = replace(LAB, segment="office", addresses=("192.0.2.9/24",))
    with pytest.raises(Rejected, match=r"address 192\.0\.2\.9 is that of VIF 'a' on segment 'office'"):
        draft([request], snapshot, parse(snapshot.files), "abcdef")


def test_where_there_are_no_subnets_addresses_come_from_outside_or_must_be_said() -> None:
    snapshot = world()
    assert draft([replace(LAB, segment="office")], snapshot, parse(snapshot.files), "abcdef").vifs[0].addresses == ()
    with pytest.raises(Rejected, match=r"no uplink by which one could come\. Say its address: --ip 192\.0\.2\.5/24\."):
        routed(replace(LAB, segment="alone"))


def test_one_vf_is_given_once() -> None:
    taken = vif("a", 1, kind="vf", policy="free", options={"device": "0000:03:00.0", "vf": "3"})
    request = replace(LAB, kind="vf", options={"device": "03:00.0", "vf": "3"})
    with pytest.raises(Rejected, match=r"VF 3 of 03:00\.0 is that of VIF 'a'"):
        draft([request], world(taken), parse(FILES), "abcdef")
    other = draft([replace(request, options={"device": "03:00.0", "vf": "4"})], world(taken), parse(FILES), "abcdef")
    assert other.vifs[0].options == {"device": "0000:03:00.0", "vf": "4"}
