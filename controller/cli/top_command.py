"""weir top."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator, Sequence
from itertools import chain
from typing import TYPE_CHECKING, Annotated, Any

import typer

from controller.cli.options import JsonOption, StateDirOption
from controller.cli.output import document, table

if TYPE_CHECKING:
    from rich.console import Group

LEAST_S = 0.2
_AROUND = 4  # lines beside the rows: one above, two of columns' names, one that the cursor needs


def top(
    sort: Annotated[
        str,
        typer.Option(metavar="ORDER", help="name, policy, offered, allocated, passed, dropped, latency or loss."),
    ] = "offered",
    interval: Annotated[float, typer.Option(metavar="S", help="Seconds from one look to the next.")] = 1.0,
    once: Annotated[bool, typer.Option("--once", help="Print it once, as when nobody watches.")] = False,
    state_dir: StateDirOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show what every VIF does now, the busiest first; rates in kbit/s. Ends with Ctrl-C. With --json: once."""
    from controller.cli import top_view
    from controller.client.weir import Weir
    from controller.system.errors import WrongRequest

    top_view.check_order(sort)
    if not interval >= LEAST_S:
        raise WrongRequest(f"--interval: {interval:g} s is too short", f"Write {LEAST_S:g} or more")
    with Weir(state_dir) as weir:

        def look() -> list[Any]:
            return top_view.ordered(weir.live(), sort)

        if as_json:
            document({"vifs": look()})
        elif once or not sys.stdout.isatty():
            table(top_view.COLUMNS, [top_view.row(vif) for vif in look()])
        else:
            _watch(look, interval)


def _watch(look: Callable[[], Sequence[Any]], interval_s: float) -> None:
    """On the whole terminal, until ^C; what was there before comes back."""
    from contextlib import suppress

    from rich.console import Console
    from rich.live import Live

    console, pages = Console(), looks(look)
    first = next(pages)
    with suppress(KeyboardInterrupt), Live(console=console, screen=True, auto_refresh=False) as live:
        for vifs, fault in chain([first], pages):
            live.update(page(vifs, max(1, console.height - _AROUND), fault), refresh=True)
            time.sleep(interval_s)


def looks(look: Callable[[], Sequence[Any]]) -> Iterator[tuple[Sequence[Any], str | None]]:
    """What is seen, look after look, without end; while the controller does not answer, as when it is started anew,
    what was seen last, and the fault. Raises ApiError when it does not answer the first one.
    """
    from controller.api.client import ApiError

    vifs = look()
    yield vifs, None
    while True:
        try:
            vifs, fault = look(), None
        except ApiError as error:
            fault = str(error)
        yield vifs, fault


def page(vifs: Sequence[Any], most: int, fault: str | None = None) -> Group:
    """As many as fit. fault: why they are old."""
    from rich.console import Group
    from rich.table import Table
    from rich.text import Text

    from controller.cli import top_view

    shown = Table(box=None, header_style="bold", pad_edge=False)
    for place, column in enumerate(top_view.HEADS):
        shown.add_column(Text(column), justify="right" if place in top_view.NUMBERS else "left", no_wrap=True)
    for vif in vifs[:most]:
        shown.add_row(*(Text(cell) for cell in top_view.row(vif)))
    headline = top_view.headline(vifs, min(most, len(vifs)))
    return Group(Text(fault or headline, "bold" if fault else "", no_wrap=True, overflow="ellipsis"), shown)
