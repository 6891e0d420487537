"""A bursty day as a picture: what came, tenant on tenant, beside the optimum, by Weir and by static meters."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from bench.loop import RAISED, TCP, WEIR, Lived
from lab.bursty import CAPACITY_KBPS, TENANTS
from lab.bursty_figures import MET, Record

_INCHES = 11.0, 7.5


def draw(lived: Sequence[Lived], file: Path) -> None:
    """Weir above, the meters that use as much below; a column for each narrow place. file: *.svg or *.png."""
    shown = [one for one in lived if TCP not in one.name and one.name.startswith((WEIR, RAISED))]
    figure = Figure(figsize=_INCHES, layout="constrained")
    grid = figure.subplots(len(shown), len(CAPACITY_KBPS), squeeze=False, sharex=True, sharey="col")
    for one, row in zip(shown, grid, strict=True):
        for place, axes in zip(CAPACITY_KBPS, row, strict=True):
            _draw_place(axes, one.record, place)
            axes.set_title(f"{one.name}: {place}", fontsize=8)
    for axes in grid[-1]:
        axes.set_xlabel("seconds")
    for row in grid:
        row[0].set_ylabel("Mbit/s, and seconds short of a guarantee (red)")
    figure.savefig(file, metadata={"Date": None} if file.suffix == ".svg" else None)


def _draw_place(axes: Axes, record: Record, place: str) -> None:
    times = range(len(record.came))
    tenants = [one for one in TENANTS if one.place == place]
    heaps = [[sum(rates[vif] for vif in one.names) / 1000 for rates in record.came] for one in tenants]
    axes.stackplot(times, heaps, labels=[one.name for one in tenants], alpha=0.6, step="post")
    optimum = [sum(rates[vif] for vif in record.vifs(place)) / 1000 for rates in record.optimum]
    axes.step(times, optimum, "k-", linewidth=0.8, where="post", label="the optimum")
    axes.axhline(CAPACITY_KBPS[place] / 1000, color="grey", linestyle="--", linewidth=0.6)
    short = [
        number
        for number, (came, demand) in enumerate(zip(record.came, record.demands, strict=True))
        if any(came[vif] < MET * min(one.guarantee_kbps, demand[vif]) for one in tenants for vif in one.names)
    ]
    axes.plot(short, [0.0] * len(short), "r|", markersize=12)
    axes.legend(fontsize=7, loc="lower right", framealpha=0.6)
