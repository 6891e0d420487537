"""When to do a thing again: at once when something else is wanted, ever later while it fails, else now and then."""

from __future__ import annotations

import logging
import math
import zlib
from collections.abc import Callable, Collection
from dataclasses import dataclass, replace
from typing import Generic, TypeVar

from controller.host.errors import HostError

FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.5, 15.0
REPAIR_PAUSE_S = 1.0  # between two repairs of one thing that somebody keeps changing
AUDITS_PER_S = 20  # of one kind of thing, and up to a half more, as pauses differ

log = logging.getLogger("weir.agent")
Wanted = TypeVar("Wanted")


@dataclass(frozen=True, slots=True)
class _Attempt(Generic[Wanted]):
    wanted: Wanted
    made_s: float
    failures: int = 0
    error: str | None = None
    repaired_s: float = -math.inf


class Attempts(Generic[Wanted]):
    """One kind of thing, by key. A failure stays with its key: it is kept in words and others go on.

    audit_s: reality is read again after this time, or up to half of it earlier, though nothing was asked for. With
    more than audit_s * audits_per_s keys each has to wait longer (`audit_period_s`): audits in turn, not all at once.
    """

    def __init__(
        self,
        what: str,
        audit_s: float,
        audits_per_s: int = AUDITS_PER_S,
        on_repair: Callable[[str, object], None] = lambda key, done: None,
    ) -> None:
        """on_repair: called with a key that was fine, and for which nothing else was wanted, and with what the action
        returned, if that is not nothing: somebody else had changed it."""
        self._what, self._audit_s, self._audits_per_s, self._on_repair = what, audit_s, audits_per_s, on_repair
        self._made: dict[str, _Attempt[Wanted]] = {}

    @property
    def audit_period_s(self) -> float:
        """Within this time each key that is fine is looked at again."""
        return max(self._audit_s, len(self._made) / self._audits_per_s)

    def attempt(self, key: str, wanted: Wanted, action: Callable[[], object], now_s: float) -> str | None:
        """Runs the action if its time has come. Returns what is wrong with this key now; None: nothing."""
        last = self._made.get(key)
        if last is not None and last.wanted == wanted and now_s < last.made_s + self._pause_s(key, last):
            return last.error
        same = last is not None and last.wanted == wanted
        if same and last is not None and now_s < last.repaired_s + REPAIR_PAUSE_S:
            return last.error
        failures = last.failures + 1 if same and last is not None else 1
        error, done = self._run(key, action, last.error if last else None)
        repaired_s = last.repaired_s if same and last is not None else -math.inf
        if same and last is not None and last.error is None and done:
            repaired_s = now_s
            self._on_repair(key, done)
        self._made[key] = _Attempt(wanted, now_s, 0 if error is None else failures, error, repaired_s)
        return error

    def again(self, key: str) -> None:
        """Somebody saw that this one is not as it was made: the next attempt does not wait for the audit."""
        last = self._made.get(key)
        if last is not None and last.error is None:
            self._made[key] = replace(last, made_s=-math.inf)

    def keep(self, keys: Collection[str]) -> list[str]:
        """Forgets every other key. Returns those forgotten."""
        gone = [key for key in self._made if key not in keys]
        for key in gone:
            del self._made[key]
        return gone

    def _pause_s(self, key: str, last: _Attempt[Wanted]) -> float:
        """Between audits another one for each key, so that those of many do not fall on one moment."""
        if last.error is not None:
            return min(LONGEST_PAUSE_S, FIRST_PAUSE_S * (1 << min(last.failures, 10)) / 2)
        return self.audit_period_s * (1 - zlib.crc32(key.encode()) / 2**33)

    def _run(self, key: str, action: Callable[[], object], last_error: str | None) -> tuple[str | None, object]:
        """What is wrong, and what the action returned."""
        try:
            done = action()
        except HostError as fault:
            error = str(fault)
        except Exception as fault:  # a fault of ours, but one VIF's: the others need their agent
            log.exception("%s %s: unexpected fault", self._what, key)
            error = f"{type(fault).__name__}: {fault}. This is a fault of Weir; see the agent's log."
        else:
            if last_error is not None:
                log.info("%s %s: in order again", self._what, key)
            return None, done
        if error != last_error:
            log.warning("%s %s: %s", self._what, key, error)
        return error, None
