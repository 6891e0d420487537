"""What an operator asks for, on a real Weir DB; a thread plays host agent and controller."""

from __future__ import annotations

import multiprocessing
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace

import pytest

from controller.intent import history, identity, policy, vif
from controller.intent.errors import NotInForce, Rejected
from controller.intent.identity import BindRequest
from controller.intent.vif_checks import VifRequest
from controller.intent.wait import Change, await_in_force
from ovsdb import policy_history
from ovsdb.rows import Chassis, Snapshot, UserBinding, VifStatus, VirtualInterface
from ovsdb.transaction import Refused
from ovsdb.weir_db import Command, WeirDb
from tests.support.ovs_sandbox import WeirDbServer, wait_until
from tests.unit.intent.worlds import FILES, POLICY

WEB = VifRequest("web1", "free", "lab")
READY = VifStatus("ready", ofport=1)
Judge = Callable[[VirtualInterface], VifStatus]


class Host:
    """Agent and controller of one chassis: says of each VIF what `judge` says, and that all is in force."""

    def __init__(self, remote: str, name: str = "h1", judge: Judge = lambda vif: READY, flows: bool = True) -> None:
        self.judge, self.flows = judge, flows
        self.error: Callable[[Snapshot], str | None] = lambda seen: None
        self.uplinks: dict[str, int] = {}
        self._remote, self._name = remote, name
        self._stopped = threading.Event()

    def run(self) -> None:
        with WeirDb(self._remote) as db:
            db.connect(20)
            while not self._stopped.is_set():
                self._act(db, db.snapshot())
                db.wait(0.05)
                db.run()

    def stop(self) -> None:
        self._stopped.set()

    def _act(self, db: WeirDb, seen: Snapshot) -> None:
        mine = [vif for vif in seen.interfaces.values() if vif.chassis in (self._name, None)]
        statuses = {vif.name: replace(self.judge(vif), chassis=self._name) for vif in mine}
        row = Chassis(
            self._name, "br-weir", uplink_ports=self.uplinks, agent_cfg=seen.cfg, agent_error=self.error(seen)
        )
        db.report_chassis(row, statuses)
        if self.flows:
            db.report_flows(self._name, seen.cfg, None, True)


@contextmanager
def running(host: Host, db: WeirDb) -> Iterator[Host]:
    thread = threading.Thread(target=host.run)
    thread.start()
    try:
        wait_until(lambda: (db.wait(0.1), db.run(), host._name in db.snapshot().chassis)[2], "the host's first report")
        yield host
    finally:
        host.stop()
        thread.join(30)


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


def test_a_vif_is_created_ready_and_deleted(server: WeirDbServer, db: WeirDb) -> None:
    with running(Host(server.remote), db):
        policy.apply(db, FILES, "root")
        (made,) = vif.create(db, [WEB])
        assert (made.state, made.number, made.chassis) == ("ready", 1, "h1")
        assert made.addresses == ("10.30.0.2/24", "fd00:30::2/64")
        assert made.mac.startswith("02:") and made.mac.endswith(":00:01")
        with pytest.raises(Rejected, match="there is a VIF of this name already"):
            vif.create(db, [WEB])
        (port,) = vif.create(db, [replace(WEB, name="web2", kind="port")])
        assert port.chassis == "h1" and port.mac[:11] == made.mac[:11] and port.mac.endswith(":00:02")
        with pytest.raises(Rejected, match=r"VIF 'web3': there is none of this name\. Did you mean 'web2'"):
            vif.delete(db, ["web1", "web3"])
        assert len(db.snapshot().interfaces) == 2
        vif.delete(db, ["web1", "web2"])
        assert not db.snapshot().interfaces
        (other,) = vif.create(db, [WEB])
        assert other.number == 3


def test_a_vif_that_fails_takes_its_companions_with_it(server: WeirDbServer, db: WeirDb) -> None:
    def judge(vif: VirtualInterface) -> VifStatus:
        return VifStatus("error", "no namespace 'red'. Make it: ip netns add red") if vif.name == "bad" else READY

    with running(Host(server.remote, judge=judge), db):
        policy.apply(db, FILES, "root")
        with pytest.raises(NotInForce) as fault:
            vif.create(db, [WEB, replace(WEB, name="bad")])
        assert fault.value.lines == (
            "VIF 'bad': no namespace 'red'. Make it: ip netns add red",
            "all 2 VIFs were not created: what had been done was undone.",
        )
        assert not db.snapshot().interfaces
        vif.create(db, [WEB])


@pytest.mark.parametrize(
    ("judge", "kind", "words"),
    [
        (lambda vif: VifStatus("pending"), "port", "Mark it: ovs-vsctl set Interface PORT external_ids:iface-id=web1"),
        (lambda vif: VifStatus("pending"), "veth", "host 'h1' has not made it"),
    ],
)
def test_a_vif_that_never_gets_ready_is_undone_too(
    server: WeirDbServer, db: WeirDb, judge: Judge, kind: str, words: str
) -> None:
    with running(Host(server.remote, judge=judge), db):
        policy.apply(db, FILES, "root")
        with pytest.raises(NotInForce, match=words):
            vif.create(db, [replace(WEB, kind=kind)], deadline_s=0.5)
        assert not db.snapshot().interfaces


def test_it_says_who_does_not_answer(server: WeirDbServer, db: WeirDb) -> None:
    with running(Host(server.remote, flows=False), db) as host:
        with pytest.raises(NotInForce, match="switch of host 'h1' is not connected to the controller"):
            policy.apply(db, FILES, "root", deadline_s=0.5)
        assert db.snapshot().files == FILES
        host.flows = True
        policy.apply(db, FILES, "root")
        host.flows = False
        with pytest.raises(NotInForce, match="the controller has not brought the flows of host 'h1' up to date"):
            vif.create(db, [WEB], deadline_s=0.5)
        host.flows = True
        vif.create(db, [replace(WEB, name="first")])
        before = db.snapshot().cfg
        host.error = lambda seen: "the sweep failed. See the log" if seen.cfg > before else None
        with pytest.raises(NotInForce, match=r"host 'h1': the sweep failed\. See the log"):
            vif.create(db, [WEB])
    with pytest.raises(NotInForce, match="the agent of host 'h1' has not reported"):
        policy.apply(db, {"policy.yaml": POLICY + "# more\n"}, "root", deadline_s=0.3)
    server.stop()
    with pytest.raises(NotInForce, match="Weir DB does not answer any more"):
        await_in_force(db, Change(db.snapshot().cfg + 1, db.snapshot()), 0.5)


OFFICE = replace(WEB, name="out1", segment="office", addresses=("192.0.2.7/25",))
TROUBLE = "the sweep failed: no link wv9. See the log uplink eth9: there is no device eth9. Bring it there"


def test_what_was_wrong_before_and_elsewhere_does_not_matter(server: WeirDbServer, db: WeirDb) -> None:
    with running(Host(server.remote), db) as host:
        host.uplinks, host.error = {"eth1": 7}, lambda seen: TROUBLE
        wait_until(lambda: (db.wait(0.1), db.run(), db.snapshot().chassis["h1"].agent_error)[2], "the trouble known")
        assert policy.apply(db, FILES, "root") == 1
        vif.create(db, [WEB, OFFICE])
        host.error = lambda seen: "uplink eth1: it is gone. Bring it back."
        wait_until(lambda: (db.wait(0.1), db.run(), "eth1" in (db.snapshot().chassis["h1"].agent_error or ""))[2], "it")
        host.error = lambda seen: f"uplink eth1: it is gone. Look {seen.cfg} times"
        vif.create(db, [replace(WEB, name="web2")])
        with pytest.raises(NotInForce, match="host 'h1': uplink eth1: it is gone"):
            vif.create(db, [replace(OFFICE, name="out2", addresses=("192.0.2.8/25",))])
        vif.delete(db, ["web1", "out1"])
        assert set(db.snapshot().interfaces) == {"web2"}


def test_a_way_out_that_turns_out_to_be_missing(server: WeirDbServer, db: WeirDb) -> None:
    policy.submit(db, FILES, "root")
    db.report_chassis(Chassis("h1", "br-weir"))  # has not said what it has
    host = Host(server.remote)
    thread = threading.Timer(0.3, host.run)
    thread.start()
    try:
        with pytest.raises(NotInForce) as fault:
            vif.create(db, [OFFICE])
    finally:
        host.stop()
        thread.join(30)
    assert fault.value.lines[0].startswith("VIF 'out1': segment 'office' leaves by uplink 'eth1', which host 'h1' does")
    assert not db.snapshot().interfaces


def test_a_policy_that_puts_vifs_into_error_says_which(server: WeirDbServer, db: WeirDb) -> None:
    broken = {"web2"}

    def judge(vif: VirtualInterface) -> VifStatus:
        return VifStatus("error", "its device has no queue.") if vif.name in broken else READY

    with running(Host(server.remote, judge=judge), db):
        policy.apply(db, FILES, "root")
        vif.insert(db, [replace(WEB, name=f"web{number}") for number in (1, 2, 3)])
        states = lambda: [one.state for one in db.snapshot().interfaces.values()]  # noqa: E731
        wait_until(lambda: (db.wait(0.1), db.run(), states() == ["ready", "error", "ready"])[2], "their states")
        broken.add("web3")
        with pytest.raises(NotInForce) as fault:
            policy.apply(db, {"policy.yaml": POLICY + "# more\n"}, "root")
        assert fault.value.lines[0] == "VIF 'web3': its device has no queue."
        assert "The policy stands" in fault.value.lines[-1] and len(fault.value.lines) == 2
        assert policy.apply(db, {"policy.yaml": POLICY + "# even more\n"}, "root") == 3


def test_what_failed_first_is_told_though_undoing_it_fails_too(
    server: WeirDbServer, db: WeirDb, monkeypatch: pytest.MonkeyPatch
) -> None:
    with running(Host(server.remote, judge=lambda vif: VifStatus("error", "no namespace.")), db):
        policy.apply(db, FILES, "root")
        real = db.execute

        def once(command: Command, base: Snapshot, comment: str) -> int:
            if command.delete:
                raise Refused("the disk is full.")
            return real(command, base, comment)

        monkeypatch.setattr(db, "execute", once)
        with pytest.raises(NotInForce) as fault:
            vif.create(db, [WEB])
        assert fault.value.lines == (
            "VIF 'web1': no namespace.",
            "undo failed: the disk is full. What is left of it goes with: weir vif delete web1.",
        )


def test_a_policy_that_vifs_stand_against_changes_nothing(server: WeirDbServer, db: WeirDb) -> None:
    with running(Host(server.remote), db):
        policy.apply(db, FILES, "root")
        vif.create(db, [WEB])
        cfg = db.snapshot().cfg
        with pytest.raises(Rejected, match="policy 'free' is not there any more, but VIF web1 uses it"):
            policy.apply(db, {"policy.yaml": POLICY.replace("  free: {}\n", "")}, "root")
        assert (db.snapshot().cfg, db.snapshot().files) == (cfg, FILES)


def test_users_are_bound_renewed_and_unbound(server: WeirDbServer, db: WeirDb) -> None:
    with running(Host(server.remote), db):
        policy.apply(db, FILES, "root")
        vif.create(db, [WEB])
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
        vif.create(db, [WEB])
        policy.apply(db, {"policy.yaml": POLICY.replace("  free: {}\n", "  free: {}\n  late: {}\n")}, "root")
        vif.create(db, [replace(WEB, name="web2", policy="late")])
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


def _insert(remote: str, prefix: str, count: int) -> None:
    with WeirDb(remote) as db:
        for number in range(count):
            vif.insert(db, [replace(WEB, name=f"{prefix}{number}", chassis="h1")])


def test_racing_commands_all_succeed_and_share_no_number(server: WeirDbServer, db: WeirDb) -> None:
    db.report_chassis(Chassis("h1", "br-weir"))
    policy.submit(db, FILES, "root")
    spawn = multiprocessing.get_context("spawn")
    racers = [spawn.Process(target=_insert, args=(server.remote, prefix, 15)) for prefix in "abc"]
    for racer in racers:
        racer.start()
    for racer in racers:
        racer.join(60)
        assert racer.exitcode == 0
    wait_until(lambda: (db.wait(0.1), db.run(), len(db.snapshot().interfaces) == 45)[2], "all VIFs")
    vifs = db.snapshot().interfaces.values()
    assert sorted(vif.number for vif in vifs) == list(range(1, 46))
    assert len({vif.mac[:11] for vif in vifs}) == 1
    assert db.snapshot().cfg == 46


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


def test_a_thousand_vifs_are_one_transaction(server: WeirDbServer, db: WeirDb) -> None:
    db.report_chassis(Chassis("h1", "br-weir"))
    policy.submit(db, {"p.yaml": POLICY.replace("10.30.0.0/24", "10.30.0.0/16")}, "root")
    cfg, names = vif.insert(db, [replace(WEB, name=f"v{number}") for number in range(1000)])
    assert (cfg, len(names), len(db.snapshot().interfaces)) == (2, 1000, 1000)
