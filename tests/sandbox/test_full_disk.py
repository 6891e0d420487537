"""The databases of a system on a disk that is full: said in one clear line, nothing half-applied, and overcome."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from itertools import product
from pathlib import Path
from typing import Any

import pytest

from controller.config import StateDir
from tests.support.system import Finished, SystemUnderTest

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")

POLICY = """\
weir: 1
segments: {lab: {type: internal, subnets: [10.30.0.0/24]}}
policies: {open: {unmatched: allow}, shut: {}}
"""


class Disk:
    def __init__(self, path: Path) -> None:
        self.path = path

    def fill(self) -> None:
        with (self.path / "filler").open("wb", buffering=0) as file, pytest.raises(OSError, match="No space left"):
            while True:
                file.write(bytes(4096))

    def use_up(self, directory: StateDir) -> None:
        """What of the last page of the Weir DB's file is not written yet."""
        argv = ["ovsdb-client", "transact", f"unix:{directory.weir_db_socket}"]
        for size, number in product((1000, 100, 1), range(100)):
            changes = [
                ["other_config", "delete", ["set", ["filler"]]],
                ["other_config", "insert", ["map", [["filler", f"{number}" + "x" * size]]]],
            ]
            write = ["Weir", {"op": "mutate", "table": "Weir", "where": [], "mutations": changes}]
            done = subprocess.run([*argv, json.dumps(write)], check=True, capture_output=True, text=True)
            if "error" in done.stdout and size == 1:
                return
        pytest.fail("the disk is not full")

    def free(self) -> None:
        (self.path / "filler").unlink()


@pytest.fixture
def disk(system: SystemUnderTest) -> Iterator[Disk]:
    path = system.directory.db
    path.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=512k,mode=700", "tmpfs", str(path)], check=True)
    try:
        yield Disk(path)
    finally:
        system.weir("down", check=False)
        subprocess.run(["umount", "--lazy", str(path)], check=True)


def is_refused(done: Finished) -> None:
    (line,) = done.stderr.strip().splitlines()
    assert done.returncode == 1 and done.stdout == ""
    assert "write failed. See whether its disk is full (df)." in line


def wanted(system: SystemUnderTest) -> list[dict[str, Any]]:
    keys = ("name", "number", "policy", "mac", "addresses", "state", "error")
    return [{key: one[key] for key in keys} for one in system.json("vif", "list")]


def test_a_full_disk_refuses_changes_and_stops_nothing(system: SystemUnderTest, disk: Disk, policy: Path) -> None:
    system.weir("up", "--policy", str(policy))
    for name in ("a", "b"):
        system.weir("vif", "create", name, "--policy", "open")
    before, namespaces = wanted(system), sorted(system.namespaces())
    address = system.json("vif", "show", "b")["addresses"][0].partition("/")[0]
    disk.fill()
    disk.use_up(system.directory)
    for command in (
        ("vif", "create", "c", "--policy", "open"),
        ("vif", "create", "d", "--policy", "open", "--count", "3"),
        ("vif", "set", "a", "--policy", "shut"),
        ("vif", "delete", "b"),
    ):
        is_refused(system.weir(*command, check=False))
    assert wanted(system) == before and sorted(system.namespaces()) == namespaces
    system.weir("vif", "exec", "a", "--", "ping", "-c", "1", "-w", "10", address)

    disk.free()
    system.weir("vif", "create", "c", "--policy", "open")
    system.weir("vif", "delete", "b")
    system.await_well()
    pids = system.pids()
    system.kill(["weir-db", "ovsdb-server"])
    system.await_restart(pids, ["weir-db", "ovsdb-server"])
    system.await_well()
    assert {one["name"]: one["state"] for one in system.json("vif", "list")} == {"a": "ready", "c": "ready"}
