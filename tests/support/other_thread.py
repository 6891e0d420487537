"""Processor time that another native thread takes, while this one waits for it."""

from __future__ import annotations

import threading
import time

BURNT_S = 0.1


def burn_in_another_thread() -> None:
    """Takes BURNT_S of a core."""
    thread = threading.Thread(target=_burn)
    thread.start()
    thread.join()


def _burn() -> None:
    begun_s = time.thread_time()
    while time.thread_time() < begun_s + BURNT_S:
        pass
