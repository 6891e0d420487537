"""What is said of objectives that are violated, and of what the loop does about it. Pure."""

from __future__ import annotations

from collections.abc import Mapping

from controller.allocation.decision import Decision
from controller.allocation.objectives import Account, Objective
from controller.allocation.yielding import Yielding
from controller.runtime.giving_way import Link, Scene, Watched
from policies.units import rate_text

_UNITS: Mapping[Objective, str] = {"latency": "_ms", "jitter": "_ms", "loss": ""}
_WORDS: Mapping[Objective, str] = {"latency": "p99 latency", "jitter": "jitter", "loss": "loss"}


def inputs_of(accounts: Mapping[Objective, Account]) -> dict[str, float]:
    """What is measured and its targets, by name with unit."""
    found: dict[str, float] = {}
    for objective, account in accounts.items():
        if account.measured is not None:
            found[f"{objective}{_UNITS[objective]}"] = account.measured
            found[f"{objective}_target{_UNITS[objective]}"] = account.target
    return found


def missed_words(accounts: Mapping[Objective, Account]) -> str:
    return ", ".join(
        f"{_WORDS[objective]} {_figure(objective, account.measured)}, objective {_figure(objective, account.target)}"
        for objective, account in accounts.items()
        if account.state == "violated" and account.measured is not None
    )


def why(before: float | None, after: float | None, whom: str, link: Link, is_missed: bool) -> str:
    """A cap of a class was changed so, for these VIFs; is_missed: one of them violates an objective now."""
    where = f"uplink {link[1]} of {link[0]}"
    if after is None:
        return f"the objectives of {whom} no longer need anybody on {where} to give way"
    if not is_missed and (before is None or after < before):
        return f"others on {where} want more of what is left to them while the objectives of {whom} recover"
    if before is None or after < before:
        return f"an objective of {whom} is violated: others on {where} give way"
    return f"the objectives of {whom} hold: who gave way on {where} gets it back"


def remedy(scene: Scene, one: Watched, state: Yielding, seen: Decision | None, is_no_use: bool) -> str:
    """What becomes of it, and what to do; state: of its link. A sentence or two."""
    if one.link is None:
        return (
            "nothing can give way for it, as it sends through no uplink whose capacity the policy names. "
            "Name that in links, if an uplink is what it waits for."
        )
    where = f"uplink {one.link[1]} of {one.link[0]}"
    if scene.is_its_own_doing(one, seen):
        part = _rate(scene.part_kbps(one.number))
        return f"it sends as much as its part of {where}, {part}, or more. Raise its guarantee, or send less."
    if is_no_use:
        return (
            f"others on {where} gave way down to what they are guaranteed, and it was no better for it. Look for what "
            "delays it elsewhere: the instance itself, its ingress limit, the network outside."
        )
    if state.spent_since_s is not None:
        return (
            f"nothing is left on {where} that could give way: all others are down to what they are guaranteed. "
            "Lower guarantees there, or move VIFs to another uplink."
        )
    if state.is_active:
        return f"others on {where} give way, to {_rate(state.budget_kbps)} together."
    return f"others on {where} give way if it lasts."


def _rate(kbps: float) -> str:
    return rate_text(int(float(f"{kbps:.2g}")))


def _figure(objective: Objective, value: float) -> str:
    return f"{value * 100:.3g} %" if objective == "loss" else f"{value:.3g} ms"
