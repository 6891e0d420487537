"""A run of the loop as a picture: rates of both directions, latency, and when the loop changed something."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

from controller.system.errors import SystemFault, WrongRequest

if TYPE_CHECKING:
    from matplotlib.axes import Axes

KINDS = ("png", "svg")
# figure -> what it is called, colour, width
_RATES: Mapping[str, tuple[str, str, float]] = {
    "offered_kbps": ("offered", "tab:gray", 1.0),
    "allocated_kbps": ("allocated", "tab:blue", 1.6),
    "passed_kbps": ("achieved", "tab:green", 1.6),
    "dropped_kbps": ("dropped", "tab:red", 0.8),
    "enforced_kbps": ("held to", "tab:orange", 1.0),
}
_PATH: Mapping[str, tuple[str, str, float]] = {
    "p50_ms": ("p50", "tab:blue", 1.2),
    "p99_ms": ("p99", "tab:red", 1.6),
    "jitter_ms": ("jitter", "tab:gray", 1.0),
}


def kind_of(file: Path) -> str:
    """Raises WrongRequest."""
    kind = file.suffix.lower().lstrip(".")
    if kind not in KINDS:
        raise WrongRequest(f"--output: '{file}' is neither a PNG nor an SVG", "Write FILE.png or FILE.svg")
    return kind


def drawn(series: Mapping[str, Any], changes: Sequence[Mapping[str, Any]], kind: str) -> bytes:
    """The picture. series, changes: as Weir.loop_series and Weir.loop_changes have them. Raises SystemFault."""
    if not series["time"]:
        raise SystemFault("the loop has seen nothing yet", "Try again in a few seconds")
    from matplotlib.dates import AutoDateLocator, ConciseDateFormatter
    from matplotlib.figure import Figure

    times = [datetime.fromtimestamp(since_1970_s) for since_1970_s in series["time"]]
    figure = Figure(figsize=(11, 9), layout="constrained")
    panels = figure.subplots(3, 1, sharex=True)
    figure.suptitle("all VIFs" if series["vif"] is None else f"VIF {series['vif']} ({series['policy']})")
    for panel, direction in zip(panels, ("egress", "ingress"), strict=False):
        _mark(
            panel, [at for one in changes if one["direction"] == direction and (at := one["time"]) >= series["time"][0]]
        )
        rates = {name: _scaled(values, 0.001) for name, values in series[direction].items()}
        _draw(panel, direction, times, rates, _RATES)
        panel.set_ylabel(f"{direction}, Mbit/s")
    _draw(panels[2], "path", times, series["path"], _PATH)
    panels[2].set_ylabel("round trip, ms" + (" (the worst)" if series["vif"] is None else ""))
    locator = AutoDateLocator()  # type: ignore[no-untyped-call]
    panels[2].xaxis.set_major_locator(locator)
    panels[2].xaxis.set_major_formatter(ConciseDateFormatter(locator))  # type: ignore[no-untyped-call]
    picture = BytesIO()
    figure.savefig(picture, format=kind, dpi=120, metadata={"Title": "weir loop plot"})
    return picture.getvalue()


def _draw(
    panel: Axes,
    prefix: str,
    times: Sequence[datetime],
    figures: Mapping[str, Sequence[float | None]],
    styles: Mapping[str, tuple[str, str, float]],
) -> None:
    """What was never known has no line; a gap is where it was not."""
    for name, (words, colour, width) in styles.items():
        values = [float("nan") if value is None else value for value in figures[name]]
        if any(value == value for value in values):
            (line,) = panel.step(times, values, where="post", label=words, color=colour, linewidth=width)  # type: ignore[arg-type]
            line.set_gid(f"{prefix}-{words.replace(' ', '-')}")
    panel.grid(alpha=0.3)
    panel.set_ylim(bottom=0)
    if panel.get_legend_handles_labels()[0]:
        panel.legend(
            loc="lower right", bbox_to_anchor=(1, 1), borderaxespad=0.2, ncols=len(styles) + 1, fontsize="small",
            frameon=False,
        )  # fmt: skip
    else:
        panel.text(0.5, 0.5, "nothing was measured", transform=panel.transAxes, ha="center", color="tab:gray")


def _mark(panel: Axes, times: Sequence[float]) -> None:
    """When the loop changed something."""
    for number, at in enumerate(sorted(set(times))):
        label = "" if number else "changed"
        when: Any = datetime.fromtimestamp(at)  # which the axis understands
        panel.axvline(when, color="tab:orange", linewidth=0.6, alpha=0.6, label=label)


def _scaled(values: Sequence[float | None], factor: float) -> list[float | None]:
    return [None if value is None else value * factor for value in values]
