"""What `weir policy check` warns of: lines for people, values for programs, and no failure."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.support.command_line import Weir

POLICY = """\
weir: 1
policies:
  red:
    rules:
      - allow: {name: all}
      - deny: {service: tcp/25}
"""


def test_findings_are_warnings_and_values(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    file = tmp_path / "policy.yaml"
    file.write_text(POLICY)
    weir = Weir(monkeypatch, capsys)
    assert weir("policy", "check", "--json", str(file)) == 0
    (found,) = json.loads(weir.out)["findings"]
    assert found["position"] == f"{file}:6:9"
    assert found["path"] == "policies.red.rules[1]"
    assert found["severity"] == "warning"
    assert weir.err == f"warning: {found['position']}: {found['path']}: {found['problem']}. {found['remedy']}.\n"
