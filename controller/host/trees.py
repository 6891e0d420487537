"""The queueing trees of this host as the policy and the loop want them, and their counters."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable, Collection, Mapping
from functools import partial
from types import TracebackType
from typing import TypeVar

from controller.host import qdisc
from controller.host.attempts import Attempts
from controller.host.errors import HostError
from controller.host.link_codec import Link
from controller.host.link_table import LinkTable
from controller.host.qdisc_codec import class_id
from controller.host.queue_ids import ROOT_MAJOR, vif_of
from controller.host.queue_samples import QueueSamples
from controller.host.queue_tree import Change
from controller.host.tc_watch import TcWatch
from controller.host.wish import Faults, Wish, Wishes
from controller.stream.messages import QueueTable, Repair

AUDIT_S, AUDITS_PER_S = 10.0, 40  # of what the kernel did not tell; a tree that is gone is seen by the sampling, too
LOST_PAUSE_S = 3.0  # between two looks at all shapers when the kernel could not tell of all changes
QUEUES = "queues"
MOST_TOLD = 3  # of the changes that a repair took
Key = TypeVar("Key", str, int)
log = logging.getLogger("weir.agent")


class Trees:
    """Keeps a socket in the namespace in which it was made, the agent's own; instances' namespaces are visited."""

    def __init__(self, links: LinkTable, on_repair: Callable[[Repair], None] = lambda repair: None) -> None:
        self._links, self._on_repair = links, on_repair
        self._own = qdisc.TrafficControl()
        self._watch, self._inside = TcWatch(self._own.port), TcWatch(self._own.port, elsewhere=True)
        self._has_lost, self._lost_s = False, -math.inf  # changes inside instances; when all were looked at for it
        self._attempts: Attempts[tuple[Wish, int | None]] = Attempts("queues of", AUDIT_S, AUDITS_PER_S, self._repaired)
        self._wishes = Wishes()
        self._samples = QueueSamples(self._own)
        self.still = False  # see HostSample, of the last sampling

    def __enter__(self) -> Trees:
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        self._inside.close()
        self._watch.close()
        self._own.close()

    @property
    def descriptor(self) -> int:
        """Readable when the kernel has told of a change of queues in this namespace, perhaps our own."""
        return self._watch.descriptor

    def touched(self) -> bool:
        """Whether somebody else has changed queues of ours in this namespace since the last call; those are audited by
        the next pass."""
        indexes = self._watch.changed()
        if indexes is not None and not indexes:
            return False
        try:
            links = self._links.links()
        except HostError:
            return True  # the next pass finds it, and reports it
        touched = [
            what
            for what, wish in self._by_key().items()
            if wish.netns is None
            and (link := links.get(wish.device)) is not None
            and (indexes is None or (None, link.index) in indexes)
        ]
        for what in touched:
            self._attempts.again(what)
        return bool(touched)

    def converge(self, wishes: Wishes, now_s: float) -> Faults:
        """Makes each tree what is wished; a device that fails does not hold up the others. Raises HostError."""
        links = self._links.links()
        uplinks = {_uplink(name): (name, wish) for name, wish in wishes.uplinks.items()}
        vifs = {_ingress(number): (number, wish) for number, wish in wishes.ingress.items()}
        vifs |= {_shaper(number): (number, wish) for number, wish in wishes.shapers.items()}
        self._attempts.keep({*uplinks, *vifs})
        self._wishes = wishes
        self._look_inside(links, now_s)
        return Faults(self._make_each(uplinks, links, now_s), self._make_each(vifs, links, now_s))

    def sample(self, now_s: float) -> QueueTable:
        """The counters of every VIF that has a queue, by VIF number. What cannot be read is left out."""
        try:
            taken = self._samples.take(self._wishes, self._links, now_s)
        except HostError as fault:
            log.debug("%s", fault)  # the next pass finds it, and reports it
            self.still = False
            return QueueTable({})
        self.still = taken.still
        for name in taken.gone_uplinks:
            self._attempts.again(_uplink(name))
        for number in taken.gone_ports:
            self._attempts.again(_ingress(number))
        for number in taken.gone_shapers:
            self._attempts.again(_shaper(number))
        return taken.table

    def remove_own(self, devices: Collection[str]) -> None:
        """Takes our trees off those of the devices that have one; a tree of somebody else stays. Raises HostError."""
        links, roots = self._links.links(), self._own.all_root_counters()
        for device in sorted(set(devices) & links.keys()):
            root = roots.get(links[device].index)
            if root is not None and class_id(root) == ROOT_MAJOR << 16:
                log.info("queues of %s removed", device)
                self._own.remove(device)

    def _look_inside(self, links: Mapping[str, Link], now_s: float) -> None:
        """Shapers that somebody has changed do not wait for the audit; nor do all of them when not all changes are
        known."""
        changed = self._inside.changed()
        self._has_lost |= changed is None
        everything = self._has_lost and now_s >= self._lost_s + LOST_PAUSE_S
        if everything:
            self._has_lost, self._lost_s = False, now_s
        elif not changed:
            return
        for number, wish in self._wishes.shapers.items():
            link = links.get(wish.arrives_at or "")
            if everything or (link is not None and changed and (link.peer_namespace, link.peer) in changed):
                self._attempts.again(_shaper(number))

    def _make_each(
        self, wishes: Mapping[str, tuple[Key, Wish]], links: Mapping[str, Link], now_s: float
    ) -> dict[Key, str]:
        """wishes: by what the log calls them. Returns the faults."""
        faults = {}
        for what, (key, wish) in wishes.items():
            # another of the same name has no tree yet; nor has the other end of another link
            link = links.get(wish.device if wish.netns is None else wish.arrives_at or "")
            wanted = wish, link.index if link else None
            fault = self._attempts.attempt(what, wanted, partial(self._make, wish), now_s)
            if fault is not None:
                faults[key] = fault
        return faults

    def _make(self, wish: Wish) -> list[Change]:
        if wish.netns is None:
            done = self._own.apply(wish.device, wish.plan)
        else:
            done = qdisc.apply(wish.device, wish.plan, wish.netns, self._own.port)
        if done:
            log.info("queues of %s%s: %d changes", wish.device, f" in {wish.netns}" if wish.netns else "", len(done))
        return done

    def _by_key(self) -> dict[str, Wish]:
        wishes = self._wishes
        found = {_uplink(name): wish for name, wish in wishes.uplinks.items()}
        found |= {_ingress(number): wish for number, wish in wishes.ingress.items()}
        return found | {_shaper(number): wish for number, wish in wishes.shapers.items()}

    def _repaired(self, key: str, done: object) -> None:
        assert isinstance(done, list)
        wish = self._by_key()[key]
        where = f"{wish.device} in {wish.netns}" if wish.netns else wish.device
        told = [str(change).partition(": ")[0] for change in done[:MOST_TOLD]]  # without all numbers of the part
        more = [f"and {len(done) - MOST_TOLD} more"] if len(done) > MOST_TOLD else []
        self._on_repair(
            Repair(
                time.time(),
                QUEUES,
                f"queues of {where} ({key})",
                f"{len(done)} part{'s' if len(done) > 1 else ''} of the tree not as made",
                "; ".join(told + more),
                self._vifs_of(key, done),
            )
        )

    def _vifs_of(self, key: str, done: list[Change]) -> tuple[int, ...]:
        for wishes, name in ((self._wishes.ingress, _ingress), (self._wishes.shapers, _shaper)):
            for number in wishes:
                if name(number) == key:
                    return (number,)
        targets = {getattr(change.item, "target", change.place) for change in done}
        return tuple(sorted({vif for target in targets if (vif := vif_of(target)) is not None}))[:MOST_TOLD]


def _uplink(name: str) -> str:
    return f"uplink {name}"


def _ingress(number: int) -> str:
    return f"ingress of VIF {number}"


def _shaper(number: int) -> str:
    return f"shaper of VIF {number}"
