"""What the loop changed, as `weir loop history` shows it to people: when, what, why, from what, and what came of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from controller.cli.times import local

_EFFECT = {
    "offered_kbps": "offered {:.0f}",
    "passed_kbps": "passed {:.0f}",
    "dropped_kbps": "dropped {:.0f} kbit/s",
    "p99_ms": "p99 {:.3g} ms",
    "loss": "loss {:.2%}",
}
_UNITS = {"rate": "kbit/s", "guarantee": "kbit/s", "class": "kbit/s", "buffer": "bytes", "cpu": "of a core"}


def lines(change: Mapping[str, Any], names_vif: bool) -> Iterator[str]:
    """Four lines a change. names_vif: where changes of several are shown."""
    what, unit = change["what"], _UNITS.get(change["what"].partition(" ")[0], "")
    whose = f"{change['vif']} ({change['policy']}) " if names_vif else ""
    before, after = (_value(change[when], what) for when in ("before", "after"))
    yield f"{local(change['time'])} {whose}{change['direction']} {what}: {before} -> {after} {unit}".rstrip()
    yield f"  why: {change['why']}"
    yield f"  from: {', '.join(f'{name} {_input(value)}' for name, value in change['inputs'].items()) or '-'}"
    yield f"  then: {_effect(change['effect'])}"


def _value(value: float | None, what: str) -> str:
    """None: what the policy says."""
    unmoved = {"rate": "own limit", "class": "unbounded"}.get(what.partition(" ")[0], "as written")
    return unmoved if value is None else f"{value:.10g}"


def _input(value: float | None) -> str:
    """None: as much as possible."""
    return "unbounded" if value is None else f"{value:.10g}"


def _effect(effect: Mapping[str, float | None] | None) -> str:
    if effect is None:
        return "not known yet"
    known = [text.format(effect[name]) for name, text in _EFFECT.items() if effect.get(name) is not None]
    return ", ".join(known) or "no statistics"
