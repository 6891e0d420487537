"""The commands that need no more than a Weir DB: who is where, and the policy's past."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

import weir as public
from controller.config import StateDir
from ovsdb.rows import Snapshot, VirtualInterface
from ovsdb.weir_db import Command, PolicyText, WeirDb
from tests.support.command_line import Weir
from tests.support.ovs_sandbox import WeirDbServer, short_dir, wait_until

POLICY = """\
weir: 1
segments: {lab: {type: internal, subnets: [10.30.0.0/24]}}
policies:
  acme:
    children:
      web: {unmatched: allow}
  free: {}
"""


@pytest.fixture
def db() -> Iterator[WeirDb]:
    """Of a state directory whose system is nothing but this: no host has to report for a change to be in force."""
    directory = StateDir(short_dir())
    directory.run.mkdir()
    try:
        with WeirDbServer(directory.run) as server, WeirDb(server.remote) as db:
            db.connect()
            yield db
    finally:
        shutil.rmtree(directory.path)


@pytest.fixture
def weir(db: WeirDb, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], policy: Path) -> Weir:
    socket = Path(db.remote.removeprefix("unix:"))
    monkeypatch.setenv("WEIR_STATE_DIR", str(socket.parent.parent))
    monkeypatch.setenv("SUDO_USER", "ann")
    policy.write_text(POLICY)
    weir = Weir(monkeypatch, capsys)
    assert weir("policy", "apply", str(policy), "--reason", "the first") == 0
    return weir


@pytest.fixture
def web1(weir: Weir, db: WeirDb) -> str:
    """A VIF, though no host ever makes it."""

    def policy_is_seen() -> bool:
        db.run()
        return bool(db.snapshot().files)

    wait_until(policy_is_seen, "the policy that was applied is seen")
    labels = {"user": "vera"}
    made = VirtualInterface("web1", 1, "acme/web", "lab", "veth", "02:00:00:00:00:01", ("10.30.0.2/24",), labels=labels)
    db.execute(Command(create=(made,)), db.snapshot(), "test")
    return "web1"


def _json(weir: Weir, *arguments: str) -> Any:
    assert weir(*arguments, "--json") == 0, weir.err
    return json.loads(weir.out)


def _since_1970_s(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()


def test_bind_list_unbind(weir: Weir, web1: str) -> None:
    before_s = int(time.time())
    bound = _json(weir, "identity", "bind", "alice", "--vif", web1, "--ttl", "8h")
    assert (bound["user"], bound["vif"], bound["address"], bound["by"]) == ("alice", web1, None, "ann")
    assert before_s <= _since_1970_s(bound["bound_at"]) <= time.time()
    assert _since_1970_s(bound["expires_at"]) - _since_1970_s(bound["bound_at"]) == 8 * 3600
    assert 7 * 3600 < bound["expires_in_s"] <= 8 * 3600
    assert weir("identity", "bind", "bob", "--ip", "FD00::0005") == 0
    assert (weir.out, weir.err) == ("", "bob is at fd00::5\n")
    listed = _json(weir, "identity", "list")
    assert [(one["user"], one["vif"], one["address"], one["by"]) for one in listed] == [
        ("alice", web1, None, "ann"),
        ("bob", None, "fd00::5", "ann"),
        ("vera", web1, None, "label"),
    ]
    assert listed[1]["expires_at"] is None and listed[1]["expires_in_s"] is None and listed[2]["bound_at"] is None
    assert weir("identity", "list") == 0
    lines = [line.split("\t") for line in weir.out.splitlines()]
    assert lines[0] == ["user", "vif", "address", "bound at", "expires at", "expires in", "by"]
    assert (lines[1][0], lines[1][5][:4], lines[2][2:6:3]) == ("alice", "7 h ", ["fd00::5", "-"])
    for arguments, words in (
        (["bind", "bob", "--vif", "web2"], "user 'bob': there is no VIF 'web2'. Did you mean 'web1'?"),
        (["bind", "bob", "--ip", "10.0.0.1/24"], "'10.0.0.1/24' is not an IP address. Write one without a prefix"),
        (["bind", "b\tb", "--vif", web1], "is no name of a user."),
        (["bind", "bob", "--vif", web1, "--ttl", "0 s"], "a binding of 0 s never holds."),
        (["unbind", "bobby"], "user 'bobby' is not bound. Did you mean 'bob'?"),
        (["unbind", "bob", "--vif", web1], "user 'bob' is not bound to VIF 'web1'. It is bound to address fd00::5."),
        (["unbind", "bob", "--vif", web1, "--ip", "10.0.0.1"], "it names a VIF and an address."),
        (["unbind", "vera"], "It is the label 'user' of VIF 'web1'"),
    ):
        assert weir("identity", *arguments) == 2
        assert words in weir.err and weir.out == "", weir.err
    assert _json(weir, "identity", "list")[0]["bound_at"] == bound["bound_at"]
    assert weir("identity", "unbind", "alice") == 0
    assert weir.err == "alice is no longer at VIF web1\n"
    assert weir("identity", "unbind", "bob", "--ip", "fd00:0::5") == 0
    assert [one["user"] for one in _json(weir, "identity", "list")] == ["vera"]


def test_bindings_from_a_file_are_all_or_nothing(weir: Weir, web1: str, tmp_path: Path) -> None:
    file = tmp_path / "users.yaml"
    file.write_text("- {user: alice, vif: web1, ttl: 8 h}\n- {user: no, ip: 10.0.0.1}\n")
    assert [one["user"] for one in _json(weir, "identity", "bind", "--file", str(file))] == ["alice", "no"]
    file.write_text("- {user: carol, vif: web1}\n- {user: dan, vif: web2}\n- {user: eve, ip: 10.0.0.1/8}\n")
    assert weir("identity", "bind", "--file", str(file)) == 2
    assert weir.err.splitlines() == [
        f"{file}:2:3: [1]: there is no VIF 'web2'. Did you mean 'web1'?",
        f"{file}:3:3: [2]: '10.0.0.1/8' is not an IP address. Write one without a prefix length, as in 10.0.0.1.",
    ]
    file.write_text("- {user: carol, vif: web1, tll: 3 s}\n- {user: dan}\n")
    assert weir("identity", "bind", "--file", str(file)) == 2
    assert weir.err.splitlines() == [
        f"{file}:1:28: [0].tll: unknown key 'tll'. The nearest valid key is 'ttl'.",
        f"{file}:2:3: [1]: it says neither vif nor ip. Say where the user is: 'vif: NAME' or 'ip: ADDRESS'.",
    ]
    assert [one["user"] for one in _json(weir, "identity", "list")] == ["alice", "no", "vera"]


def test_history_and_rollback(weir: Weir, policy: Path) -> None:
    policy.write_text(POLICY + "  late: {}\n")
    assert weir("policy", "apply", str(policy), "--reason", "more of it") == 0
    assert _json(weir, "policy", "rollback") == {"version": 3, "rollback_to": 1}
    assert _json(weir, "policy", "show")["files"] == {str(policy): POLICY}
    assert weir("policy", "rollback", "2", "--reason", "it was right") == 0
    assert weir.err == "policy version 4 is in force, with the texts of version 2\n"
    told = _json(weir, "policy", "history")
    assert [(one["version"], one["in_force"], one["applied_by"], one["reason"]) for one in told] == [
        (1, False, "ann", "the first"),
        (2, False, "ann", "more of it"),
        (3, False, "ann", "rollback to 1"),
        (4, True, "ann", "rollback to 2: it was right"),
    ]
    assert told[0]["files"] == told[2]["files"] and list(told[0]["files"]) == [str(policy)]
    assert all(abs(_since_1970_s(one["applied_at"]) - time.time()) < 600 for one in told)
    assert weir("policy", "history") == 0
    lines = [line.split("\t") for line in weir.out.splitlines()]
    assert [line[:2] for line in lines[1:]] == [["1", ""], ["2", ""], ["3", ""], ["4", "yes"]]
    for arguments, words in (
        (["rollback", "9"], "there is no policy version 9: the newest is 4. See weir policy history."),
        (["apply", str(policy), "--reason", "two\nlines"], "the reason is no line of text."),
    ):
        assert weir("policy", *arguments) == 2
        assert words in weir.err


def test_a_rollback_is_checked_as_an_apply_is(weir: Weir, policy: Path, db: WeirDb, web1: str) -> None:
    db.run()
    broken = PolicyText({"p.yaml": "weir: 1\npolicies: {web: {limits: 3}}\n"}, "eve", 0.0)
    db.execute(Command(policy=broken), db.snapshot(), "as an older version took it")
    db.execute(Command(policy=PolicyText({"p.yaml": POLICY}, "eve", 0.0)), db.snapshot(), "and back")
    assert weir("policy", "rollback") == 2
    assert weir.err.startswith("p.yaml:2:") and "unknown key 'limits'" in weir.err
    db.execute(Command(policy=PolicyText({"p.yaml": "weir: 1\n"}, "eve", 0.0)), db.snapshot(), "nothing at all")
    db.execute(Command(policy=PolicyText({"p.yaml": POLICY}, "eve", 0.0)), db.snapshot(), "and back")
    assert weir("policy", "rollback") == 2
    assert "VIF web1 uses it" in weir.err


def test_nodes_are_listed_with_their_place_and_their_vifs(weir: Weir, policy: Path, web1: str) -> None:
    assert _json(weir, "policy", "list") == [
        {"path": "acme", "leaf": False, "vifs": 1, "at": f"{policy}:4:3"},
        {"path": "acme/web", "leaf": True, "vifs": 1, "at": f"{policy}:6:7"},
        {"path": "free", "leaf": True, "vifs": 0, "at": f"{policy}:7:3"},
    ]
    assert weir("policy", "list") == 0
    assert weir.out.splitlines()[:2] == ["path\tkind\tvifs\tat", f"acme\tinner\t1\t{policy}:4:3"]


def test_what_is_stopped_is_taken_back(weir: Weir, db: WeirDb, web1: str) -> None:
    """No host ever makes what it waits for."""

    def stopped_by(number: signal.Signals, is_written: Callable[[], bool], *arguments: str) -> int:
        argv = [sys.executable, "-m", "controller.cli.main", "vif", *arguments]
        with subprocess.Popen(argv, stderr=subprocess.PIPE, text=True) as command:
            try:
                wait_until(is_written, f"it has written: {arguments}")
                command.send_signal(number)
                status = command.wait(20)
            finally:
                command.kill()
            assert command.stderr is not None and command.stderr.read() == ""
        return status

    def row(name: str) -> VirtualInterface | None:
        db.run()
        return db.snapshot().interfaces.get(name)

    before = row(web1)
    assert before is not None

    def is_as_before() -> bool:
        after = row(web1)
        return after is not None and replace(after, cfg=before.cfg) == before

    create = ("create", "p", "--kind", "port", "--policy", "free")
    for number in (signal.SIGTERM, signal.SIGHUP):
        assert stopped_by(number, lambda: row("p") is not None, *create) == 128 + number
        wait_until(lambda: row("p") is None, "nobody waits for p")  # this reader hears of it after the writer
        there = ("set", web1, "--netns", "red")
        assert stopped_by(number, lambda: row(web1).binding != {}, *there) == 128 + number  # type: ignore[union-attr]
        wait_until(is_as_before, "it is bound to nothing, as before")


def test_the_client_is_told_of_what_it_cannot_take(weir: Weir, db: WeirDb, web1: str) -> None:
    with public.Weir(os.environ["WEIR_STATE_DIR"]) as client:
        for words, given in (
            ("labels: 1 of 'a' is no text", {"labels": {"a": 1}}),
            ("options: 2 of 'queues' is no text", {"options": {"queues": 2}}),
            ("addresses: '10.30.0.5' is no list", {"addresses": "10.30.0.5"}),
        ):
            with pytest.raises(public.Rejected, match=words):
                client.create_virtual_interface("x", "free", **given)  # type: ignore[arg-type]
        with pytest.raises(public.WrongRequest, match="there is no user 'no such user' on this machine"):
            client.create_virtual_interface("x", "free", options={"owner": "no such user"})
        with pytest.raises(public.Rejected, match="'web1' is one VIF, and no list"):
            client.delete(web1)
        with pytest.raises(public.Rejected) as rejected:  # a name is understood; only the kind does not go with it
            client.change([web1], public.VifChange(options={"owner": "nobody"}))
        assert rejected.value.lines == ("VIF 'web1': --owner means nothing to kind veth. It is for tap: leave it out.",)


def test_watching_ends_with_the_vif(weir: Weir, db: WeirDb, web1: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with public.Weir(os.environ["WEIR_STATE_DIR"]) as client:
        watched = client.watch_traffic(web1, 0.01)
        assert next(watched).name == web1
        read = client._snapshot
        reads = 0

        def deleting() -> Snapshot:
            """It goes after the first of whatever is read for the next value."""
            nonlocal reads
            reads += 1
            if reads == 2:
                db.run()
                db.execute(Command(delete=(web1,)), db.snapshot(), "test")
                wait_until(lambda: web1 not in read().interfaces, "the client sees it")
            return read()

        monkeypatch.setattr(client, "_snapshot", deleting)
        assert [one.name for one in watched] == [web1]
