"""The queueing trees of this host as the policy and the loop want them, and their counters."""

from __future__ import annotations

import logging
from collections.abc import Collection, Mapping
from functools import partial
from types import TracebackType
from typing import TypeVar

from controller.host import qdisc
from controller.host.attempts import Attempts
from controller.host.errors import HostError
from controller.host.kinds import veth
from controller.host.link_codec import Link
from controller.host.link_table import LinkTable
from controller.host.queue_ids import ROOT_MAJOR
from controller.host.shaper_samples import ShaperSamples
from controller.host.wish import Faults, Wish, Wishes
from controller.stream.messages import QueueSample, VifSample

AUDIT_S, AUDITS_PER_S = 5.0, 40  # a VIF has two trees; one that is gone altogether is seen by the sampling
Key = TypeVar("Key", str, int)
log = logging.getLogger("weir.agent")


class Trees:
    """Keeps a socket in the namespace in which it was made, the agent's own; instances' namespaces are visited."""

    def __init__(self, links: LinkTable) -> None:
        self._links = links
        self._own = qdisc.TrafficControl()
        self._attempts: Attempts[tuple[Wish, int | None]] = Attempts("queues of", AUDIT_S, AUDITS_PER_S)
        self._wishes = Wishes()
        self._shapers = ShaperSamples(_read_shaper)

    def __enter__(self) -> Trees:
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        self._own.close()

    def converge(self, wishes: Wishes, now_s: float) -> Faults:
        """Makes each tree what is wished; a device that fails does not hold up the others. Raises HostError."""
        links = self._links.links()
        uplinks = {_uplink(name): (name, wish) for name, wish in wishes.uplinks.items()}
        vifs = {_ingress(number): (number, wish) for number, wish in wishes.ingress.items()}
        vifs |= {_shaper(number): (number, wish) for number, wish in wishes.shapers.items()}
        self._attempts.keep({*uplinks, *vifs})
        self._wishes = wishes
        return Faults(self._make_each(uplinks, links, now_s), self._make_each(vifs, links, now_s))

    def sample(self) -> dict[int, VifSample]:
        """The counters of every VIF that has a queue, by VIF number. What cannot be read is left out."""
        try:
            return self._sample(self._links.links())
        except HostError as fault:
            log.debug("%s", fault)  # the next pass finds it, and reports it
            return {}

    def remove_own(self, devices: Collection[str]) -> None:
        """Takes our trees off those of the devices that have one; a tree of somebody else stays. Raises HostError."""
        links, roots = self._links.links(), self._own.read_roots()
        for device in sorted(set(devices) & links.keys()):
            root = roots.get(links[device].index)
            if root is not None and root.handle == ROOT_MAJOR << 16:
                log.info("queues of %s removed", device)
                self._own.remove(device)

    def _make_each(
        self, wishes: Mapping[str, tuple[Key, Wish]], links: Mapping[str, Link], now_s: float
    ) -> dict[Key, str]:
        """wishes: by what the log calls them. Returns the faults."""
        faults = {}
        for what, (key, wish) in wishes.items():
            link = links.get(wish.device) if wish.netns is None else None  # another of the same name has no tree yet
            wanted = wish, link.index if link else None
            fault = self._attempts.attempt(what, wanted, partial(self._make, wish), now_s)
            if fault is not None:
                faults[key] = fault
        return faults

    def _make(self, wish: Wish) -> None:
        if wish.netns is None:
            done = self._own.apply(wish.device, wish.plan)
        else:
            done = qdisc.apply(wish.device, wish.plan, wish.netns)
        if done:
            log.info("queues of %s%s: %d changes", wish.device, f" in {wish.netns}" if wish.netns else "", len(done))

    def _sample(self, links: Mapping[str, Link]) -> dict[int, VifSample]:
        indexes = {name: link.index for name, link in links.items()}
        shapers, roots = self._sample_shapers(indexes), self._own.read_roots()
        ingress: dict[int, QueueSample] = {}
        uplink: dict[int, QueueSample] = {}
        for number, wish in _planned(self._wishes.ingress).items():
            root = roots.get(indexes.get(wish.device, 0))
            if root is None:
                self._attempts.again(_ingress(number))
            else:
                ingress[number] = root.sample
        for name, wish in _planned(self._wishes.uplinks).items():
            if indexes.get(wish.device, 0) in roots:
                uplink |= self._own.read_samples(indexes[wish.device])
            else:
                self._attempts.again(_uplink(name))
        return {
            number: VifSample(shapers.get(number), uplink.get(number), ingress.get(number))
            for number in sorted(shapers.keys() | ingress.keys() | (uplink.keys() - {0}))
        }

    def _sample_shapers(self, indexes: Mapping[str, int]) -> dict[int, QueueSample]:
        wishes = _planned(self._wishes.shapers)
        if not wishes:
            return {}
        by_index = self._links.received_packets()
        ends = {number: indexes.get(veth.host_end(number), 0) for number in wishes}
        received = {number: by_index[index] for number, index in ends.items() if index in by_index}
        samples = self._shapers.take(wishes, received)
        for number in wishes.keys() - samples.keys():
            self._attempts.again(_shaper(number))
        return samples


def _uplink(name: str) -> str:
    return f"uplink {name}"


def _ingress(number: int) -> str:
    return f"ingress of VIF {number}"


def _shaper(number: int) -> str:
    return f"shaper of VIF {number}"


def _planned(wishes: Mapping[Key, Wish]) -> dict[Key, Wish]:
    return {key: wish for key, wish in wishes.items() if wish.plan}


def _read_shaper(wish: Wish) -> QueueSample | None:
    try:
        return qdisc.read_samples(wish.device, wish.netns).get(0)
    except HostError as fault:
        log.debug("%s", fault)  # the audit finds it, and reports it
        return None
