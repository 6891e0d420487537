"""Packets a second of each VIF's port, from the loop's counters. Pure."""

from __future__ import annotations

from collections.abc import Mapping

from controller.allocation.counters import CounterState
from controller.allocation.samples import PORT_RX_PACKETS, PORT_TX_PACKETS


def packet_rates(counted: CounterState | None) -> Mapping[int, float]:
    """Of both directions together, by VIF number; those of which nothing is known are left out."""
    if counted is None:
        return {}
    both = (counted.rate[:, PORT_RX_PACKETS] + counted.rate[:, PORT_TX_PACKETS]).tolist()
    return {key: pps for key, pps in zip(counted.keys.tolist(), both, strict=True) if pps == pps}  # NaN differs
