"""What `make test` runs of the tests that need more than a Python, and what it says of those that it does not run.

The script itself, in a directory of its own; the programs that it asks about the machine are stand-ins.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

SCRIPT = Path(__file__).resolve().parents[3] / "packaging" / "run-root-tests"


class Machine:
    def __init__(self, path: Path) -> None:
        self.path, self.bin = path, path / "bin"
        for directory in ("packaging", "bin", ".venv/bin"):
            (path / directory).mkdir(parents=True)
        shutil.copy(SCRIPT, path / "packaging")
        self.program("bin/make", 'echo "made $2"; [ "$2" != "${FAILING:-}" ]')
        self.program("bin/uname", "echo x86_64")
        self.program("bin/nproc", "echo 4")
        self.program("bin/awk", "echo 8000")
        self.program("bin/id", "echo 0")
        self.program("bin/unshare", "exit 0")
        self.lab(0)

    def program(self, name: str, text: str) -> None:
        file = self.path / name
        file.write_text(f"#!/bin/sh\n{text}\n")
        file.chmod(0o755)

    def lab(self, status: int, says: str = "") -> None:
        self.program(".venv/bin/python", f"printf '%s' '{says}'; exit {status}")

    def test(self, **environment: str) -> subprocess.CompletedProcess[str]:
        path = {"PATH": f"{self.bin}{os.pathsep}{os.environ['PATH']}", "MAKE": "make", **environment}
        argv = ["sh", str(self.path / "packaging" / "run-root-tests")]
        return subprocess.run(argv, env=path, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


def test_where_all_can_run_all_is_run(machine: Machine) -> None:
    done = machine.test()
    assert done.returncode == 0, done.stderr
    made = [line.removeprefix("made ") for line in done.stdout.splitlines() if line.startswith("made ")]
    assert made == ["sandbox", "mininet", *(["dpdk"] if "NOT RUN: make dpdk" not in done.stdout else []), "vm"]


@pytest.mark.parametrize(
    ("status", "says", "ends", "words"),
    [
        (0, "igb: the QEMU of backports cannot be had", 0, "NOT RUN: make vm, in part: igb: the QEMU of backports"),
        (3, "no qemu-system-x86_64 runs here", 0, "NOT RUN: make vm: no qemu-system-x86_64 runs here"),
        (1, "", 1, "failed: vm (python -m lab.vm ended with 1)"),
        (127, "", 1, "failed: vm (python -m lab.vm ended with 127)"),
    ],
)
def test_a_lab_that_cannot_be_is_said_and_one_that_breaks_is_a_failure(
    machine: Machine, status: int, says: str, ends: int, words: str
) -> None:
    machine.lab(status, says)
    done = machine.test()
    assert (done.returncode, words in done.stdout + done.stderr) == (ends, True), done
    assert ("made vm" in done.stdout) is (status == 0)


def test_a_target_that_fails_fails_the_run(machine: Machine) -> None:
    done = machine.test(FAILING="mininet")
    assert (done.returncode, done.stderr) == (1, "\nfailed: mininet\n")
    assert "made vm" in done.stdout


def test_without_root_it_says_what_was_not_run(machine: Machine) -> None:
    machine.program("bin/id", "echo 1000")
    machine.program("bin/sudo", "exit 1")
    done = machine.test()
    for target in ("sandbox", "mininet", "dpdk"):
        words = f"NOT RUN: make {target}: it needs root, and sudo is not to be had without a question. Run: sudo make"
        assert words in done.stdout and f"made {target}" not in done.stdout
    assert done.returncode == 0 and "PART OF THE TESTS DID NOT RUN" in done.stdout and "made vm" in done.stdout


@pytest.mark.parametrize(
    ("program", "says", "words"),
    [
        ("uname", "aarch64", "NOT RUN: make dpdk: its VMs are of x86_64, and this machine is aarch64"),
        ("nproc", "1", "NOT RUN: make dpdk: packets need a processor of their own, and this machine has one in all"),
        ("awk", "1000", "NOT RUN: make dpdk: "),
    ],
)
def test_a_machine_that_is_too_small_for_dpdk(machine: Machine, program: str, says: str, words: str) -> None:
    machine.program(f"bin/{program}", f"echo {says}")
    done = machine.test()
    assert (done.returncode, words in done.stdout, "made dpdk" in done.stdout) == (0, True, False)
