"""Which exit status a failure has. A module that defines failures is looked up only where it was imported anyway."""

from __future__ import annotations

import sys

_WRONG_INPUT = (
    ("controller.config", "WrongStateDir"),
    ("controller.system.errors", "WrongRequest"),
    ("policies.errors", "PolicyErrors"),
    ("controller.intent.errors", "Rejected"),
)
_FAILED = (
    ("controller.config", "ConfigError"),
    ("controller.system.errors", "SystemFault"),
    ("controller.host.errors", "HostError"),
    ("controller.intent.errors", "NotInForce"),
    ("controller.api.client", "ApiError"),
    ("ovsdb.session", "DatabaseError"),
    ("builtins", "OSError"),
)


def status_of(fault: Exception) -> int | None:
    """2: the input is wrong; 1: it failed; None: a fault of the program itself, whose traceback is wanted."""
    for status, known in ((2, _WRONG_INPUT), (1, _FAILED)):
        if any(isinstance(fault, getattr(sys.modules.get(module), name, ())) for module, name in known):
            return status
    return None
