"""`weir up`, `down` and `status` for real: ready when it returns, healed when killed, gone without a trace."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from controller.config import StateDir
from controller.system import databases, lifecycle
from tests.support.ovs_sandbox import wait_until
from tests.support.system import NOTHING, WEIR, Home, SystemUnderTest

POLICY = """\
weir: 1
segments:
  lab: {type: internal, subnets: [10.30.0.0/24]}
policies:
  red:
    egress: {limit: 20 mbit}
    rules:
      - allow: {name: anything}
"""
PROCESSES = ("ovsdb-server", "ovs-vswitchd", "weir-db", "controller", "agent")


def test_up_is_ready_and_down_leaves_nothing(system: SystemUnderTest) -> None:
    before = system.home.links()
    done = system.weir("up", "--uplink", "out0")
    assert done.stdout == ""
    assert system.home.links() == before | {"out0"}
    status = system.json("status")
    assert status["problems"] == []
    assert set(status["processes"]) == {"supervisor", *PROCESSES}
    assert all(process["restarts"] == 0 for process in status["processes"].values())
    assert "table" in system.ofctl("dump-flows", "br-weir")
    system.weir("down")
    assert system.traces() == NOTHING
    assert system.home.links() == before
    assert sorted(path.name for path in system.directory.path.iterdir()) == ["db", "log"]


def test_down_where_nothing_runs(system: SystemUnderTest) -> None:
    done = system.weir("down")
    assert "nothing runs" in done.stderr
    assert system.weir("status", check=False).returncode == 1


def test_what_was_wanted_comes_back(system: SystemUnderTest, policy: Path) -> None:
    system.weir("up", "--policy", str(policy))
    system.weir("vif", "create", "a", "--policy", "red")
    shown = system.json("vif", "show", "a")
    system.weir("down")
    assert system.traces() == NOTHING
    system.weir("up")
    again = system.json("vif", "show", "a")
    assert (again["state"], again["mac"], again["addresses"]) == ("ready", shown["mac"], shown["addresses"])


def test_a_host_that_was_renamed_keeps_its_chassis_and_vifs(system: SystemUnderTest, policy: Path) -> None:
    system.weir("up", "--policy", str(policy))
    system.weir("vif", "create", "a", "--policy", "red")
    before = system.json("status")["chassis"]
    system.weir("down")
    renamed = ("unshare", "--uts", "--", "sh", "-c", 'hostname another-host && exec "$0" up', WEIR)
    system.home.run(*renamed, WEIR_STATE_DIR=str(system.directory.path))
    status = system.json("status")
    assert status["problems"] == []
    assert set(status["chassis"]) == set(before)
    assert [vif["state"] for vif in system.json("vif", "list")] == ["ready"]


def test_two_systems_side_by_side(system: SystemUnderTest, policy: Path) -> None:
    with SystemUnderTest(system.home) as other:
        system.weir("up", "--policy", str(policy), "--uplink", "outa")
        other.weir("up", "--policy", str(policy), "--uplink", "outb")
        for one in (system, other):
            one.weir("vif", "create", "a", "--policy", "red")
            one.weir("vif", "create", "b", "--policy", "red")
        address = system.json("vif", "show", "b")["addresses"][0].partition("/")[0]
        assert address == other.json("vif", "show", "b")["addresses"][0].partition("/")[0]
        other.weir("down")
        assert other.traces() == NOTHING
        system.await_well()
        system.weir("vif", "exec", "a", "--", "ping", "-c", "1", "-w", "10", address)


def test_up_again_agrees_or_says_what_differs(system: SystemUnderTest) -> None:
    system.weir("up")
    before = system.pids()
    assert "already" in system.weir("up").stderr
    differs = system.weir("up", "--uplink", "out0", check=False)
    assert differs.returncode == 1
    assert "--uplink is none, not out0" in differs.stderr
    assert system.pids() == before


@pytest.mark.parametrize("name", PROCESSES)
def test_a_killed_process_comes_back(system: SystemUnderTest, policy: Path, name: str) -> None:
    system.weir("up", "--policy", str(policy))
    system.weir("vif", "create", "a", "--policy", "red")
    flows = _flows(system)
    before = system.pids()
    system.kill([name])
    system.await_restart(before, [name])
    system.await_well()
    wait_until(lambda: _flows(system) == flows, "the flows are back")
    assert _comes_before_other_sessions(system.pids()["ovs-vswitchd"])


def _comes_before_other_sessions(pid: int) -> bool:
    group = Path(f"/proc/{pid}/autogroup")
    return not group.exists() or group.read_text().endswith(" nice -10\n")


def test_a_killed_supervisor_is_started_by_up_and_adopts(system: SystemUnderTest) -> None:
    system.weir("up")
    before = system.pids()
    system.kill(["supervisor"])
    wait_until(lambda: "supervisor" not in system.pids(), "it is gone")
    status = system.weir("status", check=False)
    assert status.returncode == 1
    assert "supervisor does not run" in status.stderr
    system.weir("up")
    after = system.pids()
    assert {name: after[name] for name in PROCESSES} == {name: before[name] for name in PROCESSES}
    assert after["supervisor"] != before["supervisor"]


def test_a_dead_controller_has_no_switch_connected(system: SystemUnderTest) -> None:
    system.weir("up")
    system.kill(["supervisor", "controller"])
    wait_until(lambda: "controller" not in system.pids(), "it is gone")
    status = json.loads(system.weir("status", "--json", check=False).stdout)
    assert [chassis["connected"] for chassis in status["chassis"].values()] == [False]
    problems = "\n".join(status["problems"])
    assert "controller does not run" in problems
    assert "its switch is not connected to the controller" in problems


@pytest.mark.parametrize("stage", ["namespace", "supervisor"])
def test_an_interrupted_up_is_taken_down_or_finished(system: SystemUnderTest, stage: str) -> None:
    seen = {"namespace": system.namespaces, "supervisor": system.pids}[stage]
    for finish in ("down", "up"):
        starting = system.start("up", "--uplink", "out0")
        wait_until(seen, f"{stage} is there")
        starting.kill()
        starting.wait()
        if finish == "up":
            system.weir("up", "--uplink", "out0")
            assert system.json("status")["problems"] == []
        system.weir("down")
        assert system.traces() == NOTHING
        assert system.home.links() == {"lo"}


def test_a_database_is_there_whole_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    directory, tool = StateDir(tmp_path), databases._tool

    def interrupted(*arguments: str) -> str:
        if arguments[0] == "transact":
            raise KeyboardInterrupt
        return tool(*arguments)

    directory.db.mkdir()
    monkeypatch.setattr(databases, "_tool", interrupted)
    with pytest.raises(KeyboardInterrupt):
        databases.prepare(directory, {})
    monkeypatch.undo()
    databases.prepare(directory, {})
    for name, table in (("weir.db", "Weir"), ("conf.db", "Open_vSwitch")):
        query = json.dumps([table, {"op": "select", "table": table, "where": [], "columns": []}])
        assert json.loads(tool("query", str(directory.db / name), query)) == [{"rows": [{}]}]
    lifecycle.remove_databases(directory)
    assert not directory.db.exists()


def test_a_system_has_its_own_macs_before_its_first_vif(tmp_path: Path) -> None:
    """Those outside are told of its router's as soon as there is one: it shall not change when VIFs come."""
    found = []
    for name in ("first", "second"):
        directory = StateDir(tmp_path / name)
        directory.db.mkdir(parents=True)
        databases.prepare(directory, None)
        query = json.dumps(["Weir", {"op": "select", "table": "Weir", "where": [], "columns": ["other_config"]}])
        found.append(json.loads(databases._tool("query", str(directory.db / "weir.db"), query))[0]["rows"][0])
    ids = [dict(row["other_config"][1])["system-id"] for row in found]
    assert all(re.fullmatch("[0-9a-f]{6}", one) for one in ids) and ids[0] != ids[1]


def test_a_vif_that_cannot_come_back_does_not_hold_up_the_others(system: SystemUnderTest, policy: Path) -> None:
    system.weir("up", "--policy", str(policy))
    with Home("gone") as gone:
        system.weir("vif", "create", "a", "--policy", "red", "--netns", gone.name)
        system.weir("vif", "create", "b", "--policy", "red")
        system.weir("down")
    system.weir("up")
    assert {vif["name"]: vif["state"] for vif in system.json("vif", "list")} == {"a": "error", "b": "ready"}
    status = system.weir("status", check=False)
    assert status.returncode == 1
    assert "VIF a: " in status.stderr


def test_down_after_everything_was_killed(system: SystemUnderTest) -> None:
    system.weir("up", "--uplink", "out0")
    system.kill(["supervisor", *PROCESSES])
    system.weir("down")
    assert system.traces() == NOTHING
    assert "out0" not in system.home.links()


def test_down_without_a_supervisor_or_a_record(system: SystemUnderTest) -> None:
    system.weir("up", "--uplink", "out0")
    system.kill(["supervisor"])
    system.directory.system_file.unlink()
    system.weir("down")
    assert system.traces() == NOTHING
    assert "out0" not in system.home.links()


def test_a_wrong_policy_starts_nothing(home: Home, tmp_path: Path) -> None:
    policy = tmp_path / "wrong.yaml"
    policy.write_text("weir: 1\npolicies:\n  red: {egress: {limit: 10 mbps}}\n")
    state = tmp_path / "state"
    done = home.run(WEIR, "up", "--state-dir", str(state), "--policy", str(policy), check=False)
    assert done.returncode == 2
    assert done.stderr.startswith(f"{policy}:3:")
    assert not state.exists()


def test_what_cannot_be_is_refused_and_leaves_nothing(system: SystemUnderTest) -> None:
    system.home.run("ip", "link", "add", "taken", "type", "veth", "peer", "name", "wire")
    for arguments, status, words in (
        (["--uplink", "out0=missing"], 1, "no such device"),
        (["--uplink", "taken"], 1, "exists here already"),
        (["--uplink", "a-name-that-is-too-long"], 2, "cannot be the name of a network device"),
        (["--datapath", "other"], 2, "userspace"),
        (["--ovs", "system", "--uplink", "out0"], 2, "out0=DEVICE"),
        (["--ovs", "other"], 2, "embedded, system"),
    ):
        done = system.weir("up", *arguments, check=False)
        assert (done.returncode, words in done.stderr) == (status, True), done.stderr
        assert system.traces() == NOTHING
        assert list(system.directory.path.iterdir()) == []


def test_a_failure_on_the_way_is_taken_back(system: SystemUnderTest) -> None:
    system.directory.db.mkdir()
    (system.directory.db / "weir.db").write_text("no database\n")
    done = system.weir("up", "--uplink", "out0", check=False)
    assert done.returncode == 1
    assert "weir.db" in done.stderr
    assert system.traces() == NOTHING
    assert "out0" not in system.home.links()
    assert not system.directory.run.exists()


def _flows(system: SystemUnderTest) -> list[str]:
    lines = system.ofctl("--no-stats", "dump-flows", "br-weir").splitlines()
    return sorted(line.strip() for line in lines if "cookie" in line)


def test_the_namespace_of_a_state_directory_depends_on_its_path() -> None:
    assert StateDir(Path("/tmp/a")).namespace != StateDir(Path("/tmp/b")).namespace
