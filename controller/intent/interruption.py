"""What is interrupted knows what it has written, and so what there is to undo."""

from __future__ import annotations

import signal
from types import TracebackType

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Hold:
    """For use in a `with` block: signals that come between `begin` and `end` come at `end`, or with the block's."""

    def __init__(self) -> None:
        self._before: set[int] | None = None

    def __enter__(self) -> Hold:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.end()

    def begin(self) -> None:
        """Called again it lets through what has come since the first time."""
        self.end()
        self._before = set(signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS))

    def end(self) -> None:
        """Raises KeyboardInterrupt when one has come that does."""
        before, self._before = self._before, None
        if before is not None:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
