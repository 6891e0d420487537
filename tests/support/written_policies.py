"""Policy documents as YAML texts that a failing case can be read from."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any


def text_of(document: Mapping[str, Any]) -> str:
    """YAML: a line for each definition, node and rule."""
    return "".join(f"{line}\n" for line in _lines(document, 0))


def _lines(mapping: Mapping[str, Any], depth: int) -> Iterator[str]:
    """Two levels of a section stand in lines of their own, and nodes as deep as they go."""
    margin = "  " * depth
    for key, value in mapping.items():
        if isinstance(value, Mapping) and (depth == 0 or key == "children" or _is_node(value)):
            yield f"{margin}{key}:"
            yield from _lines(value, depth + 1)
        elif isinstance(value, list) and value and isinstance(value[0], Mapping):
            yield f"{margin}{key}:"
            yield from (f"{margin}  - {action}: {_flow(body)}" for rule in value for action, body in rule.items())
        else:
            yield f"{margin}{key}: {_flow(value)}"


def _is_node(value: Mapping[str, Any]) -> bool:
    return not value.keys().isdisjoint(("unmatched", "mandatory", "rules", "default", "children"))


_PLAIN = re.compile(r"[A-Za-z0-9][A-Za-z0-9_./ %-]*")


def _flow(value: Any) -> str:
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{key}: {_flow(part)}" for key, part in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(_flow, value)) + "]"
    return value if _PLAIN.fullmatch(value) else f"'{value}'"
