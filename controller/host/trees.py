"""The queueing trees of this host as the policy and the loop want them, and their counters."""

from __future__ import annotations

import logging
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TypeVar

from controller.host import links, qdisc
from controller.host.attempts import Attempts
from controller.host.errors import HostError
from controller.host.queue_plan import ROOT_MAJOR
from controller.host.queue_tree import ROOT, QueuePlan
from controller.stream.messages import QueueSample, VifSample

AUDIT_S = 5.0
Key = TypeVar("Key", str, int)
log = logging.getLogger("weir.agent")


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


class Trees:
    def __init__(self) -> None:
        self._attempts: Attempts[Wish] = Attempts("queues of", AUDIT_S)
        self._wishes = Wishes()

    def converge(self, wishes: Wishes, now_s: float) -> Faults:
        """Makes each tree what is wished; a device that fails does not hold up the others."""
        uplinks = {f"uplink {name}": (name, wish) for name, wish in wishes.uplinks.items()}
        vifs = {f"ingress of VIF {number}": (number, wish) for number, wish in wishes.ingress.items()}
        vifs |= {f"shaper of VIF {number}": (number, wish) for number, wish in wishes.shapers.items()}
        self._attempts.keep({*uplinks, *vifs})
        self._wishes = wishes
        return Faults(self._make_each(uplinks, now_s), self._make_each(vifs, now_s))

    def _make_each(self, wishes: Mapping[str, tuple[Key, Wish]], now_s: float) -> dict[Key, str]:
        """wishes: by what the log calls them. Returns the faults."""
        faults = {}
        for what, (key, wish) in wishes.items():
            fault = self._attempts.attempt(what, wish, partial(_make, wish), now_s)
            if fault is not None:
                faults[key] = fault
        return faults

    def sample(self) -> dict[int, VifSample]:
        """The counters of every VIF that has a queue, by VIF number. What cannot be read is left out."""
        shapers = {number: _whole(wish) for number, wish in self._wishes.shapers.items() if wish.plan}
        ingress = {number: _whole(wish) for number, wish in self._wishes.ingress.items() if wish.plan}
        uplink: dict[int, QueueSample] = {}
        for wish in self._wishes.uplinks.values():
            if wish.plan:
                uplink |= _read(wish)
        numbers = shapers.keys() | ingress.keys() | (uplink.keys() - {0})
        return {
            number: VifSample(shapers.get(number), uplink.get(number), ingress.get(number))
            for number in sorted(numbers)
        }


def remove_own(devices: Collection[str]) -> None:
    """Takes our trees off those of the devices that have one; a tree of somebody else stays. Raises HostError."""
    for device in sorted(own_trees() & set(devices)):
        log.info("queues of %s removed", device)
        qdisc.remove(device)


def own_trees() -> set[str]:
    """The devices of the agent's namespace that have one of our trees. Raises HostError."""
    with links.netlink(None) as socket:
        indexes = {
            message["index"]
            for message in socket.get_qdiscs()
            if message["parent"] == ROOT and message["handle"] == ROOT_MAJOR << 16
        }
        return {links.name_of(socket, index) for index in indexes} if indexes else set()


def _make(wish: Wish) -> None:
    done = qdisc.apply(wish.device, wish.plan, wish.netns)
    if done:
        log.info("queues of %s%s: %d changes", wish.device, f" in {wish.netns}" if wish.netns else "", len(done))


def _whole(wish: Wish) -> QueueSample | None:
    return _read(wish).get(0)


def _read(wish: Wish) -> Mapping[int, QueueSample]:
    try:
        return qdisc.read_samples(wish.device, wish.netns)
    except HostError as fault:
        log.debug("%s", fault)  # the audit finds it, and reports it
        return {}
