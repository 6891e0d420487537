"""Many VIFs at once, and changes of VIFs, on a real Weir DB; a thread plays host agent and controller."""

from __future__ import annotations

import multiprocessing
from collections.abc import Mapping
from dataclasses import replace

import pytest

from controller.intent import creation, policy, vif
from controller.intent.errors import NotInForce, Partly, Rejected
from controller.intent.vif_change import VifChange
from controller.intent.vif_checks import VifRequest
from ovsdb.rows import Chassis, Snapshot, VifStatus, VirtualInterface
from ovsdb.transaction import Refused
from ovsdb.weir_db import Command, WeirDb
from policies.own_numbers import Own
from tests.support.ovs_sandbox import WeirDbServer, wait_until
from tests.support.played_host import READY, Host, running
from tests.unit.intent.worlds import FILES, POLICY

WEB = VifRequest("web1", "free", "lab")


def numbered(count: int) -> list[VifRequest]:
    return [replace(WEB, name=f"n{number}") for number in range(1, count + 1)]


def test_those_that_fail_go_and_the_others_stay(server: WeirDbServer, db: WeirDb) -> None:
    def judge(vif: VirtualInterface) -> VifStatus:
        return VifStatus("error", "no namespace. Make it.") if vif.name in ("n2", "n3") else READY

    told: list[tuple[int, int]] = []
    with running(Host(server.remote, judge=judge), db):
        policy.apply(db, FILES, "root")
        requests = [*numbered(4), replace(WEB, name="n5", policy="fre")]
        with pytest.raises(Partly) as fault:
            creation.create_many(db, requests, lambda done, total: told.append((done, total)))
        assert fault.value.done == ("n1", "n4")
        assert fault.value.lines == (
            "VIF 'n5': there is no policy 'fre'. Did you mean 'free'?",
            "VIFs 'n2', 'n3': no namespace. Make it.",
            "2 of 5 VIFs were created; nothing is left of the other 3.",
        )
        assert set(db.snapshot().interfaces) == {"n1", "n4"}
        assert told[-1] == (2, 5)
        again = creation.create_many(db, [replace(WEB, name="n6"), replace(WEB, name="n7")])
        assert [one.name for one in again] == ["n6", "n7"]
        assert len({one.number for one in db.snapshot().interfaces.values()}) == 4


def test_when_none_can_be_nothing_is_left(server: WeirDbServer, db: WeirDb) -> None:
    with running(Host(server.remote, judge=lambda vif: VifStatus("error", "no.")), db):
        policy.apply(db, FILES, "root")
        with pytest.raises(NotInForce, match=r"VIFs 'n1', 'n2': no\."):
            creation.create_many(db, numbered(2))
        cfg = db.snapshot().cfg
        with pytest.raises(Rejected, match="VIFs 'n1', 'n2': there is no policy 'nonesuch'"):
            creation.create_many(db, [replace(one, policy="nonesuch") for one in numbered(2)])
        assert (db.snapshot().cfg, dict(db.snapshot().interfaces)) == (cfg, {})


def test_many_come_in_a_few_steps_and_a_host_that_fails_ends_it(server: WeirDbServer, db: WeirDb) -> None:
    told: list[int] = []
    with running(Host(server.remote), db) as host:
        policy.apply(db, FILES, "root")
        made = creation.create_many(db, numbered(60), lambda done, total: told.append(done))
        assert len(made) == 60 and {25, 50, 60} <= set(told)
        told.clear()
        vif.delete(db, [one.name for one in made], lambda done, total: told.append(done))
        assert told == [25, 50, 60] and not db.snapshot().interfaces
        host.error = lambda seen: "it is on fire. Leave" if len(seen.interfaces) > 30 else None
        with pytest.raises(Partly) as fault:
            creation.create_many(db, numbered(60))
        assert len(fault.value.done) == 25 == len(db.snapshot().interfaces)
        assert fault.value.lines[0] == "host 'h1': it is on fire. Leave"
        assert fault.value.lines[-1] == "25 of 60 VIFs were created; nothing is left of the other 35."


def test_one_that_waits_for_somebody_else_is_not_waited_for_without_end(server: WeirDbServer, db: WeirDb) -> None:
    def judge(vif: VirtualInterface) -> VifStatus:
        return VifStatus("pending") if vif.name == "n2" else READY

    with running(Host(server.remote, judge=judge), db):
        policy.apply(db, FILES, "root")
        with pytest.raises(Partly, match="VIF 'n2': there is no port for it"):
            creation.create_many(db, [replace(one, kind="port") for one in numbered(3)], deadline_s=3.0)
        assert set(db.snapshot().interfaces) == {"n1", "n3"}


def test_a_change_is_in_force_when_it_returns(server: WeirDbServer, db: WeirDb) -> None:
    with running(Host(server.remote), db):
        policy.apply(db, FILES, "root")
        creation.create(db, WEB)
        change = VifChange(policy="acme/web", labels={"app": "x"}, egress=Own(1000, 9000), addresses=("10.30.0.9",))
        (now,), is_changed = vif.change(db, ["web1"], change)
        assert is_changed and (now.policy, now.labels, now.addresses) == ("acme/web", {"app": "x"}, ("10.30.0.9/24",))
        assert now.egress == {"guarantee_kbps": 1000, "limit_kbps": 9000} and now.cfg == db.snapshot().cfg
        host = db.snapshot().chassis["h1"]
        assert host.agent_cfg == host.flow_cfg == now.cfg
        assert vif.change(db, ["web1"], change) == ([now], False)
        assert db.snapshot().cfg == now.cfg
        with pytest.raises(Rejected, match="is more than the 30 mbit of policy 'acme/web'"):
            vif.change(db, ["web1"], VifChange(egress=Own(None, 31_000)))
        assert db.snapshot().interfaces["web1"] == now


def test_a_change_that_fails_is_put_back(server: WeirDbServer, db: WeirDb) -> None:
    def judge(vif: VirtualInterface) -> VifStatus:
        return VifStatus("error", "no namespace 'red'. Make it.") if vif.binding else READY

    with running(Host(server.remote, judge=judge), db):
        policy.apply(db, FILES, "root")
        creation.create_many(db, [WEB, replace(WEB, name="web2", ifname="eth1")])
        before = db.snapshot().interfaces
        with pytest.raises(NotInForce) as fault:
            vif.change(db, ["web1", "web2"], VifChange(binding={"netns": "red"}, labels={"a": "b"}))
        assert fault.value.lines[0].startswith("VIF 'web") and "were put back" in fault.value.lines[-1]
        wait_until(lambda: (db.wait(0.1), db.run(), db.snapshot().interfaces["web1"].state == "ready")[2], "it is back")
        for name, old in before.items():
            now = db.snapshot().interfaces[name]
            assert replace(now, cfg=old.cfg) == old


def test_what_somebody_else_changed_since_is_not_put_back(
    server: WeirDbServer, db: WeirDb, monkeypatch: pytest.MonkeyPatch
) -> None:
    with running(Host(server.remote, judge=lambda vif: VifStatus("error", "no.") if vif.binding else READY), db):
        policy.apply(db, FILES, "root")
        creation.create(db, WEB)
        real, done = db.execute, list[str]()

        def meddled(command: Command, base: Snapshot, comment: str) -> int:
            if comment.startswith("roll back") and not done:
                done.append(comment)
                mine = base.interfaces["web1"]
                return real(Command(change=(replace(mine, labels={"by": "other"}),)), base, "somebody else") and real(
                    command, base, comment
                )
            return real(command, base, comment)

        monkeypatch.setattr(db, "execute", meddled)
        with pytest.raises(NotInForce):
            vif.change(db, ["web1"], VifChange(binding={"netns": "red"}))
        assert db.snapshot().interfaces["web1"].labels == {"by": "other"}
        assert db.snapshot().interfaces["web1"].binding == {"netns": "red"}


def test_undoing_a_change_may_fail_too(server: WeirDbServer, db: WeirDb, monkeypatch: pytest.MonkeyPatch) -> None:
    with running(Host(server.remote, judge=lambda vif: VifStatus("error", "no.") if vif.binding else READY), db):
        policy.apply(db, FILES, "root")
        creation.create(db, WEB)
        real = db.execute

        def once(command: Command, base: Snapshot, comment: str) -> int:
            if comment.startswith("roll back"):
                raise Refused("the disk is full.")
            return real(command, base, comment)

        monkeypatch.setattr(db, "execute", once)
        with pytest.raises(NotInForce, match=r"undo failed: the disk is full\. See weir vif show"):
            vif.change(db, ["web1"], VifChange(binding={"netns": "red"}))


def test_what_was_broken_before_does_not_hinder_a_change_of_numbers(server: WeirDbServer, db: WeirDb) -> None:
    state = [READY]
    with running(Host(server.remote, judge=lambda vif: state[0]), db):
        policy.apply(db, FILES, "root")
        creation.create(db, WEB)
        state[0] = VifStatus("error", "its namespace has gone.", ofport=1)
        wait_until(lambda: (db.wait(0.1), db.run(), db.snapshot().interfaces["web1"].state == "error")[2], "the error")
        (now,), is_changed = vif.change(db, ["web1"], VifChange(labels={"a": "b"}))
        assert is_changed and now.labels == {"a": "b"}
        with pytest.raises(NotInForce, match="its namespace has gone"):
            vif.change(db, ["web1"], VifChange(binding={"netns": "other"}))


def _set(remote: str, names: tuple[str, ...], key: str, count: int) -> None:
    with WeirDb(remote) as db:
        for number in range(count):
            vif.change(db, names, VifChange(labels={key: str(number)}))


def test_racing_changes_lose_nothing(server: WeirDbServer, db: WeirDb) -> None:
    with running(Host(server.remote), db):
        policy.apply(db, FILES, "root")
        creation.create_many(db, numbered(3))
        spawn = multiprocessing.get_context("spawn")
        racers = [
            spawn.Process(target=_set, args=(server.remote, names, key, 8))
            for key, names in (("a", ("n1", "n2")), ("b", ("n2", "n3")), ("c", ("n1", "n2", "n3")))
        ]
        for racer in racers:
            racer.start()
        for racer in racers:
            racer.join(60)
            assert racer.exitcode == 0
        wanted = {"n1": {"a": "7", "c": "7"}, "n2": {"a": "7", "b": "7", "c": "7"}, "n3": {"b": "7", "c": "7"}}

        def labels() -> dict[str, Mapping[str, str]]:
            db.run()
            return {name: one.labels for name, one in db.snapshot().interfaces.items()}

        wait_until(lambda: (db.wait(0.1), labels() == wanted)[1], "all labels")


def test_a_thousand_vifs_change_in_one_transaction(server: WeirDbServer, db: WeirDb) -> None:
    db.report_chassis(Chassis("h1", "br-weir"))
    policy.submit(db, {"p.yaml": POLICY.replace("10.30.0.0/24", "10.30.0.0/16")}, "root")
    _, names = creation.insert(db, numbered(1000))
    with running(Host(server.remote), db):
        before = db.snapshot().cfg
        vifs, is_changed = vif.change(db, names, VifChange(labels={"app": "x"}), deadline_s=60)
        assert is_changed and len(vifs) == 1000 and db.snapshot().cfg == before + 1
