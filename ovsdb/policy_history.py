"""Every policy set that was ever applied: tables Policy_Version and Policy_Text.

No session replicates them unasked, so that the history costs nobody but its reader. A text is stored once under its
SHA-256, whatever the number of versions and files that have it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from typing import Any

from ovsdb.rows import PolicyVersion
from ovsdb.session import EVERYTHING, DatabaseError, Session
from ovsdb.transaction import Transaction

VERSIONS, TEXTS = TABLES = ("Policy_Version", "Policy_Text")
_IN_FORCE = "Policy"  # holds the texts of the version in force; older schemas kept no other record of it


def versions(session: Session) -> tuple[PolicyVersion, ...]:
    """All that were applied, the oldest first. Raises Disconnected."""
    session.replicate({VERSIONS: EVERYTHING})
    found = {version.version: version for version in map(_of_policy, session.rows(_IN_FORCE).values())}
    found |= {row.version: _of_history(row) for row in session.rows(VERSIONS).values()}
    return tuple(found[version] for version in sorted(found))


def texts(session: Session, version: PolicyVersion) -> dict[str, str]:
    """File name -> text, as it was applied. Raises Disconnected, and DatabaseError when a text is lost."""
    session.replicate({TEXTS: _any_of("sha256", version.files.values())})
    known = {row.sha256: row.text for row in session.rows(TEXTS).values()}
    known |= {digest(text): text for row in session.rows(_IN_FORCE).values() for text in row.files.values()}
    for name, sha256 in version.files.items():
        if sha256 not in known:
            raise DatabaseError(
                f"{session.remote}: file {name} of policy version {version.version} is not in table {TEXTS} "
                f"(sha256 {sha256}). Somebody took it out of the database: apply the files themselves."
            )
    return {name: known[sha256] for name, sha256 in version.files.items()}


def make_ready(session: Session, files: Mapping[str, str]) -> None:
    """To be called before `record`: learns what is stored already. Raises Disconnected."""
    present = list(session.rows(_IN_FORCE).values())
    stored = [*files.values(), *(text for row in present for text in row.files.values())]
    session.replicate(
        {
            VERSIONS: _any_of("version", (row.version for row in present)),
            TEXTS: _any_of("sha256", map(digest, stored)),
        }
    )


def record(session: Session, change: Transaction, added: PolicyVersion, files: Mapping[str, str]) -> None:
    """Adds a version, and what table Policy holds if that was written before there was a history."""
    recorded = {row.version for row in session.rows(VERSIONS).values()}
    stored = {row.sha256 for row in session.rows(TEXTS).values()}
    former = [row for row in session.rows(_IN_FORCE).values() if row.version not in recorded]
    for version, written in (*((_of_policy(row), row.files) for row in former), (added, files)):
        change.insert(
            VERSIONS,
            version=version.version,
            applied_at=version.applied_at_s,
            applied_by=version.applied_by,
            reason=version.reason,
            files=version.files,
        )
        for text in written.values():
            sha256 = digest(text)
            if sha256 not in stored:
                stored.add(sha256)
                change.insert(TEXTS, sha256=sha256, text=text)


def digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def digests(files: Mapping[str, str]) -> dict[str, str]:
    return {name: digest(text) for name, text in files.items()}


def _of_policy(row: Any) -> PolicyVersion:
    return PolicyVersion(row.version, row.applied_at, row.applied_by, "", digests(row.files))


def _of_history(row: Any) -> PolicyVersion:
    return PolicyVersion(row.version, row.applied_at, row.applied_by, row.reason, dict(row.files))


def _any_of(column: str, values: Iterable[Any]) -> list[Any]:
    return [[column, "==", value] for value in sorted(set(values))]
