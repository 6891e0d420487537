"""What this host cannot keep is refused by every command that asks for it, and changes nothing; doctor says it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ovsdb.weir_db import WeirDb
from tests.support.ovs_sandbox import wait_until
from tests.support.system import WEIR, Finished, Home, SystemUnderTest

POLICY = """\
weir: 1
segments:
  lab: {type: internal, subnets: [10.30.0.0/24]}
classes:
  fast: {share: 40 %, dscp: ef}
  normal: {share: 60 %}
policies:
  plain: {}
  limited: {ingress: {limit: 5 mbit}}
  paired: {queues: 2}
  early: {congestion: {queue: red}}
  easy: {congestion: {queue: red}, queues: 2, best-effort: true}
  deep: {ingress: {limit: 5 mbit}, buffer: 900 mib}
  narrow: {egress: {limit: 5 mbit}, rules: [allow: {name: all, class: fast}]}
"""
PAIRED = "queues cannot be kept for kind veth: Open vSwitch has one receive queue for such a port. Use kind vhost-user"


@pytest.fixture(scope="module")
def system(policy: Path) -> Iterator[SystemUnderTest]:
    with Home("refusals") as home, SystemUnderTest(home) as under_test:
        under_test.weir("up", "--policy", str(policy))
        wait_until(lambda: {"meters", "red"} <= abilities(under_test).keys(), "the host has said what it can")
        yield under_test


@pytest.fixture
def vif(system: SystemUnderTest) -> Iterator[str]:
    system.weir("vif", "create", "web", "--policy", "plain")
    yield "web"
    system.weir("vif", "delete", "web")


def examined(system: SystemUnderTest) -> tuple[int, dict[str, Any]]:
    """What doctor ends with, and says."""
    done = system.weir("doctor", "--json", check=False)
    assert done.returncode in (0, 1), done.stderr
    return done.returncode, json.loads(done.stdout)


def abilities(system: SystemUnderTest) -> dict[str, str]:
    (host,) = examined(system)[1]["chassis"].values()
    return dict(host["abilities"])


def state(system: SystemUnderTest) -> list[object]:
    """All that an operator decides, and what the switch holds."""
    with WeirDb(f"unix:{system.directory.weir_db_socket}") as database:
        database.connect()
        there = database.snapshot()
    decided = [there.cfg, there.policy_version, dict(there.files), dict(there.numbers), sorted(there.interfaces)]
    commands = (["--no-stats", "dump-flows"], ["dump-meters"])
    return [*decided, *(sorted(system.ofctl(*words, "br-weir").splitlines()[1:]) for words in commands)]


def is_refused(system: SystemUnderTest, *command: str) -> list[str]:
    """The lines, once nothing was found to be changed."""
    before = state(system)
    done: Finished = system.weir(*command, check=False)
    assert done.returncode == 2, done.stderr
    assert done.stdout == "" and state(system) == before
    return [line for line in done.stderr.splitlines() if not line.startswith("warning: ")]


@pytest.mark.parametrize(
    ("kind", "place", "words"),
    [
        (
            "vhost-user",
            "9:3: policies.limited.ingress.limit",
            "ingress limit cannot be kept for kind vhost-user: Open ",
        ),
        ("veth", "10:3: policies.paired.queues", PAIRED),
        ("tap", "10:3: policies.paired.queues", PAIRED.replace("veth", "tap")),
        ("vhost-user", "13:3: policies.deep.buffer", "buffer cannot be kept for kind vhost-user: its queue is the gue"),
    ],
)
def test_a_vif_is_refused_with_place_field_reason_and_remedy(
    system: SystemUnderTest, policy: Path, kind: str, place: str, words: str
) -> None:
    leaf = place.split(".")[1]
    lines = is_refused(system, "vif", "create", "new", "--policy", leaf, "--kind", kind)
    (said,) = [one for one in lines if f"{place}: " in one]
    assert said.startswith(f"VIF 'new': {policy}:{place}: {words}")
    assert said.endswith("add 'best-effort: true' to the node to go on without.")


def test_what_the_kernel_has_not_is_refused_or_gone_without(system: SystemUnderTest, policy: Path) -> None:
    words = f"{policy}:11:3: policies.early.congestion: congestion red cannot be kept for kind veth: the kernel says "
    if abilities(system)["red"] == "true":
        system.weir("vif", "create", "new", "--policy", "early")
        system.weir("vif", "delete", "new")
        return
    (said,) = is_refused(system, "vif", "create", "new", "--policy", "early")
    assert said.startswith(f"VIF 'new': {words}") and "Use a kernel that has it" in said


def test_buffers_beyond_what_the_switch_has_are_refused_of_all_vifs_together(
    system: SystemUnderTest, policy: Path
) -> None:
    (said,) = is_refused(system, "vif", "create", "new", "--policy", "deep")
    assert f"{policy}:13:3: policies.deep.buffer: full queues may take " in said
    assert "of the send buffer of Open vSwitch, which holds " in said and "--raise-buffers" in said


def test_best_effort_goes_on_with_a_warning_and_doctor_goes_on_saying_it(system: SystemUnderTest, policy: Path) -> None:
    status, found = examined(system)
    assert (status, found["unkept"]) == (0, [])
    done = system.weir("vif", "create", "new", "--policy", "easy")
    try:
        said = [line for line in done.stderr.splitlines() if "policies.easy.queues: " in line]
        assert said == [
            f"warning: VIF 'new': {policy}:12:3: policies.easy.queues: {PAIRED.partition('. ')[0]}. The policy is "
            "best-effort: it goes on without."
        ]
        assert system.json("vif", "show", "new")["state"] == "ready"
        status, found = examined(system)
        assert status == 1 and any(line.startswith(f"VIF 'new': {policy}:12:3: ") for line in found["unkept"])
    finally:
        system.weir("vif", "delete", "new")
    assert examined(system)[0] == 0


def test_a_vif_is_not_changed_into_one(system: SystemUnderTest, policy: Path, vif: str) -> None:
    (said,) = is_refused(system, "vif", "set", vif, "--policy", "paired")
    assert said.startswith(f"VIF '{vif}': {policy}:10:3: policies.paired.queues: {PAIRED}")


def test_a_policy_is_refused_for_the_vifs_there_are(
    system: SystemUnderTest, policy: Path, tmp_path: Path, vif: str
) -> None:
    changed = tmp_path / "changed.yaml"
    changed.write_text(POLICY.replace("plain: {}", "plain: {queues: 2}"))
    for command in ("apply", "plan"):
        (said,) = is_refused(system, "policy", command, str(changed))
        assert said.startswith(f"VIF {vif}: {changed}:8:3: policies.plain.queues: {PAIRED}")
    assert system.weir("policy", "check", str(changed)).returncode == 0  # which needs no host
    changed.write_text(POLICY.replace("plain: {}", "plain: {queues: 2, best-effort: true}"))
    try:
        done = system.weir("policy", "apply", str(changed))
        assert f"warning: VIF '{vif}': {changed}:8:3: policies.plain.queues: queues cannot be kept" in done.stderr
    finally:
        system.weir("policy", "apply", str(policy))


def test_an_earlier_policy_is_refused_for_the_vifs_there_are_now(
    system: SystemUnderTest, policy: Path, tmp_path: Path
) -> None:
    changed = tmp_path / "changed.yaml"
    changed.write_text(POLICY.replace("plain: {}", "plain: {queues: 2}"))
    system.weir("policy", "apply", str(changed))
    system.weir("policy", "apply", str(policy))
    system.weir("vif", "create", "web", "--policy", "plain")
    try:
        (said,) = is_refused(system, "policy", "rollback")
        assert said.startswith(f"VIF web: {changed}:8:3: policies.plain.queues: {PAIRED}")
    finally:
        system.weir("vif", "delete", "web")


def test_classes_behind_a_narrow_limit_are_warned_of_once_a_leaf(system: SystemUnderTest, policy: Path) -> None:
    words = f"warning: {policy}:14:3: policies.narrow.egress.limit: its classes divide what waits at the uplink, not "
    assert system.weir("policy", "apply", str(policy)).stderr.count(words) == 1
    done = system.weir("vif", "create", "n", "--policy", "narrow", "--count", "30")
    system.weir("vif", "delete", "n", "--count", "30")
    assert done.stderr.count(words) == 1


def test_doctor_is_read_on_a_narrow_screen_and_outlives_the_switch(system: SystemUnderTest) -> None:
    said = system.weir("doctor").stdout
    assert max(map(len, said.splitlines())) <= 100
    assert {"egress limit", "buffer", "congestion ecn"} <= {line.strip() for line in said.splitlines()}
    before, pids = examined(system)[1]["chassis"], system.pids()
    system.kill(["ovs-vswitchd"])
    system.await_restart(pids, ["ovs-vswitchd"])
    system.await_well()
    known = {name: host["matrix"] for name, host in before.items()}
    wait_until(lambda: {n: one["matrix"] for n, one in examined(system)[1]["chassis"].items()} == known, "as before")


def test_doctor_looks_at_a_machine_without_a_system(home: Home, tmp_path: Path) -> None:
    done = home.run(WEIR, "doctor", "--state-dir", str(tmp_path / "none"), "--json")
    found = json.loads(done.stdout)
    (host,) = found["chassis"].values()
    assert found["running"] is False and found["unkept"] == []
    assert "true" in host["abilities"].values() and "meters" not in host["abilities"]
    (note,) = done.stderr.splitlines()
    assert note.startswith("note: no system runs") and not (tmp_path / "none").exists()
    nobody = ["setpriv", "--reuid=65534", "--clear-groups", WEIR, "doctor", "--state-dir", str(tmp_path / "none")]
    refused = home.run(*nobody, check=False)
    assert refused.returncode == 1 and "sudo" in refused.stderr and len(refused.stderr.splitlines()) == 1
