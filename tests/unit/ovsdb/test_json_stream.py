from __future__ import annotations

import errno
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ovsdb.json_stream import StreamParser, WholeCharacters

scalars = st.none() | st.booleans() | st.integers() | st.text()
values = st.recursive(scalars, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=8)
messages = st.lists(values) | st.dictionaries(st.text(), values)


@settings(max_examples=50)
@given(st.lists(messages, min_size=1, max_size=4), st.integers(1, 7), st.booleans())
def test_any_split_of_any_stream_gives_its_values(sent: list[object], size: int, ascii_only: bool) -> None:
    text = "".join(json.dumps(message, ensure_ascii=ascii_only) for message in sent)
    pieces = [text[at : at + size] for at in range(0, len(text), size)]
    received, parser = [], StreamParser()
    for piece in pieces:
        while piece:
            piece = piece[parser.feed(piece) :]
            if parser.is_done():
                received.append(parser.finish())
                parser = StreamParser()
    assert received == sent


@pytest.mark.parametrize("text", ["]", '{"a" 1}', "[1,]", '{"a": tru}'])
def test_what_is_no_json_is_said_in_a_text(text: str) -> None:
    parser = StreamParser()
    assert parser.feed(text) == len(text)
    assert parser.is_done()
    assert str(parser.finish()).startswith("not JSON")


class Chunks:
    """A stream that has these pieces to give, one at a time."""

    def __init__(self, pieces: list[bytes]) -> None:
        self.name = "chunks"
        self._pieces = pieces

    def recv(self, size: int) -> tuple[int, bytes]:
        return (0, self._pieces.pop(0)) if self._pieces else (errno.EAGAIN, b"")


@settings(max_examples=50)
@given(st.text(), st.integers(1, 5))
def test_no_piece_ends_within_a_character(text: str, size: int) -> None:
    encoded = text.encode()
    pieces = [encoded[at : at + size] for at in range(0, len(encoded), size)]
    stream = WholeCharacters(Chunks(list(pieces)))
    received = [stream.recv(4096) for _ in range(len(pieces) + 1)]
    assert "".join(data.decode() for _, data in received) == text
    assert received[-1] == (errno.EAGAIN, b"")
    assert stream.name == "chunks"
