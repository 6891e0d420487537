"""The weir command, run in the process of the test."""

from __future__ import annotations

import sys

import pytest

from controller.cli import main as command_line


class Weir:
    """Runs a command in this process."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
        self._monkeypatch, self._capsys = monkeypatch, capsys
        self.out = self.err = ""

    def __call__(self, *arguments: str) -> int:
        self._monkeypatch.setattr(sys, "argv", ["weir", *arguments])
        with pytest.raises(SystemExit) as ended:
            command_line.main()
        self.out, self.err = self._capsys.readouterr()
        return int(ended.value.code or 0)
