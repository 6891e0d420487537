"""Which trees are wished for, and what is wrong with them, as values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from controller.host.queue_tree import QueuePlan


@dataclass(frozen=True, slots=True)
class Wish:
    """A device, in the namespace at `netns` (None: the agent's own), and its tree; plan None: the kernel's default."""

    device: str
    plan: QueuePlan | None
    netns: Path | None = None


@dataclass(frozen=True, slots=True)
class Wishes:
    """uplinks by uplink name; ingress and shapers by VIF number."""

    uplinks: Mapping[str, Wish] = field(default_factory=dict)
    ingress: Mapping[int, Wish] = field(default_factory=dict)
    shapers: Mapping[int, Wish] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Faults:
    """What is wrong, in words: by uplink name, and by VIF number."""

    uplinks: Mapping[str, str] = field(default_factory=dict)
    vifs: Mapping[int, str] = field(default_factory=dict)
