"""The difference between what is wanted and what is there. It knows nothing of networks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Generic, TypeVar

K = TypeVar("K")
V = TypeVar("V")


@dataclass(frozen=True, slots=True)
class Changes(Generic[K, V]):
    """What leads from the actual to the desired. `delete` holds what was there. False when there is nothing to do."""

    add: Mapping[K, V] = field(default_factory=dict)
    modify: Mapping[K, V] = field(default_factory=dict)
    delete: Mapping[K, V] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return bool(self.add or self.modify or self.delete)

    def __str__(self) -> str:
        return f"{len(self.add)} added, {len(self.modify)} changed, {len(self.delete)} deleted"


def diff(desired: Mapping[K, V], actual: Mapping[K, V]) -> Changes[K, V]:
    """A body that is the same on both sides is in no part of it; one object on both sides costs no comparison."""
    if desired is actual:
        return Changes()
    add: dict[K, V] = {}
    modify: dict[K, V] = {}
    for key, body in desired.items():
        found = actual.get(key)
        if found is None:
            add[key] = body
        elif found is not body and found != body:
            modify[key] = body
    if len(desired) - len(add) == len(actual):
        return Changes(add, modify)  # all that is there is wanted
    return Changes(add, modify, {key: body for key, body in actual.items() if key not in desired})
