"""What several modules of this directory need in their guest."""

from __future__ import annotations

import time

HANDLERS_S = 11.0


def await_handlers() -> None:
    """Returns when Open vSwitch may be started on the kernel's datapath: 3.1 finds no processors before, see docs."""
    time.sleep(max(0.0, HANDLERS_S - time.monotonic()))
