"""The two clocks, as one value to hand on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Clocks:
    """Both in seconds: monotonic, and since 1970 (by which leases and bindings end, and people remember)."""

    monotonic: Callable[[], float]
    wall: Callable[[], float]
