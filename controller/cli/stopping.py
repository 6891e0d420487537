"""What ends a command from outside: SIGTERM and SIGHUP as ^C does, so that what it had begun is taken back."""

from __future__ import annotations

import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

SIGNALS = (signal.SIGTERM, signal.SIGHUP)


@contextmanager
def stoppable() -> Iterator[None]:
    """The first of the signals raises KeyboardInterrupt inside; those after it are ignored, until all is taken back.

    Then exits with the status that shells give it: 143, 129. A signal that is ignored (nohup) stays so.
    """
    came: list[int] = []

    def stop(number: int, frame: FrameType | None) -> None:
        came.append(number)
        for one in before:
            signal.signal(one, signal.SIG_IGN)
        raise KeyboardInterrupt

    before = {number: signal.getsignal(number) for number in SIGNALS if signal.getsignal(number) != signal.SIG_IGN}
    try:
        for number in before:
            signal.signal(number, stop)
        yield
    except (KeyboardInterrupt, SystemExit) as end:
        if came and not (isinstance(end, SystemExit) and end.code in (0, None)):
            sys.exit(128 + came[0])
        raise
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
