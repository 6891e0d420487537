"""The steps of `weir up` where the machine would be touched: here it is not."""

from __future__ import annotations

from pathlib import Path

import pytest

from controller.cli import starting
from controller.config import StateDir, System
from controller.host.errors import HostError
from controller.intent import policy
from controller.system import lifecycle, requirements
from controller.system.errors import SystemFault
from controller.system.requirements import Request
from ovsdb.session import DatabaseError


@pytest.mark.parametrize("second", [DatabaseError("second"), HostError("second", "x"), OSError("second")])
def test_the_first_fault_is_what_the_user_reads(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path, second: Exception
) -> None:
    def fails(fault: Exception) -> object:
        def fail(*arguments: object) -> None:
            raise fault

        return fail

    for name in ("check_privilege", "check_machine"):
        monkeypatch.setattr(requirements, name, lambda *arguments: None)
    monkeypatch.setattr(lifecycle, "plan", lambda *arguments: System(chassis="h"))
    monkeypatch.setattr(lifecycle, "start", fails(SystemFault("first", "Do this")))
    monkeypatch.setattr(lifecycle, "stop", fails(second))
    with pytest.raises(SystemFault, match=r"first\. Do this\."):
        starting.bring_up(Request(), StateDir(tmp_path / "state"), [])
    assert "taking back what was made: second" in capsys.readouterr().err


def test_a_policy_that_is_applied_by_up_is_held_against_the_vifs_that_there_are(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """A system that comes up again has some: see `policy.knowingly`."""
    database = Database()
    monkeypatch.setattr(starting, "WeirDb", lambda remote: database)
    monkeypatch.setattr(policy, "apply", lambda *arguments: 2)
    monkeypatch.setattr(policy, "knowingly", lambda policies, snapshot: [f"there is {name}" for name in snapshot])
    starting._apply(StateDir(tmp_path), {"p.yaml": "weir: 1\npolicies: {free: {}}\n"})
    assert capsys.readouterr().err == "warning: there is web\n"


class Database:
    """Knows nothing until it is connected, as WeirDb."""

    def __init__(self) -> None:
        self._known: tuple[str, ...] = ()

    def __enter__(self) -> Database:
        return self

    def __exit__(self, *exception: object) -> None:
        pass

    def connect(self) -> None:
        self._known = ("web",)

    def snapshot(self) -> tuple[str, ...]:
        return self._known
