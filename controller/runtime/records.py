"""The file of what rules have logged: a JSON value a line, of bounded size."""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Mapping
from logging.handlers import RotatingFileHandler
from pathlib import Path
from typing import Any

RECORDS = "policy.log"
MOST_BYTES, KEPT_FILES = 10_000_000, 3


log = logging.getLogger("weir.records")


class _File(RotatingFileHandler):
    """One that cannot be written to, for a full disk say, is told of once; what is lost is counted."""

    lost = 0
    _is_told = False

    def handleError(self, record: logging.LogRecord) -> None:
        self.lost += 1
        if not self._is_told:
            log.warning("%s: what rules log cannot be written: %s. Make room.", self.baseFilename, sys.exc_info()[1])
        self._is_told = True


class Records:
    """path: the file, made when there is something to write; older ones have .1, .2, .3 after its name."""

    def __init__(self, path: Path) -> None:
        self._handler = _File(
            path, maxBytes=MOST_BYTES, backupCount=KEPT_FILES, encoding="utf-8", errors="backslashreplace", delay=True
        )
        self._handler.setFormatter(logging.Formatter("%(message)s"))

    @property
    def lost(self) -> int:
        """How many could not be written."""
        return self._handler.lost

    def write(self, record: Mapping[str, Any]) -> None:
        text = json.dumps(record, ensure_ascii=False)
        self._handler.handle(logging.LogRecord("weir.policy", logging.INFO, "", 0, text, None, None))
