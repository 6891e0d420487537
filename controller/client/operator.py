"""Who gives the command, for the record."""

from __future__ import annotations

import getpass
import os


def name() -> str:
    """The user, also behind sudo."""
    try:
        return os.environ.get("SUDO_USER") or getpass.getuser()
    except (KeyError, OSError):  # a user id without a name
        return str(os.getuid())
