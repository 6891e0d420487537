from __future__ import annotations

from pathlib import Path

import pytest

from controller.system import logs


def test_tail_shows_only_what_is_new(tmp_path: Path) -> None:
    log = tmp_path / "x.log"
    assert logs.tail(log) == []
    log.write_text("old\n")
    before = log.stat().st_size
    logs.note(log, "starting")
    with log.open("a") as more:
        more.write("one\ntwo\nthree\n")
    assert logs.tail(log, lines=2, since_bytes=before) == ["two", "three"]
    assert "old" not in logs.tail(log, since_bytes=before)


def test_a_grown_log_is_moved_away_while_it_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logs, "LARGEST_BYTES", 10)
    log = tmp_path / "x.log"
    with log.open("a") as writer:
        writer.write("more than ten bytes\n")
        writer.flush()
        logs.bound(log)
        writer.write("after\n")
    assert log.read_text() == "after\n"
    assert (tmp_path / "x.log.1").read_text() == "more than ten bytes\n"
