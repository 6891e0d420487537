"""Law: whatever bytes a policy file holds, reading it ends in a policy set, or in error lines that say where.

The seeds stand in tests/corpus/policies; a file's name begins with what reading it must give: right, wrong or hostile.
A case that was found to break the law is kept there too. WEIR_LAWS=search tries 50 times as many mutations.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from policies.capability import unenforced
from policies.errors import MAX_ERRORS, PolicyErrors
from policies.loader import load
from policies.model import PolicySet, Position
from policies.parser import parse
from policies.resolve import resolve

CORPUS = sorted((Path(__file__).parents[1] / "corpus" / "policies").glob("*.yaml"))
SEEDS = [path.read_bytes() for path in CORPUS]
EXAMPLES = 20_000 if os.environ.get("WEIR_LAWS") == "search" else 400
LONGEST_LINE = 2000
TOKENS = [
    b"{", b"}", b"[", b"]", b": ", b",", b"\n", b"\r", b"\r\n", b"  ", b"\t", b"- ", b"? ", b"&a ", b"*a ", b"!!int ",
    b"<<: ", b"---\n", b"...\n", b"%TAG ! x\n", b'"', b"'", b"#", b"|\n", b">-\n", b"~", b"null", b"\0", b"\x7f",
    b"!a", b"\xff", b"\xef\xbb\xbf", b"\xe2\x80\xa8", b"\xe2\x80\xae", b"\xed\xa0\x80", b"\xf0\x9f\x98\x80",
    b'"\\u202e"', b'"\\n"', b"yes", b"no", b"true", b"0", b"-1", b"1e9",
    b"99999999999999999999", b" %", b" mbit", b" kib", b" ms",
    b" for ", b"min", b"max", b"any", b"10.0.0.0/8", b"::/0",
    b"fe80::1", b"tcp/1-65535", b"weir", b"children", b"routed",
]  # fmt: skip


@pytest.fixture(scope="module")
def file() -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as directory:
        yield Path(directory) / "p.yaml"


def read(file: Path, content: bytes) -> PolicySet | None:
    """What reading the bytes gives; None: error lines, which keep the form of the contract."""
    file.write_bytes(content)
    try:
        policies = parse(load([file]))
    except PolicyErrors as wrong:
        _check_lines(file, wrong, content)
        return None
    for node in policies.nodes.values():
        resolve(policies, node.path)
    assert all(found.position in _inside(str(file), content) for found in unenforced(policies))
    return policies


def _check_lines(file: Path, wrong: PolicyErrors, content: bytes) -> None:
    inside = _inside(str(file), content)
    assert 0 < len(wrong.errors) <= MAX_ERRORS + 1
    assert str(wrong).split("\n") == list(map(str, wrong.errors))
    for error in wrong.errors:
        assert error.position in inside, error
        assert str(error).isprintable() and len(str(error)) < LONGEST_LINE
        assert error.path and error.problem and error.remedy


class _inside:
    """The positions of a text: up to the end of each line, and the line after the last."""

    def __init__(self, file: str, content: bytes) -> None:
        self._file = file
        lines = content.decode("utf-8", errors="replace").split("\n")
        self._widths = [len(line) for line in lines] + [0]

    def __contains__(self, position: Position) -> bool:
        return (
            position.file == self._file
            and 1 <= position.line <= len(self._widths)
            and 1 <= position.column <= self._widths[position.line - 1] + 1
        )


@st.composite
def mutated(draw: st.DrawFn) -> bytes:
    """A seed after a few edits."""
    content = draw(st.sampled_from(SEEDS))
    for _ in range(draw(st.integers(1, 6))):
        start = draw(st.integers(0, len(content)))
        end = min(len(content), start + draw(st.integers(0, 40)))
        content = draw(st.sampled_from(EDITS))(draw, content, start, end)
    return content


def _flip(draw: st.DrawFn, content: bytes, start: int, end: int) -> bytes:
    flipped = bytes(byte ^ 1 << draw(st.integers(0, 7)) for byte in content[start : start + 1])
    return content[:start] + flipped + content[start + 1 :]


def _insert(draw: st.DrawFn, content: bytes, start: int, end: int) -> bytes:
    return content[:start] + draw(st.sampled_from(TOKENS)) + content[start:]


def _replace(draw: st.DrawFn, content: bytes, start: int, end: int) -> bytes:
    return content[:start] + draw(st.sampled_from(TOKENS) | st.binary(max_size=8)) + content[end:]


def _remove(draw: st.DrawFn, content: bytes, start: int, end: int) -> bytes:
    return content[:start] + content[end:]


def _repeat(draw: st.DrawFn, content: bytes, start: int, end: int) -> bytes:
    return content[:end] + content[start:end] * draw(st.integers(1, 30)) + content[end:]


def _splice(draw: st.DrawFn, content: bytes, start: int, end: int) -> bytes:
    other = draw(st.sampled_from(SEEDS))
    at = draw(st.integers(0, len(other)))
    return content[:start] + other[at : at + draw(st.integers(0, 300))] + content[end:]


def _truncate(draw: st.DrawFn, content: bytes, start: int, end: int) -> bytes:
    return content[:start]


def _repeat_lines(draw: st.DrawFn, content: bytes, start: int, end: int) -> bytes:
    lines = content.splitlines(keepends=True) or [b""]
    at = start % len(lines)
    moved = draw(st.sampled_from([b"", b"  ", b"    "]))
    return b"".join([*lines[: at + 1], moved + lines[draw(st.integers(0, len(lines) - 1))], *lines[at + 1 :]])


EDITS = [_flip, _insert, _replace, _remove, _repeat, _splice, _truncate, _repeat_lines]


def test_the_corpus_is_there() -> None:
    kinds = {path.name.split("-")[0] for path in CORPUS}
    assert kinds == {"right", "wrong", "hostile"} and len(CORPUS) > 30


@pytest.mark.parametrize("seed", CORPUS, ids=lambda path: path.stem)
def test_a_seed_is_read_as_its_name_says(seed: Path, file: Path) -> None:
    policies = read(file, seed.read_bytes())
    assert (policies is not None) == seed.name.startswith("right-")


@pytest.mark.parametrize(
    "seed", [seed for seed in CORPUS if seed.name.startswith("hostile-")], ids=lambda path: path.stem
)
def test_a_hostile_seed_gives_few_lines(seed: Path) -> None:
    with pytest.raises(PolicyErrors) as raised:
        parse(load([seed]))
    assert len(raised.value.errors) <= 2


@settings(
    deadline=None, max_examples=EXAMPLES, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large]
)
@given(content=mutated())
def test_any_edit_of_a_seed_is_a_policy_set_or_error_lines(file: Path, content: bytes) -> None:
    read(file, content)


@settings(deadline=None, max_examples=EXAMPLES // 4)
@given(content=st.binary(max_size=200))
def test_any_bytes_are_a_policy_set_or_error_lines(file: Path, content: bytes) -> None:
    read(file, content)
