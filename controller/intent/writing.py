"""Writing desired state: read, decide, write if it still is as it was read, else again."""

from __future__ import annotations

import time
from collections.abc import Callable

from ovsdb.rows import Snapshot
from ovsdb.transaction import Conflict
from ovsdb.weir_db import Command, WeirDb

RETRY_S = 30.0  # of many writers at once one gets through each time


def write(db: WeirDb, decide: Callable[[Snapshot], Command], comment: str) -> tuple[int, Snapshot]:
    """Returns the sequence number under which the command takes effect, and the snapshot that it was decided on.

    `decide` is called again for every attempt, and may raise what it likes. Raises Conflict when others have been
    quicker for half a minute, Refused, Disconnected.
    """
    end_s = time.monotonic() + RETRY_S
    if not db.connected:
        db.connect()
    while True:
        db.run()
        base = db.snapshot()
        try:
            return db.execute(decide(base), base, comment), base
        except Conflict:
            if time.monotonic() > end_s:
                raise
