"""A session with one OVSDB server: a replica of the columns asked for, kept up to date, reconnecting by itself.

It never blocks but in `connect` and `wait`, and it belongs to one thread, native or green. Under eventlet's monkey
patching both let other green threads run, as does taking in a large update.
"""

from __future__ import annotations

import json
import time
from collections.abc import Collection, Mapping, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any

from ovsdb.library import idl
from ovsdb.poller import Poller

if TYPE_CHECKING:
    from typing_extensions import Self

CLIENT_BACKOFF_MS = 1000  # the longest pause between two attempts to reach the server
SLICE_S = 0.002  # taking in an update, let others run this often
NOTHING, EVERYTHING = (False,), (True,)  # of a table, for `Session.replicate`


class DatabaseError(Exception):
    """Reads `where: what. Remedy.`"""


class Disconnected(DatabaseError):
    """The server cannot be reached, or went away during a transaction (which may have been carried out or not)."""


class _Replica(idl.Idl):  # type: ignore[misc]  # the library has no types
    """Notes which rows changed, so that a reader need not decode all of them again."""

    def __init__(self, remote: str, schema: Any, notes_rows: bool) -> None:
        self.touched: set[Any] = set()  # uuid.UUID
        self._notes_rows = notes_rows
        self._yielded_s = 0.0
        super().__init__(remote, schema)

    def notify(self, event: str, row: Any, updates: Any = None) -> None:
        if self._notes_rows:
            self.touched.add(row.uuid)

    def cooperative_yield(self) -> None:
        now_s = time.monotonic()
        if now_s - self._yielded_s > SLICE_S:
            self._yielded_s = now_s
            time.sleep(0)


class Session:
    """A context manager; leaving it closes the session.

    schema: a database schema as JSON has it; the columns in it are the ones that are replicated.
    on_request: tables of which nothing is replicated until `replicate` asks for it; all can be written into.

    remote: "unix:PATH", "tcp:ADDRESS:PORT" or several, separated by commas.
    """

    def __init__(
        self, remote: str, schema: Mapping[str, Any], notes_rows: bool = False, on_request: Collection[str] = ()
    ) -> None:
        self.remote = remote
        self.database = str(schema["name"])
        helper = idl.SchemaHelper(schema_json=dict(schema))
        helper.register_all()
        self._idl = _Replica(remote, helper, notes_rows)
        for table in on_request:
            self._idl.cond_change(table, list(NOTHING))
        self._idl._session.reconnect.set_backoff(CLIENT_BACKOFF_MS, CLIENT_BACKOFF_MS)
        self._seen_seqno = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def connect(self, deadline_s: float = 5.0) -> None:
        """Returns when the replica holds the database. Raises Disconnected when it does not in `deadline_s` seconds."""
        end_s = time.monotonic() + deadline_s
        self._idl.run()
        while not self.connected:
            remaining_s = end_s - time.monotonic()
            if remaining_s <= 0:
                raise Disconnected(
                    f"{self.remote}: the database {self.database} does not answer within {deadline_s:g} s. "
                    "See whether the system is up (weir status), or name its state directory."
                )
            self.wait(remaining_s)
            self._idl.run()

    @property
    def served_version(self) -> str | None:
        """Of the schema that the server has for the database, as far as it told before it was asked for rows of it."""
        rows = self._idl.server_tables["Database"].rows.values() if self._idl.server_tables else ()
        schemas = [row.schema for row in rows if row.name == self.database and row.schema]
        return json.loads(schemas[0][0])["version"] if schemas else None

    @property
    def connected(self) -> bool:
        """The replica is complete and the connection stands (as far as one knows)."""
        return bool(self._idl.state == idl.Idl.IDL_S_MONITORING and self._idl._session.is_connected())

    @property
    def has_data(self) -> bool:
        """The replica was complete once; it may be old while `connected` is false."""
        return bool(self._idl.has_ever_connected())

    @property
    def generation(self) -> int:
        """Changes with the replica."""
        return int(self._idl.change_seqno)

    def run(self) -> bool:
        """Takes in what has arrived, without waiting. True when the replica has changed since `run` last said so."""
        self._idl.run()
        changed = self._seen_seqno != self.generation
        self._seen_seqno = self.generation
        return changed

    def wait(self, timeout_s: float | None = None) -> None:
        """Waits until `run` may have something to do, at most `timeout_s` seconds."""
        poller = Poller()
        self.register(poller)
        poller.block(timeout_s)

    def register(self, poller: Poller) -> None:
        """Makes the next `poller.block()` end when `run` has something to do."""
        self._idl.wait(poller)
        if self._seen_seqno != self.generation:
            poller.immediate_wake()

    def replicate(self, wanted: Mapping[str, Sequence[Any]], deadline_s: float = 10.0) -> None:
        """Returns when the replica holds, of these tables, just the rows that meet any of the clauses.

        A clause is [column, "==", value] and so on, as RFC 7047, 5.1 has it; or all is EVERYTHING or NOTHING.
        Raises Disconnected.
        """
        end_s = time.monotonic() + deadline_s
        for table, clauses in wanted.items():
            self._idl.cond_change(table, list(clauses))
        while not (self.connected and all(map(self._is_replicated, wanted))):
            remaining_s = end_s - time.monotonic()
            if remaining_s <= 0:
                raise Disconnected(
                    f"{self.remote}: the database {self.database} does not send {', '.join(wanted)} within "
                    f"{deadline_s:g} s. See whether the system is up (weir status)."
                )
            pump(self, remaining_s)

    def _is_replicated(self, table: str) -> bool:
        """Not by the number that the library's `cond_change` returns: it may be one that never comes."""
        state = self._idl.tables[table].condition_state
        return bool(state.acked == state.latest)

    def rows(self, table: str) -> dict[Any, Any]:
        """uuid -> row of the replica. Rows are live: read them at once, between two calls of `run`."""
        return self._idl.tables[table].rows  # type: ignore[no-any-return]

    def take_touched(self) -> set[Any]:
        """The uuids of rows that changed since this was last called, if the session `notes_rows`."""
        touched, self._idl.touched = self._idl.touched, set()
        return touched

    def close(self) -> None:
        self._idl.close()


def begin(session: Session) -> Any:
    """A transaction of the library on this session, for `ovsdb.transaction` alone."""
    return idl.Transaction(session._idl)


def pump(session: Session, timeout_s: float) -> None:
    """Waits for the server and takes in what it says, leaving `run` to report it."""
    poller = Poller()
    session._idl.wait(poller)
    poller.block(timeout_s)
    session._idl.run()


def still_connected(session: Session) -> bool:
    """Looks, rather than trusting what was last known."""
    for _ in range(2):  # the library sees the end of a stream in one round and acts on it in the next
        pump(session, 0)
    return session.connected
