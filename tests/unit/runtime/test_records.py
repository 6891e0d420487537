"""The file of what rules have logged."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from controller.runtime import records as module
from controller.runtime.records import RECORDS, Records


def test_a_record_is_a_line_of_json(tmp_path: Path) -> None:
    path = tmp_path / RECORDS
    records = Records(path)
    assert not path.exists()  # there is nothing to tell yet
    told = [{"rule": "acme:no %s here\n", "users": ["zoë"]}, {"rule": "\ud800 half a character"}, {}]
    for record in told:
        records.write(record)
    lines = path.read_bytes().splitlines()
    assert [json.loads(line) for line in lines[::2]] == told[::2]
    assert "zoë".encode() in lines[0] and json.loads(lines[1]) == told[1]


def test_it_goes_on_where_it_was(tmp_path: Path) -> None:
    for turn in (1, 2):
        Records(tmp_path / RECORDS).write({"turn": turn})
    assert (tmp_path / RECORDS).read_text() == '{"turn": 1}\n{"turn": 2}\n'


def test_its_size_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_BYTES", 200)
    records = Records(tmp_path / RECORDS)
    for turn in range(100):
        records.write({"turn": turn})
    files = sorted(tmp_path.iterdir())
    assert [file.name for file in files] == [RECORDS, *(f"{RECORDS}.{number}" for number in (1, 2, 3))]
    assert all(file.stat().st_size <= 200 for file in files)
    turns = [
        json.loads(line)["turn"] for file in (*reversed(files[1:]), files[0]) for line in file.read_text().splitlines()
    ]
    assert turns == list(range(turns[0], 100))


def test_a_file_that_cannot_be_written_stops_nobody(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Records(tmp_path / "nosuch" / RECORDS).write({})
    assert not list(tmp_path.iterdir())


def test_what_cannot_be_written_is_told_once_and_counted(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    records = Records(tmp_path / "nowhere" / RECORDS)
    for turn in range(3):
        records.write({"turn": turn})
    assert records.lost == 3
    assert len(caplog.records) == 1 and "what rules log cannot be written" in caplog.text
