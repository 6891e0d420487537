"""Which trees are wished for, and what is wrong with them, as values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from controller.host.queue_tree import QueuePlan


@dataclass(frozen=True, slots=True)
class Wish:
    """A device, in the namespace at `netns` (None: the agent's own), and its tree; plan None: the kernel's default.

    arrives_at: the device of the agent's own namespace at which what leaves a shaper comes in. classes: which of its
    classes are whose traffic classes, see class_places.
    """

    device: str
    plan: QueuePlan | None
    netns: Path | None = None
    arrives_at: str | None = None
    classes: Mapping[int, tuple[int, str]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Wishes:
    """uplinks by the keys of `AgentConfig.uplinks`; ingress and shapers by VIF number."""

    uplinks: Mapping[str, Wish] = field(default_factory=dict)
    ingress: Mapping[int, Wish] = field(default_factory=dict)
    shapers: Mapping[int, Wish] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Faults:
    """What is wrong, in words: by uplink name, and by VIF number."""

    uplinks: Mapping[str, str] = field(default_factory=dict)
    vifs: Mapping[int, str] = field(default_factory=dict)
