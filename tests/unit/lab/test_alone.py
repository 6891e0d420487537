"""Modules of the sandbox that measure run alone: every one of them is named."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.sandbox.alone import ALONE, MEASURING

SANDBOX = Path(__file__).resolve().parents[2] / "sandbox"
MODULES = {path.stem: path.read_text() for path in SANDBOX.glob("test_*.py")}


def test_what_measures_is_named() -> None:
    measuring = {name: found[0] for name, text in MODULES.items() if (found := MEASURING.search(text))}
    unnamed = {name: how for name, how in measuring.items() if name not in ALONE}
    assert not unnamed, f"name them in tests/sandbox/alone.py: {unnamed}"
    assert len(measuring) > 10


def test_what_is_named_is_there() -> None:
    assert MODULES.keys() >= ALONE


@pytest.mark.parametrize(
    "line",
    [
        "arrived = receiver.series(7001).kbps(from_s, to_s)",
        "assert flow.result().goodput_kbps >= 9_000",
        "assert time.monotonic() - began_s < 2",
        "queues.assert_shares({1: 0.5})",
    ],
)
def test_the_guard_sees_who_measures(line: str) -> None:
    assert MEASURING.search(line)
