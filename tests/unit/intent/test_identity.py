from __future__ import annotations

from dataclasses import replace

import pytest

from controller.intent.errors import Rejected
from controller.intent.identity import BindRequest, Presence, drafted, found, listing
from ovsdb.rows import UserBinding
from tests.unit.intent.worlds import vif, world

NOW_S = 1000.0
ALICE = UserBinding("alice", "web1", "", 900.0, 1000.5, "root")
BOB = UserBinding("bob", "", "fd00::5", 900.0)
LATE = UserBinding("late", "web1", "", 900.0, NOW_S)
WORLD = replace(world(vif("web1", 2), vif("web2", 3, labels={"user": "vera"})), bindings=(ALICE, BOB, LATE))


def test_what_is_asked_for_is_bound_in_one_form() -> None:
    requests = [BindRequest("alice", "web2", ttl_s=60), BindRequest("DOM\\bob@x.example", address="FD00::0:5")]
    assert drafted(requests, WORLD, NOW_S, "ann") == [
        UserBinding("alice", "web2", "", NOW_S, NOW_S + 60, "ann"),
        UserBinding("DOM\\bob@x.example", "", "fd00::5", NOW_S, None, "ann"),
    ]


@pytest.mark.parametrize(
    ("request_", "words"),
    [
        (BindRequest("", "web1"), "'' is no name of a user."),
        (BindRequest("a\tb", "web1"), "Use 1 to 255 printable characters."),
        (BindRequest("a\nb", "web1"), "is no name of a user."),
        (BindRequest("a\u00a0b", "web1"), "is no name of a user."),
        (BindRequest("x" * 256, "web1"), "is no name of a user."),
        (BindRequest("alice"), "it names neither a VIF nor an address. Name one of them."),
        (BindRequest("alice", "web1", "10.0.0.1"), "it names a VIF and an address. Name one of them."),
        (BindRequest("alice", "wbe1"), "there is no VIF 'wbe1'. Did you mean 'web1'?"),
        (BindRequest("alice", "zzz"), "there is no VIF 'zzz'. See weir vif list."),
        (BindRequest("alice", ""), "there is no VIF ''."),
        (BindRequest("alice", address="ten"), "'ten' is not an IP address."),
        (BindRequest("alice", address=""), "'' is not an IP address."),
        (BindRequest("alice", address="10.0.0.1/24"), "Write one without a prefix length, as in 10.0.0.1."),
        (BindRequest("alice", address="fe80::1%eth0"), "is not the address of one host."),
        (BindRequest("alice", address="224.0.0.1"), "is not the address of one host."),
        (BindRequest("alice", address="::"), "is not the address of one host."),
        (BindRequest("alice", address="255.255.255.255"), "is not the address of one host."),
        (BindRequest("alice", address="::ffff:10.0.0.2"), "which no packet carries. Write 10.0.0.2."),
        (BindRequest("alice", address="::ffff:127.0.0.1"), "which no packet carries. Write the address that others"),
        (BindRequest("alice", address="127.0.0.1"), "'127.0.0.1' is a loopback address"),
        (BindRequest("alice", address="::1"), "'::1' is a loopback address"),
        (BindRequest("alice", "web1", ttl_s=0.0), "a binding of 0 s never holds."),
        (BindRequest("alice", "web1", ttl_s=-1.0), "a binding of -1 s never holds."),
        (BindRequest("alice", "web1", ttl_s=float("inf")), "a binding of inf s never holds."),
    ],
)
def test_what_cannot_be_is_said_in_one_line_with_a_remedy(request_: BindRequest, words: str) -> None:
    with pytest.raises(Rejected) as rejected:
        drafted([request_], WORLD, NOW_S, "ann")
    (line,) = rejected.value.lines
    assert words in line
    assert line.startswith("user '") and line.endswith((".", "?")) and "\n" not in line


def test_faults_of_all_requests_are_told_at_once_and_where_they_stand() -> None:
    requests = [
        BindRequest("alice", "web1", where="f.yaml:1:3: [0]"),
        BindRequest("alice", "web1", where="f.yaml:2:3: [1]"),
        BindRequest("a\tb", address="x", where="f.yaml:3:3: [2]"),
    ]
    with pytest.raises(Rejected) as rejected:
        drafted(requests, WORLD, NOW_S, "ann")
    assert rejected.value.lines[0] == "f.yaml:2:3: [1]: the same is asked for twice. Remove one of them."
    assert [line[:16] for line in rejected.value.lines[1:]] == ["f.yaml:3:3: [2]:"] * 2


def test_bindings_of_a_user_are_found_where_they_hold() -> None:
    other = replace(ALICE, vif="web2", expires_at_s=None)
    everywhere = replace(WORLD, bindings=(ALICE, other, BOB, LATE))
    assert found(everywhere, NOW_S, "alice") == [ALICE, other]
    assert found(everywhere, NOW_S, "alice", vif="web2") == [other]
    assert found(everywhere, NOW_S, "bob", address="FD00:0::5") == [BOB]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("alicia",), "user 'alicia' is not bound. Did you mean 'alice'?"),
        (("zoe",), "user 'zoe' is not bound. See weir identity list."),
        (("late",), "user 'late' is not bound."),
        (("vera",), "It is the label 'user' of VIF 'web2', and stays as long as the VIF has that."),
        (("alice", "web2"), "user 'alice' is not bound to VIF 'web2'. Did you mean 'web1'?"),
        (("bob", "web1"), "user 'bob' is not bound to VIF 'web1'. It is bound to address fd00::5."),
        (("alice", None, "10.0.0.1"), "user 'alice' is not bound to address 10.0.0.1. It is bound to VIF 'web1'."),
        (("bob", None, "fd00::6"), "Did you mean 'fd00::5'?"),
        (("bob", None, "ten"), "user 'bob': 'ten' is not an IP address."),
        (("bob", "web1", "10.0.0.1"), "user 'bob': it names a VIF and an address."),
    ],
)
def test_what_is_not_bound_is_said_with_the_nearest(arguments: tuple[str, ...], words: str) -> None:
    with pytest.raises(Rejected) as rejected:
        found(WORLD, NOW_S, *arguments)
    (line,) = rejected.value.lines
    assert words in line


def test_the_list_holds_what_is_bound_and_labelled_now() -> None:
    assert listing(WORLD, NOW_S) == [
        Presence("alice", "web1", None, "root", 900.0, 1000.5),
        Presence("bob", None, "fd00::5", "", 900.0),
        Presence("vera", "web2", None, "label"),
    ]
