"""All VIFs as `weir top` shows them: in which order, and what in each column. Rates in kbit/s."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from controller.system.errors import WrongRequest
from policies.wording import nearest

Vif = Mapping[str, Any]  # as Weir.live has it

RATES = ("offered", "allocated", "passed", "dropped")
COLUMNS = (
    "vif", "policy",
    *(f"out {rate}" for rate in RATES), *(f"in {rate}" for rate in RATES),
    "p99 ms", "loss %", "slo",
)  # fmt: skip
HEADS = ("vif", "policy", *("out\n" + rate for rate in ("offer", "alloc", "pass", "drop")),
         *("in\n" + rate for rate in ("offer", "alloc", "pass", "drop")), "p99\nms", "loss\n%", "slo")  # fmt: skip
NUMBERS = range(2, len(COLUMNS) - 1)  # columns of figures


def _sum(rate: str) -> Callable[[Vif], float]:
    return lambda vif: sum(vif[way][f"{rate}_kbps"] or 0 for way in ("egress", "ingress"))


# Names ascend; of figures the largest comes first, and what is not known last.
_NAMES: Mapping[str, Callable[[Vif], str]] = {"name": lambda vif: vif["name"], "policy": lambda vif: vif["policy"]}
_FIGURES: Mapping[str, Callable[[Vif], float]] = {
    **{rate: _sum(rate) for rate in RATES},
    "latency": lambda vif: -1.0 if (p99 := vif["path"]["latency_ms"]["p99"]) is None else p99,
    "loss": lambda vif: -1.0 if (loss := vif["path"]["loss"]) is None else loss,
}
ORDERS = (*_NAMES, *_FIGURES)


def check_order(order: str) -> None:
    """Raises WrongRequest."""
    if order not in ORDERS:
        meant = nearest(order, ORDERS)
        raise WrongRequest(
            f"--sort: '{order}' is no order", f"Write {meant}" if meant else f"Write one of: {', '.join(ORDERS)}"
        )


def ordered(vifs: Sequence[Vif], order: str) -> list[Vif]:
    """By name where they are alike."""
    by_name = sorted(vifs, key=lambda vif: vif["name"])
    if order in _NAMES:
        return sorted(by_name, key=_NAMES[order])
    return sorted(by_name, key=_FIGURES[order], reverse=True)


def row(vif: Vif) -> list[str]:
    rates = [_whole(vif[way][f"{rate}_kbps"]) for way in ("egress", "ingress") for rate in RATES]
    path = vif["path"]
    loss = None if path["loss"] is None else path["loss"] * 100
    return [vif["name"], vif["policy"], *rates, _figure(path["latency_ms"]["p99"]), _figure(loss), _slo(vif)]


def headline(vifs: Sequence[Vif], shown: int) -> str:
    """Above the table: how many there are, and what they do together."""
    out, into = (sum(vif[way]["passed_kbps"] or 0 for vif in vifs) / 1000 for way in ("egress", "ingress"))
    lost = sum(vif[way]["dropped_kbps"] or 0 for vif in vifs for way in ("egress", "ingress")) / 1000
    rest = f", {shown} shown" if shown < len(vifs) else ""
    return f"{len(vifs)} VIFs{rest}: out {out:.1f}, in {into:.1f}, dropped {lost:.1f} Mbit/s"


def _slo(vif: Vif) -> str:
    """The objectives that are missed; "kept", when none is; "-", where there is none."""
    slo = vif["slo"]
    if not slo:
        return "-"
    states = {name: one["state"] for name, one in slo.items()}
    missed = [name for name, state in states.items() if state == "violated"]
    if missed:
        return f"{', '.join(missed)} missed"
    return "kept" if "held" in states.values() else "unknown"


def _whole(figure: float | None) -> str:
    return "-" if figure is None else str(figure)


def _figure(figure: float | None) -> str:
    return "-" if figure is None else f"{figure:.3g}"
