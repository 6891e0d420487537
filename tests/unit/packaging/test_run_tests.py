"""What fails is tried once more, as machines are shared, and never in silence. The script itself, on tests made up."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).resolve().parents[3] / "packaging" / "run-tests"
SECOND_TRY = "TRIED AGAIN, BY ITSELF"
STEADY = "def test_{name}(): pass\n"
ONCE = """
def test_{name}():
    from pathlib import Path
    there = Path(__file__).with_suffix(".tried")
    was_there = there.exists()
    there.touch()
    assert was_there
"""
ALWAYS = "def test_{name}(): assert False\n"


class Tree:
    """A project of tests. second_tries: the file of those that passed at the second try only."""

    def __init__(self, path: Path) -> None:
        self.path, self.second_tries = path, path / "second-tries"
        for directory in ("packaging", ".venv/bin", "tests"):
            (path / directory).mkdir(parents=True)
        shutil.copy(SCRIPT, path / "packaging")
        python = path / ".venv/bin/python"
        python.write_text(f'#!/bin/sh\nexec {sys.executable} "$@"\n')
        python.chmod(0o755)

    def add(self, module: str, *texts: str) -> None:
        parts = [text.format(name=number) for number, text in enumerate(texts)]
        (self.path / "tests" / f"test_{module}.py").write_text("".join(parts))

    def run(self, *options: str) -> subprocess.CompletedProcess[str]:
        argv = ["sh", str(self.path / "packaging" / "run-tests"), *options, "tests"]
        environment = {"PATH": "/usr/bin:/bin", "SECOND_TRIES": str(self.second_tries)}
        return subprocess.run(argv, env=environment, capture_output=True, text=True, check=False)


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    return Tree(tmp_path)


def test_what_passes_is_run_once(tree: Tree) -> None:
    tree.add("a", STEADY, STEADY)
    done = tree.run()
    assert (done.returncode, SECOND_TRY in done.stdout, tree.second_tries.exists()) == (0, False, False), done


@pytest.mark.parametrize("options", [(), ("-n", "2", "--dist", "loadfile")], ids=["one", "two-at-a-time"])
def test_what_passes_at_the_second_try_is_named(tree: Tree, options: tuple[str, ...]) -> None:
    tree.add("a", STEADY, ONCE)
    done = tree.run(*options)
    assert (done.returncode, tree.second_tries.read_text()) == (0, "tests/test_a.py::test_1\n"), done
    assert "1 passed" in done.stdout.partition(SECOND_TRY)[2]


def test_what_fails_twice_fails(tree: Tree) -> None:
    tree.add("a", ONCE)
    tree.add("b", ALWAYS)
    done = tree.run()
    assert (done.returncode, SECOND_TRY in done.stdout, tree.second_tries.exists()) == (1, True, False), done


def test_what_fails_everywhere_is_not_tried_again(tree: Tree) -> None:
    for number in range(5):
        tree.add(str(number), ONCE)
    done = tree.run()
    assert (done.returncode, SECOND_TRY in done.stdout) == (1, False), done


def test_no_test_at_all_is_a_failure(tree: Tree) -> None:
    assert tree.run().returncode == 5


def test_tests_that_cannot_be_read_are_a_failure(tree: Tree) -> None:
    (tree.path / "tests" / "test_a.py").write_text("import no_such_module\n")
    assert tree.run().returncode != 0
