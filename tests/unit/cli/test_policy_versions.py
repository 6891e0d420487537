"""Which version `weir policy apply` and `rollback` say: the one that they wrote, and that it is in force no more."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from controller.cli import database
from controller.intent import history, policy
from controller.intent.history import Recalled
from tests.support.command_line import Weir
from tests.unit.intent import worlds
from tests.unit.intent.played_db import PlayedDb

REPLACED = "warning: policy version 2 was replaced by version 3 meanwhile. See weir policy history.\n"


@pytest.fixture
def db(monkeypatch: pytest.MonkeyPatch) -> PlayedDb:
    played = PlayedDb(worlds.world())

    @contextmanager
    def opened(state_dir: str | None) -> Iterator[tuple[None, PlayedDb]]:
        yield None, played

    monkeypatch.setattr(database, "opened", opened)
    texts = {"policy.yaml": worlds.POLICY + "# as it was\n"}
    monkeypatch.setattr(history, "recall", lambda db, version: Recalled(1, texts))
    return played


@pytest.mark.parametrize("command", ["apply", "rollback"])
def test_it_is_the_one_that_was_written(
    db: PlayedDb, command: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    file = tmp_path / "p.yaml"
    file.write_text(worlds.POLICY + "# more\n")
    weir = Weir(monkeypatch, capsys)
    arguments = ("policy", command, *([str(file)] if command == "apply" else []))
    db.meanwhile = [lambda: bob_applies(db)]
    assert weir(*arguments) == 0
    assert (weir.out, weir.err) == ("", REPLACED)
    assert weir(*arguments, "--json") == 0
    assert (json.loads(weir.out)["version"], weir.err) == (4, "")
    assert weir(*arguments) == 0  # it is so already
    assert weir.err.startswith("policy version 4 is in force")


def bob_applies(db: PlayedDb) -> None:
    policy.submit(db, {"bob.yaml": worlds.POLICY}, "bob")
