"""Writing: one change, carried out whole or not at all, and what became of it in clear words.

    with Transaction(session, "weir vif create") as change:
        change.verify(row, "cfg")
        change.put(row, cfg=row.cfg + 1)

The block's end commits. Nothing is sent when no value differs.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from types import TracebackType
from typing import Any

from ovsdb.library import data, error, idl
from ovsdb.session import DatabaseError, Disconnected, Session, begin, pump, still_connected

DEADLINE_S = 10.0
_NO_DISK = "I/O error"  # ovsdb-server's word for what it could not write; it goes on, and tries again the next time
SETTLE_S = 1.0  # how long the news of the change that won a race may take to arrive


class Conflict(DatabaseError):
    """Somebody else changed what this change was based on; nothing was written. Read again and retry."""


class Refused(DatabaseError):
    """The database does not take the change: a value or a constraint is violated; nothing was written."""


class Transaction:
    """A context manager; its body is what is to be changed. committed: whether anything had to be written.

    Raises Conflict, Refused, Disconnected at the end of the block.
    """

    def __init__(self, session: Session, comment: str, deadline_s: float = DEADLINE_S) -> None:
        self._session, self._deadline_s = session, deadline_s
        self.committed = False
        self.words: list[str] = []  # what differed of rows that were there
        self._comment = comment

    def __enter__(self) -> Transaction:
        if not still_connected(self._session):  # before anything is at stake
            self._session.connect(self._deadline_s)
        self._txn = begin(self._session)
        self._txn.add_comment(self._comment)
        return self

    def __exit__(self, kind: type[BaseException] | None, fault: BaseException | None, at: TracebackType | None) -> None:
        if kind is None:
            self._commit()
        else:
            self._txn.abort()

    def insert(self, table: str, **values: Any) -> Any:
        """The new row, which may be put into columns of others in the same transaction."""
        row = self._txn.insert(self._txn.idl.tables[table])
        self.put(row, **values)
        return row

    def put(self, row: Any, **values: Any) -> None:
        """Sets the columns that differ. None empties an optional one. Raises Refused for a value outside its type."""
        for column, value in values.items():
            plain = _plain(value)
            if self._datum(row, column, plain) != (present := _present(row, column)):
                is_pin = column == "ofport_request" and present is not None and not present.values  # nothing mended
                if row._data is not None and present is not None and not is_pin:
                    self.words.append(f"{_called(row)}: {column} was {present.to_string()}")
                setattr(row, column, plain)

    def add(self, row: Any, column: str, value: Any) -> None:
        """Adds one element to a set, whatever others add or remove at the same time."""
        self.words.append(f"{_called(row)}: {column} lacked {getattr(value, 'name', value)}")
        row.addvalue(column, value)

    def discard(self, row: Any, column: str, value: Any) -> None:
        """Takes one element out of a set, leaving what others add or remove at the same time."""
        self.words.append(f"{_called(row)}: {column} had {getattr(value, 'name', value)}")
        row.delvalue(column, value)

    def put_key(self, row: Any, column: str, key: Any, value: Any) -> None:
        """Sets one key of a map, leaving the others; None removes it."""
        present = getattr(row, column)
        if value is None:
            if key in present:
                self.words.append(f"{_called(row)}: {column}:{key} was {present[key]}")
                row.delkey(column, key)
        elif present.get(key) != value:
            self.words.append(f"{_called(row)}: {column}:{key} was {present.get(key, 'missing')}")
            row.setkey(column, key, value)

    def verify(self, row: Any, *columns: str) -> None:
        """The change holds only if these are still as they were read. To be called before they are put."""
        for column in columns:
            row.verify(column)

    def delete(self, row: Any) -> None:
        row.delete()

    def increment(self, row: Any, column: str) -> None:
        """Adds 1, whatever others add at the same time, if anything else is written."""
        row.increment(column)

    def _datum(self, row: Any, column: str, value: Any) -> Any:
        try:
            return data.Datum.from_python(row._table.columns[column].type, value, _row_to_uuid)
        except error.Error as fault:
            raise Refused(f"{self._place()}: {row._table.name}.{column} cannot be {value!r}: {fault}.") from fault

    def _place(self) -> str:
        return f"{self._session.database} at {self._session.remote}"

    def _commit(self) -> None:
        session, end_s = self._session, time.monotonic() + self._deadline_s
        before = session.generation
        status = self._txn.commit()
        while (
            status == idl.Transaction.INCOMPLETE and session.connected and (remaining_s := end_s - time.monotonic()) > 0
        ):
            pump(session, remaining_s)
            status = self._txn.commit()
        if status == idl.Transaction.SUCCESS:
            self.committed = True
        elif status == idl.Transaction.TRY_AGAIN and still_connected(session):
            self._await_news(before)
            raise Conflict(f"{self._place()}: somebody else made a change at the same moment. Try again.")
        elif status == idl.Transaction.ERROR:
            words = _words(self._txn.get_error())
            remedy = " See whether its disk is full (df)." if _NO_DISK in words else ""
            raise Refused(f"{self._place()}: refused: {words}.{remedy}")
        elif status != idl.Transaction.UNCHANGED:
            self._txn.abort()
            raise Disconnected(
                f"{self._place()}: the connection was lost during a change, which may have been made or not. "
                "Look, then repeat it if it was not."
            )

    def _await_news(self, before: int) -> None:
        """Lets the change that won the race arrive, so that a retry does not lose again to the same one."""
        end_s = time.monotonic() + SETTLE_S
        while self._session.generation == before and (remaining_s := end_s - time.monotonic()) > 0:
            pump(self._session, remaining_s)


def _called(row: Any) -> str:
    name = getattr(row, "name", None) or row.uuid
    return f"{row._table.name} {name}"


def _plain(value: Any) -> Any:
    """As the library wants it."""
    if value is None:
        return []
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, (tuple, set, frozenset)):
        return list(value)
    return value


def _present(row: Any, column: str) -> Any:
    """The column's datum as this transaction would leave it so far; None: not set yet."""
    return row._changes.get(column, (row._data or {}).get(column))


def _row_to_uuid(value: Any) -> Any:
    return getattr(value, "uuid", value)


def _words(reply: str) -> str:
    """The server's words: {"error": "constraint violation", "details": "..."}."""
    try:
        body = json.loads(reply)
        return ": ".join(str(body[key]) for key in ("error", "details") if key in body)
    except (ValueError, TypeError):
        return reply
