"""Reads fields of a composed tree by their vocabulary, adding to the problems whatever is wrong. Pure.

Every method goes on after an error with the next best (None, nothing), so that one pass finds all errors.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import TypeVar

from policies.errors import BadValue, Place, Problems
from policies.grammar import FLAG, NAME, NAME_REMEDY, Vocabulary
from policies.source import Entry, Fields, Listing, Scalar, Tree
from policies.wording import either, nearest, quoted

T = TypeVar("T")

_EMPTY_MAPPING_REMEDY = "Write '{}' where there is nothing to say, or remove the key"


class Reader:
    """`complete` is False when a file could not be read: then a name nobody defines may be defined there."""

    def __init__(self, problems: Problems, complete: bool = True) -> None:
        self.problems = problems
        self.complete = complete

    def mapping(self, tree: Tree) -> tuple[Entry, ...]:
        """The entries of a mapping whose keys are names."""
        if isinstance(tree, Fields):
            return tree.entries
        if isinstance(tree, Scalar) and not tree.text:
            self.problems.add(tree.place, "is empty", _EMPTY_MAPPING_REMEDY)
        else:
            self.problems.add(tree.place, f"{_shape(tree)} stands where a mapping should", "Write 'key: value' lines")
        return ()

    def fields(self, tree: Tree, keys: Vocabulary) -> Mapping[str, Tree]:
        """The values by key of a mapping whose keys are the language's own."""
        found: dict[str, Tree] = {}
        for entry in self.mapping(tree):
            if entry.key in keys.built:
                found[entry.key] = entry.value
            else:
                self.refuse_key(entry, keys)
        if isinstance(tree, Fields):
            for key, example in keys.required:
                if key not in found:
                    self.problems.add(Place(tree.place.at, tree.place, key), "is missing", f"Add '{example}'")
        return found

    def refuse_key(self, entry: Entry, keys: Vocabulary) -> None:
        near = nearest(entry.key, keys.built)
        remedy = f"The nearest valid key is '{near}'" if near else f"Valid here: {', '.join(keys.built)}"
        self.problems.add(entry.key_place, f"unknown key {quoted(entry.key)}", remedy)

    def named(self, entries: Iterable[Entry], what: str) -> Iterable[Entry]:
        """All the entries, whose keys must be names; `what` is what they name, such as "segment"."""
        for entry in entries:
            if not NAME.fullmatch(entry.key):
                self.problems.add(entry.key_place, f"{quoted(entry.key)} cannot be the name of a {what}", NAME_REMEDY)
            yield entry

    def items(self, tree: Tree) -> tuple[Tree, ...]:
        """The items of a list that must have some."""
        if isinstance(tree, Listing):
            if not tree.items:
                self.problems.add(tree.place, "the list is empty", "Remove the key, or put something into the list")
            return tree.items
        if isinstance(tree, Scalar) and tree.text:
            self.problems.add(tree.place, "a text stands where a list should", "Put it into brackets, as in [a, b]")
        elif isinstance(tree, Scalar):
            self.problems.add(tree.place, "is empty", "Remove the key, or write a list, as in [a, b]")
        else:
            self.problems.add(tree.place, "a mapping stands where a list should", "Begin each item with '- '")
        return ()

    def one_or_more(self, tree: Tree) -> tuple[Tree, ...]:
        """The items of a list, or the one value that stands in its place."""
        return self.items(tree) if isinstance(tree, Listing) else (tree,)

    def text(self, tree: Tree) -> str | None:
        if not isinstance(tree, Scalar):
            self.problems.add(tree.place, f"{_shape(tree)} stands where one value should", "Write one value")
        elif not tree.text.strip():
            self.problems.add(tree.place, "is empty", "Write a value, or remove the key")
        else:
            return tree.text.strip()
        return None

    def value(self, tree: Tree, parse: Callable[[str], T]) -> T | None:
        """What `parse` makes of the text; it may raise BadValue."""
        text = self.text(tree)
        if text is None:
            return None
        try:
            return parse(text)
        except BadValue as bad:
            self.problems.add(tree.place, bad.problem, bad.remedy)
            return None

    def name(self, tree: Tree, what: str) -> str | None:
        text = self.text(tree)
        if text is not None and not NAME.fullmatch(text):
            self.problems.add(tree.place, f"{quoted(text)} cannot be the name of a {what}", NAME_REMEDY)
            return None
        return text

    def word(self, tree: Tree, words: Vocabulary) -> str | None:
        """One of the words of a value, in lower case."""
        text = self.text(tree)
        if text is None or text.lower() in words.built:
            return text and text.lower()
        self.problems.add(tree.place, f"{quoted(text)} is not understood here", f"Write {either(words.built)}")
        return None

    def flag(self, tree: Tree) -> bool | None:
        """true or false."""
        word = self.word(tree, FLAG)
        return None if word is None else word == "true"


def _shape(tree: Tree) -> str:
    return {Scalar: "a text", Listing: "a list", Fields: "a mapping"}[type(tree)]


def whole_number(lowest: int, highest: int) -> Callable[[str], int]:
    """A parser of whole numbers within bounds, both included."""

    def parse(text: str) -> int:
        number = int(text) if text.isascii() and text.isdigit() and len(text) <= 9 else -1
        if not lowest <= number <= highest:
            raise BadValue(
                f"{quoted(text)} is not a whole number from {lowest} to {highest}",
                f"Write a number from {lowest} to {highest}",
            )
        return number

    return parse
