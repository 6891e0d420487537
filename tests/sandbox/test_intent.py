"""What an operator asks for, on a real Weir DB; a thread plays host agent and controller."""

from __future__ import annotations

import multiprocessing
from dataclasses import replace

import pytest

from controller.intent import creation, history, identity, policy
from controller.intent.errors import NotInForce, Rejected
from controller.intent.identity import BindRequest
from controller.intent.vif_checks import VifRequest
from ovsdb import policy_history
from ovsdb.rows import Snapshot, UserBinding, VifStatus, VirtualInterface
from ovsdb.weir_db import Command, WeirDb
from tests.support.ovs_sandbox import WeirDbServer, wait_until
from tests.support.played_host import READY, Host, running
from tests.unit.intent.worlds import FILES, POLICY

WEB = VifRequest("web1", "free", "lab")


def test_a_policy_comes_into_force_and_the_same_again_writes_nothing(server: WeirDbServer, db: WeirDb) -> None:
    with running(Host(server.remote), db):
        assert policy.apply(db, FILES, "root") == 1
        first = db.snapshot()
        assert policy.apply(db, dict(FILES), "somebody else") == 1
        assert db.snapshot().cfg == first.cfg == 1
        assert first.numbers[("segment", "lab")] and first.numbers[("node", "acme/web")]
        fewer = {"policy.yaml": POLICY.replace("  free: {}\n", "")}
        assert policy.apply(db, fewer, "root") == 2
        assert ("node", "free") not in db.snapshot().numbers
        assert policy.apply(db, FILES, "root") == 3
        again = db.snapshot()
        assert again.numbers[("node", "free")] > max(n for (kind, _), n in first.numbers.items() if kind == "node")
        assert {key: n for key, n in again.numbers.items() if key[1] != "free"} == {
            key: n for key, n in first.numbers.items() if key[1] != "free"
        }


def test_a_policy_that_puts_vifs_into_error_says_which(server: WeirDbServer, db: WeirDb) -> None:
    broken = {"web2"}

    def judge(vif: VirtualInterface) -> VifStatus:
        return VifStatus("error", "its device has no queue.") if vif.name in broken else READY

    with running(Host(server.remote, judge=judge), db):
        policy.apply(db, FILES, "root")
        creation.insert(db, [replace(WEB, name=f"web{number}") for number in (1, 2, 3)])
        states = lambda: [one.state for one in db.snapshot().interfaces.values()]  # noqa: E731
        wait_until(lambda: (db.wait(0.1), db.run(), states() == ["ready", "error", "ready"])[2], "their states")
        broken.add("web3")
        with pytest.raises(NotInForce) as fault:
            policy.apply(db, {"policy.yaml": POLICY + "# more\n"}, "root")
        assert fault.value.lines[0] == "VIF 'web3': its device has no queue."
        assert "The policy stands" in fault.value.lines[-1] and len(fault.value.lines) == 2
        assert policy.apply(db, {"policy.yaml": POLICY + "# even more\n"}, "root") == 3


def test_a_policy_that_vifs_stand_against_changes_nothing(server: WeirDbServer, db: WeirDb) -> None:
    with running(Host(server.remote), db):
        policy.apply(db, FILES, "root")
        creation.create(db, WEB)
        cfg = db.snapshot().cfg
        with pytest.raises(Rejected, match="policy 'free' is not there any more, but VIF web1 uses it"):
            policy.apply(db, {"policy.yaml": POLICY.replace("  free: {}\n", "")}, "root")
        assert (db.snapshot().cfg, db.snapshot().files) == (cfg, FILES)


def test_users_are_bound_renewed_and_unbound(server: WeirDbServer, db: WeirDb) -> None:
    with running(Host(server.remote), db):
        policy.apply(db, FILES, "root")
        creation.create(db, WEB)
        requests = [BindRequest("alice", "web1", ttl_s=3600), BindRequest("bob", address="10.30.0.9")]
        first = identity.bind(db, requests, "root")
        assert [(one.user, one.vif, one.address) for one in first] == [
            ("alice", "web1", None), ("bob", None, "10.30.0.9"),
        ]  # fmt: skip
        assert all(host.agent_cfg == host.flow_cfg == db.snapshot().cfg for host in db.snapshot().chassis.values())
        (again,) = identity.bind(db, [BindRequest("alice", "web1")], "eve")
        assert (again.expires_at_s, again.by) == (None, "eve")
        cfg, before = db.snapshot().cfg, db.snapshot().bindings
        with pytest.raises(Rejected, match=r"user 'carol': there is no VIF 'web2'\. Did you mean 'web1'\?"):
            identity.bind(db, [BindRequest("bob", "web1"), BindRequest("carol", "web2")], "root")
        with pytest.raises(Rejected, match=r"user 'alicia' is not bound\. Did you mean 'alice'\?"):
            identity.unbind(db, "alicia")
        assert (db.snapshot().cfg, db.snapshot().bindings) == (cfg, before)
        assert [one.vif for one in identity.unbind(db, "alice")] == ["web1"]
        assert [binding.user for binding in db.snapshot().bindings] == ["bob"]


def test_what_has_expired_goes_with_the_next_change(server: WeirDbServer, db: WeirDb) -> None:
    db.execute(Command(bind=(UserBinding("old", "", "10.0.0.1", 1.0, 2.0),)), db.snapshot(), "test")
    with pytest.raises(Rejected, match="user 'old' is not bound"):
        identity.unbind(db, "old")
    identity.bind(db, [BindRequest("alice", address="10.0.0.2")], "root")
    assert [binding.user for binding in db.snapshot().bindings] == ["alice"]


def test_a_binding_that_no_agent_reports_stands_and_says_so(server: WeirDbServer, db: WeirDb) -> None:
    with running(Host(server.remote), db):
        pass
    with pytest.raises(NotInForce) as fault:
        identity.bind(db, [BindRequest("alice", address="10.0.0.2")], "root", deadline_s=0.3)
    assert "the agent of host 'h1' has not reported" in fault.value.lines[0]
    assert fault.value.lines[-1].startswith("The change stands in the Weir DB")
    assert [binding.user for binding in db.snapshot().bindings] == ["alice"]


def test_going_back_is_a_new_version(server: WeirDbServer, db: WeirDb) -> None:
    with running(Host(server.remote), db):
        with pytest.raises(Rejected, match="no policy was applied yet"):
            history.recall(db, None)
        policy.apply(db, FILES, "root", "the beginning")
        with pytest.raises(Rejected, match="there is no policy version before 1"):
            history.recall(db, None)
        policy.apply(db, {"other.yaml": POLICY + "# more\n"}, "eve")
        assert history.rollback(db, history.recall(db, None), "root") == 3
        assert db.snapshot().files == FILES
        assert history.rollback(db, history.recall(db, 2), "root", "after all") == 4
        assert history.rollback(db, history.recall(db, 4), "root", "it is so already") == 4
        assert db.snapshot().files == {"other.yaml": POLICY + "# more\n"}
        told = [(one.version, one.applied_by, one.reason) for one in history.versions(db)]
        assert told == [
            (1, "root", "the beginning"),
            (2, "eve", ""),
            (3, "root", "rollback to 1"),
            (4, "root", "rollback to 2: after all"),
        ]
        creation.create(db, WEB)
        policy.apply(db, {"policy.yaml": POLICY.replace("  free: {}\n", "  free: {}\n  late: {}\n")}, "root")
        creation.create(db, replace(WEB, name="web2", policy="late"))
        with pytest.raises(Rejected, match="policy 'late' is not there any more, but VIF web2 uses it"):
            history.rollback(db, history.recall(db, 4), "root")


def _bind(remote: str, user: str, count: int) -> None:
    with WeirDb(remote) as db:
        for number in range(count):
            identity.bind(db, [BindRequest(user, address=f"10.0.0.{number}")], "root")


def _apply(remote: str, prefix: str, count: int) -> None:
    with WeirDb(remote) as db:
        for number in range(count):
            policy.submit(db, {"policy.yaml": f"{POLICY}# {prefix}{number}\n", "same.yaml": "weir: 1\n"}, "root")


def test_racing_binds_and_applies_lose_nothing(server: WeirDbServer, db: WeirDb) -> None:
    spawn = multiprocessing.get_context("spawn")
    racers = [spawn.Process(target=_bind, args=(server.remote, user, 10)) for user in ("alice", "bob")]
    racers += [spawn.Process(target=_apply, args=(server.remote, prefix, 5)) for prefix in "xy"]
    for racer in racers:
        racer.start()
    for racer in racers:
        racer.join(60)
        assert racer.exitcode == 0
    wait_until(lambda: (db.wait(0.1), db.run(), db.snapshot().cfg == 30)[2], "all changes")
    assert len(db.snapshot().bindings) == 20
    listed = history.versions(db)
    assert [one.version for one in listed] == list(range(1, 11))
    assert (
        len({one.files["policy.yaml"] for one in listed}) == 10 and len({one.files["same.yaml"] for one in listed}) == 1
    )
    assert policy_history.texts(db, listed[-1]) == db.snapshot().files


def test_the_first_commands_of_all_may_race_too(server: WeirDbServer, db: WeirDb) -> None:
    with WeirDb(server.remote) as other:
        other.connect()
        stale = other.snapshot()
        policy.submit(db, FILES, "root")
        attempts: list[Snapshot] = []
        real = other.execute

        def late(command: Command, base: Snapshot, comment: str) -> int:
            attempts.append(base)
            return real(command, stale if len(attempts) == 1 else base, comment)

        other.execute = late  # type: ignore[method-assign]
        assert policy.submit(other, {"policy.yaml": POLICY + "# more\n"}, "root") == 2
        assert len(attempts) == 2
