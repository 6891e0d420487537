"""Why the loop has moved a number, in an operator's words. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from math import isfinite

from controller.allocation.actuator import Direction
from controller.allocation.autoscaler import What, Wish
from controller.allocation.decision import Move
from policies.scaling import PERMILLE, Range

_WHOLE = 1.001  # a whole unit more: rounding


def wished(vif: int, what: What, before: int, after: int, wish: Wish) -> Move:
    """What has stood for long enough, and whether there was not as much as wanted."""
    is_up = after > before
    beyond = f"{'above' if is_up else 'below'} {wish.trigger.part * 100:g} % of {_text(what, before)}"
    for_s = f"for {wish.trigger.for_s:g} s"
    if isfinite(wish.measured):
        why = f"{_MEASURED[what]} {_text(what, wish.measured)} stood {beyond} {for_s}"
    else:
        why = f"it wanted more than it got, {beyond}, {for_s}"
    if is_up and after * _WHOLE < wish.after:
        why += "; no more is free"
    inputs = {f"{_NAMES[what]}_{_UNITS[what]}": wish.measured} if isfinite(wish.measured) else {}
    return _move(vif, what, (before, after), why, {**inputs, f"wanted_{_UNITS[what]}": wish.after})


def given_back(vif: int, what: What, before: int, after: int) -> Move:
    return _move(vif, what, (before, after), "given back: others are promised it, or have their part of what is free")


def kept_within(vif: int, what: What, before: int, after: int, bounds: Range) -> Move:
    why = f"the policy keeps it within {_text(what, bounds.least)} to {_text(what, bounds.most)}"
    return _move(vif, what, (before, after), why)


def moved_no_more(vif: int, what: What, before: int | None) -> Move:
    return _move(vif, what, (before, None), "the policy moves it no more")


def shown(move: Move) -> str:
    """What, and from where to where."""
    what: What = move.direction if move.what == "guarantee" else "buffer" if move.what == "buffer" else "cpu"
    factor = PERMILLE if what == "cpu" else 1
    both = ("what is written" if one is None else _text(what, one * factor) for one in (move.before, move.after))
    return f"{move.what} {' -> '.join(both)}"


def _move(
    vif: int, what: What, both: tuple[int | None, int | None], why: str, inputs: Mapping[str, float] | None = None
) -> Move:
    direction: Direction = "ingress" if what == "ingress" else "egress"
    name = what if what in ("buffer", "cpu") else "guarantee"
    factor = PERMILLE if what == "cpu" else 1
    before, after = (None if one is None else one / factor for one in both)
    return Move(vif, direction, name, before, after, why, inputs or {})


def _text(what: What, value: float) -> str:
    return _TEXTS[what](value)


def _rate(kbps: float) -> str:
    return f"{kbps / 1000:.4g} Mbit/s"


def _size(size: float) -> str:
    return f"{size / 1024:.4g} KiB"


def _core(permille: float) -> str:
    return f"{permille * 100 / PERMILLE:.3g} % of a core"


_TEXTS: Mapping[What, Callable[[float], str]] = {"egress": _rate, "ingress": _rate, "buffer": _size, "cpu": _core}
_MEASURED: Mapping[What, str] = {
    "egress": "demand", "ingress": "demand", "buffer": "rate x target delay =", "cpu": "work worth",
}  # fmt: skip
_NAMES: Mapping[What, str] = {"egress": "demand", "ingress": "demand", "buffer": "wanted_by_rate", "cpu": "used"}
_UNITS: Mapping[What, str] = {"egress": "kbps", "ingress": "kbps", "buffer": "bytes", "cpu": "permille"}
