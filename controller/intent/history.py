"""Policy versions of the past, and going back to one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from controller.intent import policy
from controller.intent.errors import Rejected
from ovsdb import policy_history
from ovsdb.rows import PolicyVersion
from ovsdb.weir_db import WeirDb


def versions(db: WeirDb) -> tuple[PolicyVersion, ...]:
    """Every version that was applied, the oldest first. Raises DatabaseError."""
    return policy_history.versions(db)


@dataclass(frozen=True, slots=True)
class Recalled:
    """A version that was applied once, with its texts by file name."""

    version: int
    files: Mapping[str, str]


def recall(db: WeirDb, version: int | None) -> Recalled:
    """version: None for the one before that in force. Raises Rejected when there is no such version, DatabaseError."""
    target = target_of(versions(db), db.snapshot().policy_version, version)
    return Recalled(target.version, policy_history.texts(db, target))


def rollback(db: WeirDb, target: Recalled, by: str, reason: str = "", deadline_s: float = policy.DEADLINE_S) -> int:
    """Applies the texts of an earlier version again. Returns the version that they are then, as `policy.apply` does.

    It is a new one, but where those texts are in force already. Raises what `policy.apply` raises.
    """
    why = f"rollback to {target.version}" + (f": {reason}" if reason else "")
    return policy.apply(db, target.files, by, why, deadline_s)


def target_of(history: Sequence[PolicyVersion], in_force: int, version: int | None) -> PolicyVersion:
    """Raises Rejected."""
    if not history:
        raise Rejected(["no policy was applied yet. Apply one: weir policy apply FILE."])
    if version is None:
        earlier = [one for one in history if one.version < in_force]
        if not earlier:
            raise Rejected([f"there is no policy version before {in_force}. Apply another: weir policy apply FILE."])
        return earlier[-1]
    for one in history:
        if one.version == version:
            return one
    newest = history[-1].version
    raise Rejected([f"there is no policy version {version}: the newest is {newest}. See weir policy history."])
