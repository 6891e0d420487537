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
  red: {best-effort: true, buffer: 64 kib}
  blue: {cpu: 20 %, BLUE}
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
        assert line.startswith(f"{file}:") and "policies.blue.cpu: is not enforced by this version." in line
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
        (["up", "--datapath", "kernel"], "--datapath kernel: this version drives the userspace datapath alone."),
        (["up", "--datapath", "fast"], "--datapath: 'fast' is not known."),
        (["up", "--uplink", "out/0"], "--uplink: 'out/0' cannot be the name of a network device."),
        (["up", "--uplink", "out0="], "--uplink: '' cannot be the name of a network device."),
        (["up", "--uplink", "lo"], "--uplink lo: Weir uses this name itself."),
        (["up", "--uplink", "wv7"], "--uplink wv7: Weir uses this name itself."),
        (["up", "--uplink", "a=b", "--uplink", "c=b"], "--uplink c: named twice."),
        (["up", "--uplink", "a", "--ovs", "system"], "Write --uplink a=DEVICE."),
        (["up", "--policy", "/nonexistent"], "/nonexistent:1:1: document: there is no such file."),
        (["vif", "create", "a", "--policy", "p", "--kind", "tap"], "--kind tap: this version does not make it."),
        (["vif", "create", "a", "--policy", "p", "--label", "x"], "Write --label KEY=VALUE."),
        (["vif", "create", "a", "--policy", "p", "--label", "x=1", "--label", "x=2"], "--label x: given twice."),
        (["vif", "create", "a", "--policy", "p", "--netns", "n", "--pid", "1"], "--netns and --pid:"),
        (["vif", "create", "a"], "--policy"),
        (["vif", "create", "a", "--policy", "p", "--container", "c"], "--container"),
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


def test_help_needs_nothing_heavy() -> None:
    script = "import sys, controller.cli.main; print(' '.join(sys.modules))"
    loaded = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True).stdout.split()
    assert not {"ovs", "yaml", "numpy", "pyroute2", "ryu", "eventlet"} & {name.partition(".")[0] for name in loaded}


def test_a_reader_that_has_seen_enough_gets_no_traceback(policy: Path) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    argv = [sys.executable, "-m", "controller.cli.main", "policy", "check", "--json", str(policy)]
    done = subprocess.run(argv, stdout=writer, stderr=subprocess.PIPE, text=True)
    os.close(writer)
    assert "Traceback" not in done.stderr
