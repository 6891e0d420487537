"""The command line without a system: what it refuses, with which words and status, and what stays untouched."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.command_line import Weir

POLICY = """\
weir: 1
segments: {lab: {type: internal, subnets: [10.30.0.0/24]}}
policies: {red: {egress: {limit: 20 mbit}, rules: [allow: {}]}}
"""


@pytest.fixture
def weir(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Weir:
    monkeypatch.setenv("WEIR_STATE_DIR", str(tmp_path / "state"))
    monkeypatch.delenv("WEIR_LOOP_INTERVAL_S", raising=False)
    monkeypatch.setattr(os, "geteuid", lambda: 1000)  # should a check be missing, nothing is started
    return Weir(monkeypatch, capsys)


@pytest.fixture
def policy(tmp_path: Path) -> Path:
    file = tmp_path / "policy.yaml"
    file.write_text(POLICY)
    return file


def test_a_correct_policy(weir: Weir, policy: Path) -> None:
    assert weir("policy", "check", str(policy)) == 0
    assert weir.out == ""
    assert weir("policy", "check", "--json", str(policy)) == 0
    assert set(json.loads(weir.out)["nodes"]) == {"red"}


NOT_ENFORCED = """\
weir: 1
policies:
  red: {best-effort: true, queues: {min: 1, max: 2}}
  blue: {queues: {min: 1, max: 4}, BLUE}
"""


def test_what_is_not_enforced_is_a_warning_of_check_and_a_refusal_of_apply(weir: Weir, tmp_path: Path) -> None:
    file = tmp_path / "policy.yaml"
    file.write_text(NOT_ENFORCED.replace(", BLUE", ""))
    assert weir("policy", "check", "--json", str(file)) == 0
    lines = weir.err.splitlines()
    assert len(lines) == 2 and all(line.startswith(f"warning: {file}:") for line in lines)
    assert [one["severity"] for one in json.loads(weir.out)["findings"]] == ["warning", "refusal"]
    for command in (["policy", "apply", str(file)], ["up", "--policy", str(file)]):
        assert weir(*command) == 2
        (line,) = weir.err.splitlines()
        assert line.startswith(f"{file}:") and "policies.blue.queues: nothing moves it" in line
    file.write_text(NOT_ENFORCED.replace("BLUE", "best-effort: true"))
    for command in (["policy", "apply", str(file)], ["up", "--policy", str(file)]):
        assert weir(*command) == 1  # no system runs, and who asks is not root
        assert [line.startswith("warning: ") for line in weir.err.splitlines()] == [True, True, False]


def test_a_wrong_policy_is_one_line_an_error(weir: Weir, tmp_path: Path) -> None:
    file = tmp_path / ("long-name-" * 15 + ".yaml")
    file.write_text("weir: 1\npolicies: {red: {egress: {limit: 10 mbps}, ingress: {limit: 10}}}\n")
    assert weir("policy", "check", str(file)) == 2
    lines = weir.err.splitlines()
    assert len(lines) == 2
    assert all(line.startswith(f"{file}:2:") for line in lines)
    assert weir.out == ""


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["up", "--ovs", "other"], "--ovs: 'other' is not known. Write one of: embedded, system."),
        (["agent", "--bridge", "b", "--chassis", "h", "--datapath", "fast"], "--datapath: 'fast' is not known."),
        (["up", "--datapath", "fast"], "--datapath: 'fast' is not known."),
        (["up", "--uplink", "out/0"], "--uplink: 'out/0' cannot be the name of a network device."),
        (["up", "--uplink", "out0="], "--uplink: '' cannot be the name of a network device."),
        (["up", "--uplink", "lo"], "--uplink lo: Weir uses this name itself."),
        (["up", "--uplink", "wv7"], "--uplink wv7: Weir uses this name itself."),
        (["up", "--uplink", "a=b", "--uplink", "c=b"], "--uplink c: named twice."),
        (["up", "--uplink", "a", "--ovs", "system"], "Write --uplink a=DEVICE."),
        (["up", "--policy", "/nonexistent"], "/nonexistent:1:1: document: there is no such file."),
        (["vif", "create", "a", "--policy", "p", "--label", "x"], "Write --label KEY=VALUE."),
        (["vif", "create", "a", "--policy", "p", "--label", "x=1", "--label", "x=2"], "--label x: given twice."),
        (
            ["vif", "create", "a", "--policy", "p", "--netns", "n", "--pid", "1"],
            "--netns, --pid and --container: a VIF",
        ),
        (["vif", "create", "a", "--policy", "p", "--runtime", "podman"], "Give the container with --container."),
        (
            ["vif", "create", "a", "--policy", "p", "--egress", "10 mbit"],
            "--egress: '10 mbit' is neither a guarantee nor",
        ),
        (
            ["vif", "create", "a", "--policy", "p", "--ingress", "limit=0 bit"],
            "--ingress: a limit of 0 lets nothing pass.",
        ),
        (["vif", "create", "a", "--policy", "p", "--count", "0"], "--count 0: one command makes 1 to 10,000."),
        (["vif", "delete", "a", "--count", "0"], "--count 0: one command deletes 1 to 10,000."),
        (["vif", "create", "a", "--policy", "p", "--driver", "netdev"], "--driver means nothing to kind veth."),
        (["vif", "create", "a", "--policy", "p", "--no-trust"], "--no-trust means nothing to kind veth. It is for vf"),
        (["vif", "create", "a", "--policy", "p", "--spoof-check"], "--spoof-check means nothing to kind veth."),
        (
            ["vif", "create", "a", "--policy", "p", "--with-representor", "--kind", "tap"],
            "--with-representor means nothing to kind tap.",
        ),
        (
            ["vif", "create", "a", "--policy", "p", "--queues", ""],
            "--queues means nothing to kind veth. It is for tap or vhost-user: leave it out.",
        ),
        (["vif", "create", "a", "--policy", "p", "--count", "2", "--ip", "10.0.0.1"], "--count: several cannot have"),
        (
            ["vif", "create", "a", "--policy", "p", "--driver", "uio"],
            "--driver uio: there is no such driver. Use netdev or",
        ),
        (["vif", "create", "a", "--policy", "p", "--owner", "no such user"], "there is no user 'no such user' on this"),
        (["vif", "create", "a"], "--policy"),
        (["vif", "set", "a"], "nothing is named that shall change. See weir vif set --help."),
        (
            ["vif", "set", "a", "--ip", "auto", "--ip", "10.0.0.1"],
            "--ip auto: Weir chooses all of the addresses or none.",
        ),
        (["vif", "set", "a", "--label", "x"], "Write --label KEY=VALUE."),
        (["agent", "--bridge", "s1", "--chassis", "a:b"], "--chassis: 'a:b' cannot be the name of a chassis."),
        (["agent", "--bridge", "s1", "--chassis", ""], "--chassis: '' cannot be the name of a chassis."),
        (["agent", "--bridge", "s/1", "--chassis", "a"], "--bridge: 's/1' cannot be the name of a network device."),
        (["agent", "--bridge", "s1", "--chassis", "a", "--uplink", "=x"], "--uplink: '' cannot be the name"),
        (["agent", "--bridge", "s1", "--chassis", "a", "--uplink", "a="], "--uplink: '' cannot be the name"),
        (["policy", "check"], "FILE"),
        (["policy", "rollback", "one"], "VERSION"),
        (["identity", "bind"], "nobody is named. Give USER and --vif NAME or --ip A, or --file FILE."),
        (["identity", "bind", "alice"], "--vif and --ip: neither is given."),
        (["identity", "bind", "alice", "--vif", "a", "--ip", "10.0.0.1"], "--vif and --ip: both are given."),
        (["identity", "bind", "alice", "--vif", "a", "--ttl", "8"], "--ttl: '8' has no unit. Write '8 us',"),
        (["identity", "bind", "alice", "--vif", "a", "--ttl", "8 hours"], "--ttl: '8 hours' is not a time."),
        (["identity", "bind", "alice", "--file", "f"], "--file: the file says who is where."),
        (["identity", "bind", "--file", "/nonexistent"], "/nonexistent:1:1: document: there is no such file."),
        (["identity", "unbind"], "USER"),
        (["nonsense"], "nonsense"),
    ],
)
def test_wrong_input_has_status_2(weir: Weir, arguments: list[str], words: str) -> None:
    assert weir(*arguments) == 2
    assert words in weir.err
    assert weir.out == ""


def test_up_is_for_root(weir: Weir, tmp_path: Path) -> None:
    assert weir("up") == 1
    assert weir.err == "weir up makes network namespaces and links, which only root may. Run: sudo weir up.\n"
    assert not (tmp_path / "state").exists()


def test_a_loop_interval_that_is_none(weir: Weir, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WEIR_LOOP_INTERVAL_S", "never")
    assert weir("up") == 2
    assert "WEIR_LOOP_INTERVAL_S: 'never' is no pace for the loop." in weir.err


@pytest.mark.parametrize(
    "arguments",
    [
        ["vif", "list"],
        ["vif", "show", "a"],
        ["vif", "delete", "a"],
        ["vif", "exec", "a"],
        ["policy", "show"],
        ["policy", "list"],
        ["policy", "history"],
        ["policy", "rollback"],
        ["identity", "bind", "alice", "--ip", "10.0.0.1"],
        ["identity", "unbind", "alice"],
        ["identity", "list"],
    ],
)
def test_without_a_system_it_says_so(weir: Weir, arguments: list[str], tmp_path: Path) -> None:
    assert weir(*arguments) == 1
    assert weir.err == f"no system runs in {tmp_path / 'state'}. Run weir up, or name its --state-dir.\n"


def test_status_and_down_without_a_system(weir: Weir, tmp_path: Path) -> None:
    assert weir("status", "--json") == 1
    assert json.loads(weir.out)["running"] is False
    assert weir("down") == 0
    assert "nothing runs" in weir.err
    assert not (tmp_path / "state").exists()


def test_a_state_directory_too_deep_for_sockets(weir: Weir) -> None:
    assert weir("status", "--state-dir", "/tmp/" + "deep/" * 20) == 2
    assert "too long for the Unix sockets" in weir.err


def test_a_process_that_is_not_there(weir: Weir) -> None:
    gone = subprocess.Popen(["true"])
    gone.wait()
    assert weir("vif", "create", "a", "--policy", "p", "--pid", str(gone.pid)) == 1
    assert "there is no such process" in weir.err


def loaded_by(*arguments: str) -> set[str]:
    """The modules that a command has imported when it ends, with the packages that they are in."""
    script = (
        "import sys, atexit; from controller.cli.main import main; "
        "atexit.register(lambda: print('modules:', *sys.modules)); main()"
    )
    done = subprocess.run([sys.executable, "-c", script, *arguments], capture_output=True, text=True)
    names = done.stdout.rpartition("modules:")[2].split()
    return {*names, *(name.partition(".")[0] for name in names)}


HEAVY = {"numpy", "pyroute2", "ryu", "eventlet", "asyncio", "rich", "pydantic", "http", "ssl", "email"}


def test_help_needs_nothing_heavy() -> None:
    loaded = loaded_by("--help")
    assert "controller.cli.vif_commands" in loaded
    assert not loaded & {*HEAVY, "ovs", "yaml", "policies"}


def test_a_command_imports_no_other(tmp_path: Path) -> None:
    loaded = loaded_by("vif", "list", "--state-dir", str(tmp_path))
    assert {name for name in loaded if name.endswith(("_commands", "_command"))} == {"controller.cli.vif_commands"}


def test_creating_a_vif_needs_neither_compiler_nor_anything_heavy(tmp_path: Path) -> None:
    loaded = loaded_by("vif", "create", "a", "--policy", "p", "--state-dir", str(tmp_path))
    assert {"ovs.db.idl", "controller.intent.creation", "policies.parser"} <= loaded  # else it has not got that far
    assert not loaded & {*HEAVY, "controller.compiler.bridge", "controller.dataplane.entries", "controller.intent.plan"}


def test_a_reader_that_has_seen_enough_gets_no_traceback(policy: Path) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    argv = [sys.executable, "-m", "controller.cli.main", "policy", "check", "--json", str(policy)]
    done = subprocess.run(argv, stdout=writer, stderr=subprocess.PIPE, text=True)
    os.close(writer)
    assert "Traceback" not in done.stderr
