from __future__ import annotations

import json

import pytest

from controller.cli import output


def test_a_table_for_a_program_is_never_cut(capsys: pytest.CaptureFixture[str]) -> None:
    long = "x" * 300
    output.table(("name", "state"), [(long, "ready"), ("b", "error")])
    assert capsys.readouterr().out == f"name\tstate\n{long}\tready\nb\terror\n"


def test_a_document_is_one_document(capsys: pytest.CaptureFixture[str]) -> None:
    output.document({"name": "größe", "rate": None})
    assert json.loads(capsys.readouterr().out) == {"name": "größe", "rate": None}


def test_fields_nest(capsys: pytest.CaptureFixture[str]) -> None:
    output.fields({"name": "a", "egress": {"limit_kbps": 5, "offered_kbps": None}, "addresses": ["x", "y"]})
    assert capsys.readouterr().out == "name: a\negress:\n  limit_kbps: 5\n  offered_kbps: -\naddresses: x, y\n"
