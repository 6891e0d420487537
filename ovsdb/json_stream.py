"""JSON off a stream, however large: two parts of the `ovs` library in pure Python that large messages overwhelm.

The parser in pure Python of the `ovs` library takes time that grows with the square of the length of a string: 1.5 s
for a policy file of 200 kB, during which its process does nothing else. This one looks for the end of the value and
leaves the rest to the standard library. Only objects and arrays are read: JSON-RPC has nothing else at the top.
"""

from __future__ import annotations

import errno
import json
import re
from typing import Any

_OUTSIDE = re.compile(r'["{}\[\]]')
_INSIDE = re.compile(r'["\\]')


class WholeCharacters:
    """A stream of the library that ends what it gives between two characters of UTF-8, never within one.

    The library decodes what it reads at a time, and takes a character cut in two, as happens when the server must wait
    for room in the socket, for a fault in the protocol.
    """

    def __init__(self, stream: Any) -> None:
        self._stream = stream
        self._tail = b""

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def recv(self, size: int) -> tuple[int, bytes]:
        """Error number (0: none) and bytes, as the stream gives them."""
        error, data = self._stream.recv(size)
        if error or not data:
            return error, data
        data = self._tail + data
        end = len(data) - _begun_at_end(data)
        self._tail = data[end:]
        return (0, data[:end]) if end else (errno.EAGAIN, b"")


def _begun_at_end(data: bytes) -> int:
    """How many bytes at the end are a character without its rest. Source: RFC 3629, section 3."""
    for count in range(1, min(3, len(data)) + 1):
        byte = data[-count]
        if byte >= 0xC0:
            length = 2 if byte < 0xE0 else 3 if byte < 0xF0 else 4
            return count if count < length else 0
        if byte < 0x80:
            return 0
    return 0


class StreamParser:
    """Has the methods of `ovs.json.Parser` that the library calls."""

    def __init__(self) -> None:
        self._parts: list[str] = []
        self._depth = 0
        self._begun = self._in_string = self._escaped = False

    def feed(self, text: str) -> int:
        """Takes in the next piece. Returns how many of its characters belong to the value; the rest is of the next."""
        end = self._scan(text)
        self._parts.append(text[:end])
        return end

    def is_done(self) -> bool:
        return self._begun and self._depth == 0

    def finish(self) -> Any:
        """The value; a text with what is wrong when it is none."""
        try:
            return json.loads("".join(self._parts))
        except ValueError as fault:
            return f"not JSON: {fault}"

    def _scan(self, text: str) -> int:
        at = 0
        if self._escaped:
            at, self._escaped = 1, False
        while at < len(text):
            mark = (_INSIDE if self._in_string else _OUTSIDE).search(text, at)
            if mark is None:
                break
            at = mark.end()
            character = mark[0]
            if character == "\\":
                at += 1
                self._escaped = at > len(text)
            elif character == '"':
                self._in_string = not self._in_string
            else:
                self._begun = True
                self._depth += 1 if character in "{[" else -1
                if self._depth <= 0:
                    self._depth = 0
                    return at
        return len(text)
