"""YAML text to a tree of positioned values, every scalar as text. Pure.

What YAML has beyond lists, mappings and texts is refused (anchors, aliases, merge keys, tags, directives, several
documents), and size, depth and number of values are bounded, so hostile text ends in one clear error within bounded
time and memory.
The events come from libyaml, which every wheel of PyYAML holds: it is ten times as fast as PyYAML's own scanner.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

import yaml

from policies.errors import Place, Problems
from policies.model import Position
from policies.wording import quoted

MAX_BYTES = 4 * 1024 * 1024  # of one file
MAX_DEPTH = 64  # lists and mappings inside each other: a rule of the deepest leaf is about 25 levels deep
MAX_VALUES = 400_000  # of one file

# What YAML does not count as a character of a document (lone surrogates included); line breaks that editors do not show
# as such: after one of them, what looks like a comment is not; and what makes editors show text in another order.
_REFUSED = re.compile(
    "\r(?!\n)|[\0-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff\ufeff\ufffe\uffff]"
)
_DIRECTIVE = re.compile("^%", re.MULTILINE)  # libyaml compares each with all before it


@dataclass(frozen=True, slots=True)
class Scalar:
    """A text, whatever it looks like; empty where the file has nothing, as after `key:`."""

    place: Place
    text: str


@dataclass(frozen=True, slots=True)
class Listing:
    place: Place
    items: tuple[Tree, ...]


@dataclass(frozen=True, slots=True)
class Entry:
    """One key of a mapping; `key_place` is where the key stands, `value.place` where its value does."""

    key: str
    key_place: Place
    value: Tree


@dataclass(frozen=True, slots=True)
class Fields:
    place: Place
    entries: tuple[Entry, ...]


Tree = Scalar | Listing | Fields


class _Unreadable(Exception):
    """Reading cannot go on in this file."""

    def __init__(self, place: Place, problem: str, remedy: str) -> None:
        super().__init__(problem)
        self.place = place
        self.problem = problem
        self.remedy = remedy


def compose(file: str, text: str, problems: Problems) -> Tree | None:
    """The one document of a file. Adds what is wrong; None when the file could not be read to its end."""
    root = Place(Position(file, 1, 1))
    try:
        _check_characters(root, text)
        return _Composer(file, problems, yaml.parse(text.removeprefix("\ufeff"), Loader=yaml.CSafeLoader)).document()
    except _Unreadable as stop:
        problems.add(stop.place, stop.problem, stop.remedy)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        at = Position(file, mark.line + 1, mark.column + 1) if mark else root.at
        said = " ".join(f"{error.context or ''} {error.problem or ''}".split())
        problems.add(Place(at), f"is not valid YAML: {said}", _yaml_remedy(said))
    except yaml.YAMLError as error:
        said = " ".join(str(error).split())
        problems.add(root, f"is not valid YAML: {said[:200]}", _yaml_remedy(said))
    return None


def _check_characters(root: Place, text: str) -> None:
    if len(text) > MAX_BYTES:
        raise _Unreadable(
            root, f"the file is larger than {MAX_BYTES // 1024 // 1024} MiB", "Split it into several files"
        )
    start = 1 if text.startswith("\ufeff") else 0
    wrong = _REFUSED.search(text, start)
    if wrong is not None:
        problem = f"character U+{ord(wrong[0]):04X} cannot stand in a policy"
        raise _Unreadable(_place_of(root, text, wrong.start()), problem, "Remove it")
    directive = _DIRECTIVE.search(text[start:])
    if directive is not None:
        place = _place_of(root, text, start + directive.start())
        raise _Unreadable(place, "YAML directives (lines that begin with %) are not offered", "Remove the line")


def _place_of(root: Place, text: str, offset: int) -> Place:
    line, start = text.count("\n", 0, offset) + 1, text.rfind("\n", 0, offset) + 1
    return Place(Position(root.at.file, line, offset - start + 1))


def _yaml_remedy(said: str) -> str:
    for sign, remedy in (
        ("cannot start any token", "Indent with spaces instead of tabs, and quote a text that begins with %, @ or `"),
        ("mapping values are not allowed", "Quote a text that has ': ' in it, and indent keys of one mapping alike"),
        ("could not find expected ':'", "Write 'key: value', with a space after the colon"),
        ("expected ',' or", "Close the bracket, and quote a text that has brackets, commas or ': ' in it"),
        ("unexpected end of stream", "Close the quotation mark"),
    ):
        if sign in said:
            return remedy
    return "Mend the line: 'key: value', indented with spaces, texts with special characters in quotes"


class _Composer:
    """Builds values from parser events as they come, so that what is too deep or too much is never read to its end."""

    def __init__(self, file: str, problems: Problems, events: Iterator[yaml.Event]) -> None:
        self._file = file
        self._problems = problems
        self._events = events
        self._values = 0

    def document(self) -> Tree:
        root = Place(Position(self._file, 1, 1))
        next(self._events)  # start of the stream
        if isinstance(next(self._events), yaml.StreamEndEvent):
            raise _Unreadable(root, "the file is empty", "Begin it with 'weir: 1'")
        event = next(self._events)
        tree = self._value(event, Place(self._at(event)), 0)
        next(self._events)  # end of the document
        more = next(self._events)
        if not isinstance(more, yaml.StreamEndEvent):
            problem = "a second YAML document begins here"
            raise _Unreadable(Place(self._at(more)), problem, "Put each document into a file of its own")
        return tree

    def _value(self, event: yaml.Event, place: Place, depth: int) -> Tree:
        self._refuse(event, place, depth)
        if isinstance(event, yaml.ScalarEvent):
            return Scalar(place, event.value)
        if isinstance(event, yaml.SequenceStartEvent):
            items: list[Tree] = []
            while not isinstance(event := next(self._events), yaml.SequenceEndEvent):
                items.append(self._value(event, Place(self._at(event), place, f"[{len(items)}]"), depth + 1))
            return Listing(place, tuple(items))
        return Fields(place, tuple(self._entries(place, depth)))

    def _entries(self, place: Place, depth: int) -> Iterator[Entry]:
        first: dict[str, Place] = {}
        while not isinstance(event := next(self._events), yaml.MappingEndEvent):
            key_place = Place(self._at(event), place, event.value if isinstance(event, yaml.ScalarEvent) else "?")
            self._refuse(event, key_place, depth)
            if not isinstance(event, yaml.ScalarEvent):
                raise _Unreadable(key_place, "a list or mapping stands where a key should", "Write 'key: value'")
            key, plain = event.value, not event.style
            if plain and key == "<<":
                raise _Unreadable(key_place, "merge keys ('<<') are not offered", "Write the keys out")
            event = next(self._events)
            value = self._value(event, Place(self._at(event), place, key), depth + 1)
            if key in first:
                problem = f"{quoted(key)} stands here twice, first at {first[key].at}"
                self._problems.add(key_place, problem, "Remove one of them")
                continue
            first[key] = key_place
            yield Entry(key, key_place, value)

    def _refuse(self, event: yaml.Event, place: Place, depth: int) -> None:
        """Raises _Unreadable for what has no meaning here, or is more than a policy needs."""
        self._values += 1
        if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None) is not None:
            raise _Unreadable(place, "YAML anchors (&) and aliases (*) are not offered", "Write the value out")
        tag = getattr(event, "tag", None)
        if tag is not None:
            raise _Unreadable(place, f"YAML tags such as {quoted(tag)} are not offered", "Remove the tag")
        if depth > MAX_DEPTH:
            raise _Unreadable(place, f"more than {MAX_DEPTH} levels inside each other", "Make the file flatter")
        if self._values > MAX_VALUES:
            raise _Unreadable(place, f"more than {MAX_VALUES} values in one file", "Split it into several files")

    def _at(self, event: yaml.Event) -> Position:
        mark = event.start_mark
        assert mark is not None  # parsers always say; only events made by hand do not
        return Position(self._file, mark.line + 1, mark.column + 1)
