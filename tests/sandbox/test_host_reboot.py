"""After the host was booted again: of a whole system only the state directory is left, and all that was wanted stands.

A reboot ends every process at any moment, and takes namespaces and links with it. So does this.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from controller.system import processes
from tests.support.ovs_sandbox import wait_until
from tests.support.system import NOTHING, Home, SystemUnderTest

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")

POLICY = """\
weir: 1
segments:
  office: {type: bridged, uplink: out0, subnets: [10.31.0.0/24, 'fd31::/64']}
links:
  out0: {capacity: 100 mbit}
policies:
  open: {unmatched: allow, egress: {guarantee: 5 mbit, limit: 20 mbit}, ingress: {limit: 30 mbit}}
  shut: {unmatched: deny}
"""
OUTSIDE = "10.31.0.200"
MANY_COMMANDS_S = 60.0  # a look at everything is a dozen commands
KEPT = ("name", "number", "policy", "kind", "mac", "addresses", "segment", "device", "state")


@pytest.fixture
def place(home: Home) -> Iterator[str]:
    """A namespace that somebody gives."""
    name = f"{home.name}-given"
    subprocess.run(["ip", "netns", "add", name], check=True)
    yield name
    subprocess.run(["ip", "netns", "delete", name], check=False, capture_output=True)


def reboot(system: SystemUnderTest, *given: str) -> None:
    wait_until(lambda: not killed(system), "all have ended")
    for name in (*system.namespaces(), *given):
        subprocess.run(["ip", "netns", "delete", name], check=True)
    wait_until(lambda: "out0" not in system.home.links(), "its links are gone")
    assert {**system.traces(), "mentions": []} == NOTHING


def killed(system: SystemUnderTest) -> int:
    """How many: one that the supervisor starts meanwhile is for the next time."""
    found = processes.of_system(system.directory.path)
    for process in found:
        with suppress(ProcessLookupError):
            os.kill(process.pid, signal.SIGKILL)
    return len(found)


def up(system: SystemUnderTest, *more: str) -> None:
    system.weir("up", "--uplink", "out0", *more)
    system.home.run("ip", "address", "add", f"{OUTSIDE}/24", "dev", "out0")
    system.home.run("ip", "link", "set", "out0", "up")


def vifs(system: SystemUnderTest) -> dict[str, dict[str, Any]]:
    shown = (system.json("vif", "show", one["name"]) for one in system.json("vif", "list"))
    return {one["name"]: {key: one[key] for key in KEPT if key in one} for one in shown}


def made(system: SystemUnderTest) -> dict[str, Any]:
    """All that stands for the system, by name."""
    ovs = f"--db=unix:{system.directory.run / 'db.sock'}"
    inside = f"/run/netns/{system.directory.namespace}"
    links = system.home.run("nsenter", f"--net={inside}", "ip", "-json", "link").stdout
    table = system.home.run("ovs-vsctl", ovs, "--no-heading", "--columns=name", "list", "interface").stdout
    return {
        "namespaces": sorted(system.namespaces()),
        "links": sorted(link["ifname"] for link in json.loads(links)),
        "interfaces": sorted(table.split()),
        "queues": _queues(system, inside),
        "meters": sorted(system.ofctl("dump-meters", "br-weir").splitlines()[1:]),
    }


def _queues(system: SystemUnderTest, inside: str) -> list[str]:
    lines = system.home.run("nsenter", f"--net={inside}", "tc", "class", "show", "dev", "out0").stdout.splitlines()
    return sorted(" ".join(word for word in line.split() if ":" not in word) for line in lines)


def reaches(system: SystemUnderTest, name: str, address: str) -> None:
    system.weir("vif", "exec", name, "--", "ping", "-c", "1", "-w", "10", address)


def test_all_that_was_wanted_stands_again(system: SystemUnderTest, policy: Path, place: str) -> None:
    up(system, "--policy", str(policy))
    for name, more in (
        ("a", []), ("b", []), ("given", ["--netns", place]), ("vm", ["--kind", "tap"]), ("gone", []),
        ("mute", ["--policy", "shut"]),
    ):  # fmt: skip
        system.weir("vif", "create", name, *(["--policy", "open"] if "--policy" not in more else []), *more)
    system.weir("vif", "delete", "gone")
    address = {name: one["addresses"][0].partition("/")[0] for name, one in vifs(system).items()}
    reaches(system, "a", address["b"])
    wanted, before = vifs(system), made(system)

    reboot(system, place)
    up(system)
    without = {**wanted, "given": {**wanted["given"], "state": "error"}}
    wait_until(lambda: vifs(system) == without, "all stand but the one whose namespace is gone", MANY_COMMANDS_S)
    error = system.json("vif", "show", "given")["error"]
    assert f"{place} does not exist. Create it (ip netns add), or delete the VIF" in error
    reaches(system, "a", address["b"])
    reaches(system, "b", OUTSIDE)
    assert system.weir("vif", "exec", "mute", "--", "ping", "-c", "1", "-W", "1", OUTSIDE, check=False).returncode == 1

    subprocess.run(["ip", "netns", "add", place], check=True)
    wait_until(lambda: vifs(system) == wanted, "the one whose namespace was gone is ready again", MANY_COMMANDS_S)
    reaches(system, "given", address["a"])
    wait_until(lambda: made(system) == before, f"what stands is what stood, {before}", MANY_COMMANDS_S)
    system.await_well()


def test_changes_that_were_under_way_are_completed(system: SystemUnderTest, policy: Path) -> None:
    """What a command had recorded is wanted, though nobody had done it yet."""
    up(system, "--policy", str(policy))
    for name in ("a", "b"):
        system.weir("vif", "create", name, "--policy", "open")
    system.kill(["supervisor", "agent"])
    commands = [system.start("vif", "delete", "b"), system.start("vif", "create", "late", "--policy", "open")]
    wait_until(lambda: {one["name"] for one in system.json("vif", "list")} == {"a", "late"}, "both are recorded")
    for command in commands:
        command.kill()
        command.wait()
    reboot(system)
    up(system)
    ready, own = {"a": "ready", "late": "ready"}, system.directory.namespace
    wait_until(lambda: {name: one["state"] for name, one in vifs(system).items()} == ready, "both", MANY_COMMANDS_S)
    wait_until(lambda: made(system)["namespaces"] == [own, f"{own}-a", f"{own}-late"], "nothing else", MANY_COMMANDS_S)
    reaches(system, "late", OUTSIDE)
