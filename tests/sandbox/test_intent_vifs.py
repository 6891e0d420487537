"""VIFs as an operator asks for them, on a real Weir DB; a thread plays host agent and controller."""

from __future__ import annotations

import multiprocessing
import threading
from dataclasses import replace

import pytest

from controller.intent import creation, policy, vif
from controller.intent.errors import NotInForce, Rejected
from controller.intent.vif_checks import VifRequest
from controller.intent.wait import Change, await_in_force
from ovsdb.rows import Chassis, Snapshot, VifStatus
from ovsdb.transaction import Refused
from ovsdb.weir_db import Command, WeirDb
from tests.support.ovs_sandbox import WeirDbServer, wait_until
from tests.support.played_host import Host, Judge, running
from tests.unit.intent.worlds import FILES, POLICY

WEB = VifRequest("web1", "free", "lab")


def test_a_vif_is_created_ready_and_deleted(server: WeirDbServer, db: WeirDb) -> None:
    with running(Host(server.remote), db):
        policy.apply(db, FILES, "root")
        made = creation.create(db, WEB)
        assert (made.state, made.number, made.chassis) == ("ready", 1, "h1")
        assert made.addresses == ("10.30.0.2/24", "fd00:30::2/64")
        assert made.mac.startswith("02:") and made.mac.endswith(":00:01")
        with pytest.raises(Rejected, match="there is a VIF of this name already"):
            creation.create(db, WEB)
        port = creation.create(db, replace(WEB, name="web2", kind="port"))
        assert port.chassis == "h1" and port.mac[:11] == made.mac[:11] and port.mac.endswith(":00:02")
        with pytest.raises(Rejected, match=r"VIF 'web3': there is none of this name\. Did you mean 'web2'"):
            vif.delete(db, ["web1", "web3"])
        assert len(db.snapshot().interfaces) == 2
        vif.delete(db, ["web1", "web2"])
        assert not db.snapshot().interfaces
        other = creation.create(db, WEB)
        assert other.number == 3


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
            creation.create(db, replace(WEB, kind=kind), deadline_s=3.0)
        assert not db.snapshot().interfaces


def test_it_says_who_does_not_answer(server: WeirDbServer, db: WeirDb) -> None:
    with running(Host(server.remote, flows=False), db) as host:
        with pytest.raises(NotInForce, match="switch of host 'h1' is not connected to the controller"):
            policy.apply(db, FILES, "root", deadline_s=3.0)
        assert db.snapshot().files == FILES
        host.flows = True
        policy.apply(db, FILES, "root")
        host.flows = False
        with pytest.raises(NotInForce, match="the controller has not brought the flows of host 'h1' up to date"):
            creation.create(db, WEB, deadline_s=3.0)
        host.flows = True
        creation.create(db, replace(WEB, name="first"))
        before = db.snapshot().cfg
        host.error = lambda seen: "the sweep failed. See the log" if seen.cfg > before else None
        with pytest.raises(NotInForce, match=r"host 'h1': the sweep failed\. See the log"):
            creation.create(db, WEB)
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
        creation.create_many(db, [WEB, OFFICE])
        host.error = lambda seen: "uplink eth1: it is gone. Bring it back."
        wait_until(lambda: (db.wait(0.1), db.run(), "eth1" in (db.snapshot().chassis["h1"].agent_error or ""))[2], "it")
        host.error = lambda seen: f"uplink eth1: it is gone. Look {seen.cfg} times"
        creation.create(db, replace(WEB, name="web2"))
        with pytest.raises(NotInForce, match="host 'h1': uplink eth1: it is gone"):
            creation.create(db, replace(OFFICE, name="out2", addresses=("192.0.2.8/25",)))
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
            creation.create(db, OFFICE)
    finally:
        host.stop()
        thread.join(30)
    assert fault.value.lines[0].startswith("VIF 'out1': segment 'office' leaves by uplink 'eth1', which host 'h1' does")
    assert not db.snapshot().interfaces


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
            creation.create(db, WEB)
        assert fault.value.lines == (
            "VIF 'web1': no namespace.",
            "undo failed: the disk is full. What is left of it goes with: weir vif delete web1.",
        )


def _insert(remote: str, prefix: str, count: int) -> None:
    with WeirDb(remote) as db:
        for number in range(count):
            creation.insert(db, [replace(WEB, name=f"{prefix}{number}", chassis="h1")])


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


def test_a_thousand_vifs_are_one_transaction(server: WeirDbServer, db: WeirDb) -> None:
    db.report_chassis(Chassis("h1", "br-weir"))
    policy.submit(db, {"p.yaml": POLICY.replace("10.30.0.0/24", "10.30.0.0/16")}, "root")
    cfg, names = creation.insert(db, [replace(WEB, name=f"v{number}") for number in range(1000)])
    assert (cfg, len(names), len(db.snapshot().interfaces)) == (2, 1000, 1000)
