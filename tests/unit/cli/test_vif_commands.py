"""What `weir vif create` and `set` print of many when not all of them are there at the end."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from controller.client.weir import Weir as Client
from controller.intent.errors import Partly
from controller.intent.vif_change import VifChange
from controller.intent.vif_checks import VifRequest
from controller.system.errors import WrongRequest
from ovsdb.rows import VirtualInterface
from ovsdb.session import DatabaseError, Disconnected
from tests.support.command_line import Weir
from tests.unit.intent.worlds import vif

LINES = ["VIF 'n2': its namespace is not there.", "2 of 3 VIFs were created; nothing is left of the other 1."]
CREATE = ("vif", "create", "n", "--count", "3", "--policy", "p")


@pytest.fixture
def weir(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Weir:
    monkeypatch.setenv("WEIR_STATE_DIR", str(tmp_path / "state"))
    monkeypatch.setattr(Client, "__enter__", lambda client: client)
    there(monkeypatch, "n1", "n2", "n3")
    return Weir(monkeypatch, capsys)


def there(monkeypatch: pytest.MonkeyPatch, *names: str) -> None:
    def describe(client: Client, one: str | VirtualInterface) -> dict[str, Any]:
        name = one if isinstance(one, str) else one.name
        if name not in names:
            raise WrongRequest(f"there is no VIF '{name}'", "See weir vif list")
        return {"name": name}

    monkeypatch.setattr(Client, "describe", describe)


def all_but_the_second(client: Client, requests: Sequence[VifRequest], progress: object) -> list[VirtualInterface]:
    raise Partly(LINES, ["n1", "n3"])


def test_of_many_those_that_were_made_are_printed_though_one_failed(
    weir: Weir, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Client, "create", all_but_the_second)
    assert weir(*CREATE, "--json") == 1
    assert json.loads(weir.out) == [{"name": "n1"}, {"name": "n3"}]
    assert weir.err.splitlines() == LINES
    assert weir(*CREATE) == 1
    assert (weir.out, weir.err.splitlines()) == ("", LINES)


def test_what_failed_is_said_though_nothing_more_can_be_asked(weir: Weir, monkeypatch: pytest.MonkeyPatch) -> None:
    def silent(client: Client, one: str) -> dict[str, Any]:
        raise Disconnected("the Weir DB does not answer")

    assert issubclass(Disconnected, DatabaseError)
    monkeypatch.setattr(Client, "create", all_but_the_second)
    monkeypatch.setattr(Client, "describe", silent)
    assert weir(*CREATE, "--json") == 1
    assert (weir.out, weir.err.splitlines()) == ("", LINES)


def test_what_somebody_has_deleted_by_then_is_not_printed(weir: Weir, monkeypatch: pytest.MonkeyPatch) -> None:
    made = [vif("n1", 1), vif("n2", 2), vif("n3", 3)]

    def create(client: Client, requests: Sequence[VifRequest], progress: object) -> list[VirtualInterface]:
        return made

    def change(client: Client, names: Sequence[str], change: VifChange) -> tuple[list[VirtualInterface], bool]:
        return made, True

    monkeypatch.setattr(Client, "create", create)
    monkeypatch.setattr(Client, "change", change)
    there(monkeypatch, "n1", "n3")
    assert weir(*CREATE, "--json") == 0
    assert json.loads(weir.out) == [{"name": "n1"}, {"name": "n3"}]
    assert weir("vif", "set", "n1", "n2", "n3", "--label", "k=v", "--json") == 0
    assert json.loads(weir.out) == [{"name": "n1"}, {"name": "n3"}]
    assert weir("vif", "set", "n2", "--label", "k=v", "--json") == 2
    assert (weir.out, weir.err) == ("", "there is no VIF 'n2'. See weir vif list.\n")
