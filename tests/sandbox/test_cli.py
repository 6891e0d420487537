"""The commands on a running system: what they print, how they end, and that what they say is so."""

from __future__ import annotations

import json
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.ovs_sandbox import wait_until
from tests.support.system import WEIR, Home, SystemUnderTest

POLICY = """\
weir: 1
segments:
  lab: {type: internal, subnets: [10.30.0.0/24, 'fd00:30::/64']}
policies:
  red:
    egress: {limit: 20 mbit}
    ingress: {limit: 10 mbit}
    rules:
      - allow: {name: anything}
  blue: {}
  gold:
    rules:
      - allow: {direction: ingress, from: {user: alice}, service: tcp/5432}
"""


@pytest.fixture(scope="module")
def system(policy: Path) -> Iterator[SystemUnderTest]:
    with Home("cli") as home, SystemUnderTest(home) as under_test:
        under_test.weir("up", "--policy", str(policy))
        yield under_test


@pytest.fixture
def vif(system: SystemUnderTest) -> Iterator[str]:
    system.weir("vif", "create", "a", "--policy", "red")
    yield "a"
    system.weir("vif", "delete", "a")


def test_a_vif_is_shown_as_the_contract_says(system: SystemUnderTest, vif: str) -> None:
    shown = system.json("vif", "show", vif)
    assert set(shown) >= {
        "name", "policy", "kind", "segment", "state", "mac", "addresses", "bridge", "ofport", "error", "path",
    }  # fmt: skip
    rates = {"guarantee_kbps", "limit_kbps", "offered_kbps", "allocated_kbps", "passed_kbps", "dropped_kbps"}
    assert set(shown["egress"]) >= rates
    assert set(shown["ingress"]) >= rates
    assert (shown["egress"]["limit_kbps"], shown["ingress"]["limit_kbps"]) == (20_000, 10_000)
    assert shown["state"] == "ready"
    measured = {key: shown[key] for key in ("egress", "ingress", "path")}
    assert shown in [{**one, **measured} for one in system.json("vif", "list")]


def test_a_list_for_programs_has_whole_names(system: SystemUnderTest) -> None:
    name = "a" * 63
    created = system.json("vif", "create", name, "--policy", "red", "--label", "app=x", "--instance", "i-1")
    assert (created["name"], created["labels"], created["instance"]) == (name, {"app": "x"}, "i-1")
    lines = system.weir("vif", "list").stdout.splitlines()
    assert [line.split("\t")[0] for line in lines] == ["name", name]
    system.weir("vif", "delete", name)
    assert system.json("vif", "list") == []


def test_exec_passes_stdio_status_and_signals(system: SystemUnderTest, vif: str) -> None:
    addresses = json.loads(system.weir("vif", "exec", vif, "--", "ip", "-json", "address", "show", "eth0").stdout)
    assert "10.30.0.2" in [address["local"] for address in addresses[0]["addr_info"]]
    argv = [WEIR, "vif", "exec", "--state-dir", str(system.directory.path), vif, "--"]
    done = subprocess.run([*argv, "sh", "-c", "cat; echo no >&2; exit 7"], input="yes", capture_output=True, text=True)
    assert (done.stdout, done.stderr, done.returncode) == ("yes", "no\n", 7)
    sleeper = subprocess.Popen([*argv, "sleep", "1000"])
    wait_until(lambda: Path(f"/proc/{sleeper.pid}/comm").read_text() == "sleep\n", "the command runs in our place")
    sleeper.send_signal(signal.SIGTERM)
    assert sleeper.wait(timeout=10) == -signal.SIGTERM
    shell = subprocess.run(argv[:-1], input="exit 5\n", text=True, capture_output=True, env={"SHELL": "/bin/sh"})
    assert shell.returncode == 5


def test_exec_that_cannot_be(system: SystemUnderTest, vif: str) -> None:
    for arguments, status, words in (
        (["aa"], 2, "Did you mean 'a'?"),
        ([vif, "--", "/nonexistent"], 127, "/nonexistent: command not found"),
        ([vif, "--", "/etc/passwd"], 126, "cannot be executed"),
    ):
        done = system.weir("vif", "exec", *arguments, check=False)
        assert (done.returncode, words in done.stderr) == (status, True), done.stderr


def test_into_a_namespace_and_a_process(system: SystemUnderTest) -> None:
    with Home("theirs") as theirs:
        enter = ["nsenter", f"--net=/run/netns/{theirs.name}", "--"]
        process = subprocess.Popen([*enter, "sleep", "1000"])
        try:
            wait_until(lambda: Path(f"/proc/{process.pid}/comm").read_text() == "sleep\n", "it is in its namespace")
            system.weir("vif", "create", "n", "--policy", "red", "--netns", theirs.name)
            system.weir("vif", "create", "p", "--policy", "red", "--pid", str(process.pid), "--ifname", "eth1")
            assert {"eth0", "eth1"} <= theirs.links()
            for name in ("n", "p"):
                found = system.weir("vif", "exec", name, "--", "readlink", "/proc/self/ns/net").stdout
                assert found == theirs.run("readlink", "/proc/self/ns/net").stdout
            system.weir("vif", "delete", "n", "p")
            assert theirs.links() == {"lo"}
        finally:
            process.kill()
            process.wait()


def test_a_port_of_somebody_else_has_no_namespace_that_we_know(system: SystemUnderTest) -> None:
    enter = ["nsenter", f"--net=/run/netns/{system.directory.namespace}", "--"]
    subprocess.run([*enter, "ip", "link", "add", "their0", "type", "veth", "peer", "name", "their1"], check=True)
    subprocess.run([*enter, "ip", "link", "set", "their0", "up"], check=True)
    vsctl = ["ovs-vsctl", f"--db=unix:{system.directory.run}/db.sock"]
    marked = ["--", "set", "interface", "their0", "external_ids:iface-id=theirs"]
    subprocess.run([*vsctl, "add-port", "br-weir", "their0", *marked], check=True)
    system.weir("vif", "create", "theirs", "--policy", "blue", "--kind", "port")
    refused = system.weir("vif", "exec", "theirs", check=False)
    assert refused.returncode == 1
    assert "port that somebody else made" in refused.stderr
    system.weir("vif", "delete", "theirs")
    subprocess.run([*vsctl, "del-port", "their0"], check=True)


def test_what_is_wrong_changes_nothing(system: SystemUnderTest, vif: str, tmp_path: Path) -> None:
    wrong, without = tmp_path / "wrong.yaml", tmp_path / "without.yaml"
    wrong.write_text("weir: 1\npolicies: {red: {egress: {limit: 10 mbps}}}\n")
    without.write_text(POLICY.replace("red:", "green:"))
    before = system.json("policy", "show")["version"]
    for arguments, words in (
        (["vif", "create", vif, "--policy", "red"], "there is a VIF of this name already"),
        (["vif", "create", "x", "--policy", "rde"], "Did you mean 'red'?"),
        (["vif", "create", "x", "--policy", "red", "--ip", "10.99.0.1"], "is outside segment 'lab'"),
        (["vif", "create", "x", "--policy", "red", "--chassis", "h"], "there is no host 'h'"),
        (["vif", "show", "x"], "there is no VIF 'x'"),
        (["vif", "delete", "x"], "there is none of this name"),
        (["policy", "apply", str(wrong)], f"{wrong}:2:"),
        (["policy", "apply", str(without)], "VIF a uses it"),
        (["explain", "nonsense"], "'nonsense' is not known here"),
    ):
        done = system.weir(*arguments, check=False)
        assert (done.returncode, words in done.stderr, done.stdout) == (2, True, ""), done.stderr
    assert system.json("policy", "show")["version"] == before
    assert [one["name"] for one in system.json("vif", "list")] == [vif]


def test_apply_and_show(system: SystemUnderTest, policy: Path) -> None:
    first = system.json("policy", "show")
    assert first["files"] == {str(policy): POLICY}
    assert system.json("policy", "apply", str(policy)) == {"version": first["version"]}
    policy.write_text(POLICY + "  green: {}\n")
    assert system.json("policy", "apply", str(policy)) == {"version": first["version"] + 1}
    assert "green" in system.json("policy", "show")["nodes"]
    assert "green: {}" in system.weir("policy", "show").stdout


def test_a_dumped_flow_leads_back_to_its_line(system: SystemUnderTest, vif: str, policy: Path) -> None:
    line = POLICY.splitlines().index("      - allow: {name: anything}") + 1
    flows = [flow for flow in system.ofctl("--names", "dump-flows", "br-weir").splitlines() if "cookie=" in flow]
    told = {system.weir("explain", flow).stdout.splitlines()[0] for flow in flows if "cookie=0x5ee103" in flow}
    assert told == {f"{policy}:{line}:9: red: rule allow anything"}
    assert system.json("explain", "0x5ee1010000000001")["kind"] == "vif"
    foreign = system.weir("explain", "0x1", check=False)
    assert (foreign.returncode, "none of Weir's" in foreign.stderr) == (1, True)


def test_a_user_is_known_to_the_switch_from_bind_to_unbind_or_expiry(system: SystemUnderTest) -> None:
    def knows(address: str) -> bool:
        return address in system.ofctl("dump-flows", "br-weir")

    system.weir("vif", "create", "g", "--policy", "gold")
    try:
        assert not knows("10.99.0.1")
        system.weir("identity", "bind", "alice", "--ip", "10.99.0.1")
        assert knows("10.99.0.1")
        system.weir("identity", "bind", "alice", "--ip", "10.99.0.2", "--ttl", "3 s")
        wait_until(lambda: not knows("10.99.0.2"), "the expiry")
        assert knows("10.99.0.1")
        wait_until(lambda: [one["address"] for one in system.json("identity", "list")] == ["10.99.0.1"], "one is left")
        system.weir("identity", "unbind", "alice")
        assert not knows("10.99.0.1")
    finally:
        system.weir("vif", "delete", "g")


def test_the_version_before_comes_back(system: SystemUnderTest, policy: Path) -> None:
    before = system.json("policy", "show")
    policy.write_text(POLICY + "  amber: {}\n")
    system.weir("policy", "apply", str(policy), "--reason", "amber")
    assert "amber" in [node["path"] for node in system.json("policy", "list")]
    assert system.json("policy", "rollback")["rollback_to"] == before["version"]
    assert system.json("policy", "show")["files"] == before["files"]
    told = system.json("policy", "history")[-2:]
    assert [(one["reason"], one["in_force"]) for one in told] == [
        ("amber", False),
        (f"rollback to {before['version']}", True),
    ]


def test_status_says_what_is_wrong(system: SystemUnderTest) -> None:
    assert system.json("status")["problems"] == []
    pids = system.pids()
    system.kill(["controller"])
    wait_until(lambda: system.weir("status", check=False).returncode == 1, "status notices")
    system.await_restart(pids, ["controller"])
    system.await_well()
    wait_until(lambda: system.json("status")["processes"]["controller"]["restarts"] == 1, "the restart counted")
