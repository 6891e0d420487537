"""What the demo shows while traffic runs: a table that changes in place on a terminal, lines elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping
from types import TracebackType

from rich.console import Console
from rich.live import Live
from rich.table import Table

from demo.claims import mbit
from lab.series import NoFigure
from lab.site import Site
from lab.udp import UdpReceiver

TICK_S = 1.0
_COLUMNS = ("guarantee", "limit", "offered", "allocated", "passed", "arrived")


def say(text: str = "") -> None:
    print(text, flush=True)


def scene(title: str) -> None:
    say(f"\n=== {title}")


class Watch:
    """Shows all VIFs each second, Mbit/s: promised, measured, allocated, and what arrived at the receivers."""

    def __init__(self, site: Site, receivers: Mapping[str, tuple[UdpReceiver, int]]) -> None:
        self._site, self._receivers = site, receivers
        self._live = Live(console=Console(), auto_refresh=False) if sys.stdout.isatty() else None

    def __enter__(self) -> Watch:
        if self._live:
            self._live.start()
        else:
            say("  ".join(["Mbit/s    ", *(f"{column:>9}" for column in _COLUMNS)]))
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if self._live:
            self._live.stop()

    def until(self, end_s: float, note: str = "") -> None:
        """Shows until a time of the monotonic clock, and until everything that arrived by then is counted."""
        while (remaining_s := end_s - time.monotonic()) > 0:
            time.sleep(min(TICK_S, remaining_s))
            self._show(note)
        for receiver, _ in self._receivers.values():
            receiver.await_time(end_s)

    def _show(self, note: str) -> None:
        rows = self._rows()
        if self._live is None:
            say(
                "".join(
                    f"{name:10}  " + "  ".join(f"{cell:>9}" for cell in cells) + "\n" for name, cells in rows.items()
                )
            )
            return
        table = Table("VIF", *_COLUMNS, title=note or None, caption="Mbit/s of whole frames")
        for name, cells in rows.items():
            table.add_row(name, *cells)
        self._live.update(table, refresh=True)

    def _rows(self) -> dict[str, list[str]]:
        rows = {}
        for name, figures in self._site.figures().items():
            cells = [figures[f"{column}_kbps"] for column in _COLUMNS[:-1]]
            rows[name] = ["-" if cell is None else mbit(cell) for cell in cells] + [self._arrived(name)]
        return rows

    def _arrived(self, vif: str) -> str:
        if vif not in self._receivers:
            return "-"
        receiver, port = self._receivers[vif]
        series = receiver.series(port)
        try:
            return mbit(series.kbps(series.end_s - TICK_S, series.end_s))
        except NoFigure:
            return "-"
