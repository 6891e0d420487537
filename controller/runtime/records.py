"""The file of what rules have logged: a JSON value a line, of bounded size."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from logging.handlers import RotatingFileHandler
from pathlib import Path
from typing import Any

RECORDS = "policy.log"
MOST_BYTES, KEPT_FILES = 10_000_000, 3


class Records:
    """path: the file, made when there is something to write; older ones have .1, .2, .3 after its name."""

    def __init__(self, path: Path) -> None:
        self._handler = RotatingFileHandler(
            path, maxBytes=MOST_BYTES, backupCount=KEPT_FILES, encoding="utf-8", errors="backslashreplace", delay=True
        )
        self._handler.setFormatter(logging.Formatter("%(message)s"))

    def write(self, record: Mapping[str, Any]) -> None:
        text = json.dumps(record, ensure_ascii=False)
        self._handler.handle(logging.LogRecord("weir.policy", logging.INFO, "", 0, text, None, None))
