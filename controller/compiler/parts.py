"""A bridge is compiled part by part, and a part whose inputs are what they were is not compiled again."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from controller.compiler.flow import Flow
from controller.dataplane.entries import FlowBody, FlowKey
from controller.dataplane.text import flow_text

T = TypeVar("T")


class Contradiction(ValueError):
    """Two parts of the input ask for different things of the same packets."""


@dataclass(frozen=True, slots=True)
class Part:
    """`inputs` is everything that `make` depends on, but for what `key` names."""

    key: Hashable
    inputs: Any
    make: Callable[[], Iterable[Flow]]


class Memo:
    """What the last compile of a bridge came to, part by part: the next one is faster for it, and no different."""

    def __init__(self) -> None:
        self._before: dict[Hashable, tuple[Any, Any]] = {}
        self._now: dict[Hashable, tuple[Any, Any]] = {}

    def flows(self, part: Part) -> Mapping[FlowKey, FlowBody]:
        """Raises Contradiction."""
        return self.value(part.key, part.inputs, lambda: _by_key(part.make()))

    def value(self, key: Hashable, inputs: Any, make: Callable[[], T]) -> T:
        """What `make` gave for these inputs last time, or gives now."""
        known = self._before.get(key)
        is_known = known is not None and (known[0] is inputs or known[0] == inputs)
        made: T = known[1] if known is not None and is_known else make()
        self._now[key] = (inputs if known is None or known[1] is not made else known[0], made)
        return made

    def turn(self) -> None:
        """Ends a compile: what was not asked for in it is forgotten."""
        self._before, self._now = self._now, {}


def contradiction(key: FlowKey, one: FlowBody, other: FlowBody) -> Contradiction:
    return Contradiction(f"one match, two meanings: {flow_text(key, one)}; {flow_text(key, other)}")


def _by_key(flows: Iterable[Flow]) -> dict[FlowKey, FlowBody]:
    found: dict[FlowKey, FlowBody] = {}
    for key, body in flows:
        if found.setdefault(key, body) != body:
            raise contradiction(key, found[key], body)
    return found
