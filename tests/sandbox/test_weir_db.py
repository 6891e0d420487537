"""The Weir DB on a real ovsdb-server: what is written is what is read, nobody's change is lost, and restarts pass."""

from __future__ import annotations

import hashlib
import json
import multiprocessing
import shutil
import subprocess
import sys
import textwrap
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from controller.config import StateDir
from controller.system import databases
from lab.private_ovs import start_ovsdb_server
from ovsdb import policy_history
from ovsdb.poller import Poller
from ovsdb.rows import DPDK, NO, Chassis, Snapshot, UserBinding, VifStatus, VirtualInterface
from ovsdb.session import NOTHING, DatabaseError, Disconnected
from ovsdb.transaction import Conflict, Refused
from ovsdb.weir_db import SCHEMA_PATH, Command, PolicyText, WeirDb
from tests.support.ovs_sandbox import WeirDbServer, short_dir, wait_until

ROOT = Path(__file__).resolve().parents[2]


def vif(number: int, **changes: object) -> VirtualInterface:
    plain = VirtualInterface(
        name=f"v{number}",
        number=number,
        policy="acme/web",
        segment="lab",
        kind="veth",
        mac=f"02:00:00:00:{number >> 8:02x}:{number & 255:02x}",
        addresses=(f"10.1.{number >> 8}.{number & 255}/16",),
    )
    return replace(plain, **changes)


def test_an_empty_database_is_an_empty_snapshot(db: WeirDb) -> None:
    assert db.snapshot() == Snapshot()


def test_what_is_written_is_read_by_others(server: WeirDbServer, db: WeirDb) -> None:
    full = vif(
        7,
        chassis="h1",
        instance="run/7",
        binding={"netns": "red"},
        ifname="net1",
        labels={"app": "pay"},
        addresses=("10.1.0.7/16", "fd00::7/64"),
    )
    command = Command(
        create=(full, vif(8)),
        policy=PolicyText({"a.yaml": "weir: 1  # früh ы 🙂\n", "b.yaml": "x" * 200_000}, "root", 1.5),
        numbers={("segment", "lab"): 1, ("rule", "acme#a"): 4},
        next_number={"rule": 5},
        other_config={"system-id": "abcdef"},
    )
    with WeirDb(server.remote) as reader:
        reader.connect()
        reader.run()
        assert db.execute(command, db.snapshot(), "test") == 1
        wait_until(lambda: (reader.wait(0.1), reader.run())[1], "news")
        seen = reader.snapshot()
    assert seen == Snapshot(
        cfg=1,
        policy_version=1,
        files=command.policy.files,
        other_config={"system-id": "abcdef"},
        numbers={("rule", "acme#a"): 4, ("segment", "lab"): 1},
        interfaces={"v7": replace(full, cfg=1), "v8": vif(8, cfg=1)},
        next_number={"rule": 5},
    )


def test_a_large_policy_with_other_letters_passes(server: WeirDbServer, db: WeirDb) -> None:
    files = {"a.yaml": "# " + "ы🙂" * 200_000}
    db.execute(Command(policy=PolicyText(files, "root", 0.0)), db.snapshot(), "test")
    with WeirDb(server.remote) as reader:
        reader.connect()
        assert reader.snapshot().files == db.snapshot().files == files


def test_the_snapshot_is_the_same_object_until_something_changes(db: WeirDb) -> None:
    before = db.snapshot()
    db.run()
    assert db.snapshot() is before
    db.execute(Command(create=(vif(1),)), before, "test")
    assert db.snapshot() is not before and not before.interfaces
    first = db.snapshot().interfaces["v1"]
    db.execute(Command(create=(vif(2),)), db.snapshot(), "test")
    assert db.snapshot().interfaces["v1"] is first


def test_numbers_and_interfaces_are_replaced_and_deleted(db: WeirDb) -> None:
    db.execute(Command(create=(vif(1), vif(2)), numbers={("node", "a"): 1, ("node", "b"): 2}), db.snapshot(), "test")
    db.execute(Command(delete=("v1",), numbers={("node", "b"): 2, ("node", "c"): 3}), db.snapshot(), "test")
    assert list(db.snapshot().interfaces) == ["v2"]
    assert db.snapshot().numbers == {("node", "b"): 2, ("node", "c"): 3}
    assert db.snapshot().interfaces["v2"].cfg == 1
    with pytest.raises(Refused, match="there is no VIF 'v1'"):
        db.execute(Command(delete=("v1",)), db.snapshot(), "test")
    db.execute(Command(delete=("v2",), create=(vif(2, mac="02:00:00:00:ff:ff"),)), db.snapshot(), "test")
    assert db.snapshot().interfaces["v2"].mac == "02:00:00:00:ff:ff"


def test_a_command_made_from_an_old_snapshot_is_a_conflict(server: WeirDbServer, db: WeirDb) -> None:
    with WeirDb(server.remote) as other:
        other.connect()
        old, stale = db.snapshot(), other.snapshot()
        db.execute(Command(create=(vif(1),)), old, "first")
        with pytest.raises(Conflict):
            db.execute(Command(create=(vif(2),)), old, "second, knowing it")
        with pytest.raises(Conflict):
            other.execute(Command(create=(vif(3),)), stale, "second, not knowing it")
        db.run()
        stale = db.snapshot()
        wait_until(lambda: (other.wait(0.1), other.run(), other.snapshot().cfg == 1)[2], "news")
        other.execute(Command(create=(vif(3),)), other.snapshot(), "third")
        with pytest.raises(Conflict):
            db.execute(Command(create=(vif(4),)), stale, "fourth")
        wait_until(lambda: (db.wait(0.1), db.run(), sorted(db.snapshot().interfaces) == ["v1", "v3"])[2], "news")


def test_what_the_schema_forbids_is_refused_in_words(db: WeirDb) -> None:
    db.execute(Command(create=(vif(1),)), db.snapshot(), "test")
    with pytest.raises(Refused, match=r"Virtual_Interface\.kind cannot be 'warp'"):
        db.execute(Command(create=(vif(2, kind="warp"),)), db.snapshot(), "test")
    with pytest.raises(Refused, match="constraint violation"):
        db.execute(Command(create=(vif(2, name="v1"),)), db.snapshot(), "test")
    assert list(db.snapshot().interfaces) == ["v1"] and db.snapshot().cfg == 1


def test_bindings_are_made_renewed_and_taken_away(server: WeirDbServer, db: WeirDb) -> None:
    at_vif, at_address = UserBinding("alice", "v1", "", 1.5, 2.5, "root"), UserBinding("bob", "", "10.0.0.9", 1.0)
    assert db.execute(Command(create=(vif(1),), bind=(at_vif, at_address)), db.snapshot(), "test") == 1
    assert db.snapshot().bindings == (at_vif, at_address)
    with WeirDb(server.remote) as reader:
        reader.connect()
        assert reader.snapshot() == db.snapshot()
    renewed = replace(at_vif, bound_at_s=2.0, expires_at_s=None, bound_by="eve")
    assert db.execute(Command(bind=(renewed,), unbind=(at_vif, at_address)), db.snapshot(), "test") == 2
    assert db.snapshot().bindings == (renewed,)
    assert db.execute(Command(unbind=(at_address,)), db.snapshot(), "nothing is there, and still a change") == 3
    db.execute(Command(bind=(at_address,)), db.snapshot(), "test")
    db.execute(Command(delete=("v1",)), db.snapshot(), "a VIF takes along what is bound to it")
    assert db.snapshot().bindings == (at_address,)


def apply(db: WeirDb, *texts: str, by: str = "root", reason: str = "") -> None:
    """Files a.yaml, b.yaml and so on."""
    files = {f"{name}.yaml": text for name, text in zip("abc", texts, strict=False)}
    at_s = float(db.snapshot().policy_version + 1)
    db.execute(Command(policy=PolicyText(files, by, at_s, reason)), db.snapshot(), "test")


def test_every_policy_version_is_kept_and_only_the_one_in_force_replicated(server: WeirDbServer, db: WeirDb) -> None:
    apply(db, "one", "same", by="eve", reason="because")
    with WeirDb(server.remote) as other:
        other.connect()
        apply(other, "two", "same")
        db.run()
        wait_until(lambda: (db.wait(0.1), db.run(), db.snapshot().policy_version == 2)[2], "news")
        apply(db, "one", "same")
        assert db.snapshot().files == {"a.yaml": "one", "b.yaml": "same"}
        assert server.dump("Policy").count("a.yaml") == 1
        assert server.dump("Policy_Text").count("same") == 1
        with WeirDb(server.remote) as reader:
            reader.connect()
            assert not any(reader.rows(table) for table in policy_history.TABLES)
            before = reader.snapshot()
            first, second, third = policy_history.versions(reader)
            assert (first.version, first.applied_at_s, first.applied_by, first.reason) == (1, 1.0, "eve", "because")
            assert first.files == third.files and first.files["b.yaml"] == second.files["b.yaml"]
            assert first.files["a.yaml"] == hashlib.sha256(b"one").hexdigest()
            assert policy_history.texts(reader, second) == {"a.yaml": "two", "b.yaml": "same"}
            assert policy_history.texts(reader, first) == {"a.yaml": "one", "b.yaml": "same"}
            assert reader.snapshot() == before
            wait_until(lambda: (other.wait(0.1), other.run(), other.snapshot().policy_version == 3)[2], "news")
            apply(other, "four")
            wait_until(lambda: (reader.wait(0.1), reader.run(), reader.snapshot().policy_version == 4)[2], "news")
            assert [one.version for one in policy_history.versions(reader)] == [1, 2, 3, 4]


def test_a_lost_text_is_said(server: WeirDbServer, db: WeirDb) -> None:
    apply(db, "one")
    apply(db, "two")
    gone = [
        "ovsdb-client",
        "transact",
        server.remote,
        '["Weir", {"op": "delete", "table": "Policy_Text", "where": []}]',
    ]
    subprocess.run(gone, check=True, capture_output=True)
    first, second = policy_history.versions(db)
    assert policy_history.texts(db, second) == {"a.yaml": "two"}
    with pytest.raises(DatabaseError, match=r"file a\.yaml of policy version 1 is not in table Policy_Text"):
        policy_history.texts(db, first)


def test_the_history_is_there_again_after_a_restart_of_the_server(server: WeirDbServer, db: WeirDb) -> None:
    apply(db, "one")
    assert len(policy_history.versions(db)) == 1
    server.stop()
    server.start()
    wait_until(lambda: (db.wait(0.1), db.run(), db.connected)[2], "connected again")
    apply(db, "two")
    assert [one.version for one in policy_history.versions(db)] == [1, 2]
    assert policy_history.texts(db, policy_history.versions(db)[0]) == {"a.yaml": "one"}
    server.stop()
    with pytest.raises(Disconnected, match=r"does not send Policy_Version within 0\.2 s"):
        db.replicate({"Policy_Version": NOTHING}, 0.2)


def without(schema: dict[str, Any], *tables: str) -> dict[str, Any]:
    return {**schema, "tables": {name: table for name, table in schema["tables"].items() if name not in tables}}


def test_a_database_of_an_older_schema_is_taken_over_with_what_it_holds(tmp_path: Path) -> None:
    """Version 1.1.0 kept its last two policy versions in table Policy, and had neither history nor bindings."""
    directory = StateDir(short_dir())
    try:
        directory.db.mkdir()
        directory.run.mkdir()
        old = without(json.loads(SCHEMA_PATH.read_text()), *policy_history.TABLES, "User_Binding") | {
            "version": "1.1.0"
        }
        schema = tmp_path / "old.ovsschema"
        schema.write_text(json.dumps(old))
        file = directory.db / "weir.db"
        rows = [
            {"op": "insert", "table": "Weir", "row": {"cfg": 7, "policy_version": 5}},
            *(
                {"op": "insert", "table": "Policy", "row": {"version": number, "files": ["map", [["a.yaml", text]]]}}
                for number, text in ((4, "four"), (5, "five"))
            ),
        ]
        subprocess.run(["ovsdb-tool", "create", file, schema], check=True)
        subprocess.run(["ovsdb-tool", "transact", file, json.dumps(["Weir", *rows])], check=True, capture_output=True)
        databases.prepare(directory, None)
        file.rename(directory.run / "weir-db.db")
        with WeirDbServer(directory.run) as server, WeirDb(server.remote) as db:
            db.connect()
            assert (db.snapshot().files, db.snapshot().bindings) == ({"a.yaml": "five"}, ())
            four, five = policy_history.versions(db)
            assert policy_history.texts(db, four) == {"a.yaml": "four"}
            apply(db, "six")
            assert [one.version for one in policy_history.versions(db)] == [4, 5, 6]
            assert policy_history.texts(db, four) == {"a.yaml": "four"}
            assert server.dump("Policy").count("a.yaml") == 1
            apply(db, "seven")
            assert policy_history.texts(db, five) == {"a.yaml": "five"}
    finally:
        shutil.rmtree(directory.path)


def test_vifs_of_a_database_of_schema_1_3_0_are_as_they_were_and_nothing_of_theirs_is_moved(tmp_path: Path) -> None:
    """It knew nothing of what the loop moves."""
    directory = StateDir(short_dir())
    try:
        directory.db.mkdir()
        directory.run.mkdir()
        old = json.loads(SCHEMA_PATH.read_text())
        today, old["version"] = old["version"], "1.3.0"
        del old["tables"]["Virtual_Interface"]["columns"]["scaled"]
        schema = tmp_path / "old.ovsschema"
        schema.write_text(json.dumps(old))
        file = directory.db / "weir.db"
        full = vif(
            7,
            chassis="h1",
            instance="run/7",
            binding={"netns": "red"},
            ifname="net1",
            labels={"app": "pay"},
            egress={"guarantee_kbps": 5000},
            learned=("10.9.0.7/24",),
            cfg=3,
        )
        columns = {name: getattr(full, name) for name in old["tables"]["Virtual_Interface"]["columns"]}
        rows = [
            {"op": "insert", "table": "Weir", "row": {"cfg": 3}},
            *(
                {"op": "insert", "table": "Virtual_Interface", "row": in_words(row)}
                for row in (columns, columns | {"name": "v8", "number": 8, "mac": vif(8).mac})
            ),
        ]
        subprocess.run(["ovsdb-tool", "create", file, schema], check=True)
        subprocess.run(["ovsdb-tool", "transact", file, json.dumps(["Weir", *rows])], check=True, capture_output=True)
        databases.prepare(directory, None)
        version = ["ovsdb-tool", "db-version", file]
        assert subprocess.run(version, check=True, capture_output=True, text=True).stdout.strip() == today
        file.rename(directory.run / "weir-db.db")
        with WeirDbServer(directory.run) as server, WeirDb(server.remote) as db:
            db.connect()
            assert db.snapshot().interfaces == {"v7": full, "v8": replace(full, name="v8", number=8, mac=vif(8).mac)}
            assert full.scaled == {}
            assert db.report_scaled({"v7": {"egress_kbps": 6000}})
            wait_until(lambda: db.run() or db.snapshot().interfaces["v7"].scaled == {"egress_kbps": 6000}, "it is read")
    finally:
        shutil.rmtree(directory.path)


def in_words(row: dict[str, Any]) -> dict[str, Any]:
    """A row as OVSDB's transactions write it; None: empty."""
    found: dict[str, Any] = {}
    for column, value in row.items():
        if isinstance(value, dict):
            found[column] = ["map", list(map(list, value.items()))]
        elif isinstance(value, tuple) or value is None:
            found[column] = ["set", list(value or ())]
        else:
            found[column] = value
    return found


def test_agent_and_controller_report_and_write_only_what_differs(server: WeirDbServer, db: WeirDb) -> None:
    db.execute(Command(create=(vif(1), vif(2, chassis="h2"))), db.snapshot(), "test")
    chassis = Chassis("h1", "br-weir", "00000000000000ab", "box", {"eth1": 4}, agent_cfg=1, capabilities={DPDK: NO})
    ready = VifStatus("ready", port_name="wv1", ofport=3, chassis="h1")
    gone = VifStatus("error", "no such namespace. Create it", chassis="h1")
    with WeirDb(server.remote) as agent, WeirDb(server.remote) as controller:
        agent.connect()
        controller.connect()
        assert not controller.report_flows("h1", 1, None, True)
        assert agent.report_chassis(chassis, {"v1": ready, "v2": gone, "v3": gone})
        assert not agent.report_chassis(chassis, {"v1": ready, "v2": gone, "v3": gone})
        wait_until(lambda: (controller.wait(0.1), controller.run(), "h1" in controller.snapshot().chassis)[2], "news")
        assert controller.report_flows("h1", 1, "meter refused. See log", True)
        assert not controller.report_flows("h1", 1, "meter refused. See log", True)
        wait_until(lambda: (db.wait(0.1), db.run(), db.snapshot().chassis["h1"].flow_cfg == 1)[2], "news")
        seen = db.snapshot()
        assert seen.chassis["h1"] == replace(chassis, flow_cfg=1, flow_error="meter refused. See log", connected=True)
        assert seen.interfaces["v1"] == vif(1, cfg=1, state="ready", port_name="wv1", ofport=3, chassis="h1")
        assert seen.interfaces["v2"] == vif(2, cfg=1, chassis="h2")  # another's: what h1 says of it is passed over
        assert agent.report_chassis(replace(chassis, agent_cfg=2), {"v1": VifStatus("pending")})
        wait_until(lambda: (db.wait(0.1), db.run(), db.snapshot().chassis["h1"].agent_cfg == 2)[2], "news")
        assert db.snapshot().chassis["h1"].flow_cfg == 1
        assert db.snapshot().interfaces["v1"] == vif(1, cfg=1, chassis="h1")


def test_what_a_vif_was_told_outside_goes_when_it_leaves_the_segment(db: WeirDb) -> None:
    db.execute(Command(create=(vif(1), vif(2))), db.snapshot(), "test")
    db.report_learned({"v1": ("10.9.0.1/24",), "v2": ("10.9.0.2/24",)})
    wait_until(lambda: db.run() or db.snapshot().interfaces["v2"].learned, "it is read")
    there = db.snapshot().interfaces
    moved = replace(there["v1"], segment="other"), replace(there["v2"], policy="acme/db")
    db.execute(Command(change=moved), db.snapshot(), "test")
    found = db.snapshot().interfaces
    assert (found["v1"].learned, found["v2"].learned) == ((), ("10.9.0.2/24",))


def test_what_the_loop_has_moved_is_kept_by_commands_and_taken_away_whole(db: WeirDb) -> None:
    db.execute(Command(create=(vif(1), vif(2))), db.snapshot(), "test")
    assert db.report_scaled({"v1": {"egress_kbps": 5000, "cpu_permille": 70}, "gone": {"egress_kbps": 1}})
    assert not db.report_scaled({"v1": {"egress_kbps": 5000, "cpu_permille": 70}})
    db.execute(Command(change=(replace(db.snapshot().interfaces["v1"], policy="acme/db"),)), db.snapshot(), "test")
    assert db.snapshot().interfaces["v1"].scaled == {"egress_kbps": 5000, "cpu_permille": 70}
    assert db.report_scaled({"v1": {"cpu_permille": 80}})
    wait_until(lambda: db.run() or db.snapshot().interfaces["v1"].scaled == {"cpu_permille": 80}, "it is read")
    assert db.snapshot().interfaces["v2"].scaled == {}


def test_it_goes_on_when_the_server_restarts(server: WeirDbServer, db: WeirDb) -> None:
    db.execute(Command(create=(vif(1),)), db.snapshot(), "test")
    with WeirDb(server.remote) as watcher:
        watcher.connect()
        watcher.run()
        server.stop()
        wait_until(lambda: (watcher.wait(0.1), watcher.run(), not watcher.connected)[2], "loss of the connection")
        assert list(watcher.snapshot().interfaces) == ["v1"]
        server.start()
        db.execute(Command(create=(vif(2),)), db.snapshot(), "test")
        wait_until(lambda: (watcher.wait(0.1), watcher.run(), len(watcher.snapshot().interfaces) == 2)[2], "news")
        assert watcher.connected


def test_it_says_who_does_not_answer() -> None:
    directory = short_dir()
    with WeirDb(f"unix:{directory}/nobody.sock") as db, pytest.raises(Disconnected) as fault:
        db.connect(0.2)
    directory.rmdir()
    assert "nobody.sock: the database Weir does not answer within 0.2 s. See whether" in str(fault.value)


def test_it_says_that_the_server_was_started_by_an_older_version() -> None:
    directory = short_dir()
    schema = json.loads(SCHEMA_PATH.read_text())
    del schema["tables"]["Virtual_Interface"]["columns"]["learned"]
    (directory / "older.ovsschema").write_text(json.dumps({**schema, "version": "1.2.0"}))
    server = start_ovsdb_server(directory, "weir-db", directory / "older.ovsschema")
    try:
        with WeirDb(f"unix:{directory}/weir-db.sock") as db, pytest.raises(Disconnected) as fault:
            db.connect(5)
    finally:
        server.stop()
        shutil.rmtree(directory)
    needed = schema["version"]
    assert str(fault.value).endswith(
        f": the Weir DB has schema 1.2.0, this version needs {needed}. Restart the system: weir down, weir up."
    )


def test_several_sessions_and_other_descriptors_are_awaited_at_once(server: WeirDbServer, db: WeirDb) -> None:
    with WeirDb(server.remote) as quiet:
        quiet.connect()
        for session in (db, quiet):
            session.run()
        receiver, sender = multiprocessing.Pipe(duplex=False)
        poller = Poller()
        for session in (db, quiet):
            session.register(poller)
        poller.fd_wait(receiver)
        sender.send("x")
        assert receiver.fileno() in poller.block(10)
        poller.fd_wait(receiver)
        receiver.recv()
        assert poller.block(0.05) == frozenset()


class _Unaware(WeirDb):
    """Does not look before it writes."""

    def rows(self, table: str) -> dict[object, object]:
        return {} if table == "Weir" and self.blind else super().rows(table)

    blind = False


def test_two_first_commands_at_once_are_a_conflict_too(server: WeirDbServer, db: WeirDb) -> None:
    """Both make the one row of table Weir, and the server has to say no to the second."""
    with _Unaware(server.remote) as second:
        second.connect()
        stale = second.snapshot()
        db.execute(Command(create=(vif(1),)), db.snapshot(), "first")
        second.blind = True
        with pytest.raises(Refused, match="constraint violation"):
            second.execute(Command(create=(vif(2),)), stale, "second")
        second.blind = False
        assert second._becomes_second()


def _first_command(remote: str, number: int) -> None:
    with WeirDb(remote) as db:
        db.connect()
        while True:
            try:
                db.execute(Command(create=(vif(number),)), db.snapshot(), "first")
                return
            except Conflict:
                db.run()


def test_first_commands_that_race_all_succeed(server: WeirDbServer, db: WeirDb) -> None:
    spawn = multiprocessing.get_context("spawn")
    racers = [spawn.Process(target=_first_command, args=(server.remote, number)) for number in range(1, 5)]
    for racer in racers:
        racer.start()
    for racer in racers:
        racer.join(60)
        assert racer.exitcode == 0
    wait_until(lambda: (db.wait(0.1), db.run(), db.snapshot().cfg == 4)[2], "all changes")


def _add_interfaces(remote: str, numbers: range) -> None:
    with WeirDb(remote) as db:
        db.connect()
        for number in numbers:
            while True:
                db.run()
                base = db.snapshot()
                following = {"vif": base.next_number.get("vif", 0) + 1}
                try:
                    db.execute(Command(create=(vif(number),), next_number=following), base, "race")
                    break
                except Conflict:
                    continue


def test_racing_writers_lose_nothing(server: WeirDbServer, db: WeirDb) -> None:
    db.execute(Command(other_config={"made": "yes"}), db.snapshot(), "the one row")
    racers = [
        multiprocessing.get_context("spawn").Process(target=_add_interfaces, args=(server.remote, range(at, at + 20)))
        for at in (1, 101, 201)
    ]
    for racer in racers:
        racer.start()
    for racer in racers:
        racer.join(60)
        assert racer.exitcode == 0
    db.connect()
    wait_until(lambda: (db.wait(0.1), db.run(), db.snapshot().cfg == 61)[2], "all changes")
    assert len(db.snapshot().interfaces) == 60
    assert db.snapshot().next_number == {"vif": 60}


def test_a_thousand_rows_cost_one_transaction_and_about_the_time_of_their_number(db: WeirDb) -> None:
    def create(numbers: range) -> float:
        before_s = time.perf_counter()
        db.execute(Command(create=tuple(vif(number) for number in numbers)), db.snapshot(), "many")
        assert len(db.snapshot().interfaces) == numbers.stop - 1
        return time.perf_counter() - before_s

    create(range(1, 2))
    hundred_s = min(create(range(at, at + 100)) for at in (2, 102, 202))
    thousand_s = min(create(range(at, at + 1000)) for at in (302, 1302))  # as others use this machine too
    assert db.snapshot().cfg == 6
    assert thousand_s < 40 * hundred_s  # 10 for a cost in proportion, 100 for one that grows with the square


GREEN = """
    import eventlet, sys, time
    eventlet.monkey_patch(thread=False)
    from ovsdb.weir_db import Command, WeirDb
    from ovsdb.rows import VirtualInterface

    remote, gaps, last = sys.argv[1], [], time.monotonic()

    def heart():
        global last
        while True:
            gaps.append(time.monotonic() - last)
            last = time.monotonic()
            eventlet.sleep(0.01)

    def watch(db):
        while len(db.snapshot().interfaces) < 300:
            db.wait(5)
            db.run()

    beat = eventlet.spawn(heart)
    with WeirDb(remote) as watcher, WeirDb(remote) as writer:
        watcher.connect(), writer.connect()
        watching = eventlet.spawn(watch, watcher)
        eventlet.sleep(0.3)
        waiting = len(gaps)
        vifs = tuple(VirtualInterface(f"v{n}", n, "p", "s", "veth", f"m{n}", ()) for n in range(1, 301))
        writer.execute(Command(create=vifs), writer.snapshot(), "green")
        watching.wait()
    print(waiting)
"""


def test_a_green_thread_that_waits_lets_the_others_run(server: WeirDbServer) -> None:
    """As in ryu-manager. A session that blocked the process would leave the heart a beat or two while it waits."""
    argv = [sys.executable, "-W", "ignore", "-c", textwrap.dedent(GREEN), server.remote]
    done = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) >= 5
