"""Makes the queueing trees of devices what a plan says, changing in place whatever can be, and reads their counters.

Level-based: what is there is read, the difference is written, and what is there is read again. A whole tree costs a
few system calls, whatever its size.
"""

from __future__ import annotations

import errno
from collections.abc import Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, replace
from pathlib import Path
from types import TracebackType

from controller.host import link_codec, qdisc_steering
from controller.host import qdisc_codec as codec
from controller.host.errors import HostError
from controller.host.qdisc_frames import Request, places
from controller.host.qdisc_socket import KernelRefusal, QdiscSocket
from controller.host.queue_ids import vif_of
from controller.host.queue_tree import (
    ROOT,
    Change,
    HtbPlan,
    QdiscPlan,
    QueuePlan,
    SteeringPlan,
    Verb,
    changes,
)
from controller.stream.messages import QueueSample

_GONE = (errno.ENODEV, errno.ENXIO)
_FEW = 100  # that are asked for one by one


class QdiscError(HostError):
    """A tree could not be made, removed or read."""


@dataclass(frozen=True, slots=True)
class _Found:
    """What a device has. filters: the kernel's handles."""

    plan: QueuePlan
    filters: Mapping[SteeringPlan, int]


class TrafficControl:
    """The trees of the devices of one network namespace: this one, or the one at the path `netns`.

    Holds a netlink socket, which keeps the namespace alive: hold it for our own, close it at once for an instance's.
    Raises HostError when the namespace can not be entered.
    """

    def __init__(self, netns: Path | None = None, port: int = 0) -> None:
        """port: see QdiscSocket."""
        self._netns = netns
        self._socket = QdiscSocket(netns, port)

    def __enter__(self) -> TrafficControl:
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        self._socket.close()

    @property
    def port(self) -> int:
        """See QdiscSocket."""
        return self._socket.port

    def apply(self, link: int | str, plan: QueuePlan | None) -> list[Change]:
        """Makes the tree of a device, named or by index, the planned one; None: the one that the kernel gives.

        Returns the changes made, none when all was right; what only changes its numbers keeps its queue. Raises
        QdiscError.
        """
        ifindex = self._index(link)
        if plan is None:
            return self._remove(link, ifindex)
        found = self._read(link, ifindex)
        steps = changes(plan, found.plan)
        requests = [request for step in steps for request in codec.requests_of(ifindex, step, found.filters)]
        refusals = [answer for answer in self._ask(link, requests) if isinstance(answer, KernelRefusal)]
        if not steps:
            return []
        left = changes(plan, self._read(link, ifindex).plan)
        if left:
            cause = str(refusals[0]) if refusals else f"{left[0]} did not hold; something else changes this tree"
            raise self._error(link, f"{len(left)} of {len(steps)} changes of its queues failed, first {cause}")
        return list(steps)

    def remove(self, link: int | str) -> list[Change]:
        return self.apply(link, None)

    def read_samples(self, link: int | str) -> Mapping[int, QueueSample]:
        """The counters of each VIF's class by VIF number, and those of the whole tree as 0. Raises QdiscError.

        Empty when the device has no tree. Drops are those of the queue, whole frames.
        """
        ifindex = self._index(link)
        root = self._root(link, ifindex)
        if root is None:
            return {}
        samples = {0: root.sample}
        if isinstance(root.plan, HtbPlan):
            for body in self._dump(link, codec.ask_classes(ifindex)):
                vif = vif_of(codec.class_id(body))
                if vif is not None:
                    samples[vif] = codec.class_sample(body)
        return samples

    def class_counters(self, ifindex: int) -> list[bytes]:
        """What the kernel says of each class of a device, for a CounterReader. Raises QdiscError."""
        return self._dump(ifindex, codec.ask_classes(ifindex))

    def root_counters(self, ifindexes: Sequence[int]) -> list[bytes | None]:
        """Likewise of the outermost qdisc of each of these devices; None: it was given none. Raises QdiscError."""
        answers = self._ask("any", [codec.ask_qdisc(ifindex, ROOT) for ifindex in ifindexes])
        return [answer if isinstance(answer, bytes) and codec.class_id(answer) else None for answer in answers]

    def all_root_counters(self) -> dict[int, bytes]:
        """The same of all devices in one reading, by index. Raises QdiscError."""
        found = {}
        for body in self._dump("any", codec.ask_qdiscs()):
            ifindex, handle, parent = places(body)
            if parent == ROOT and handle:
                found[ifindex] = body
        return found

    def _remove(self, link: int | str, ifindex: int) -> list[Change]:
        root = self._root(link, ifindex)
        if root is None:
            return []
        step = Change(Verb.DELETE, ROOT, root.plan)
        for answer in self._ask(link, list(codec.requests_of(ifindex, step, {}))):
            if isinstance(answer, KernelRefusal) and answer.code not in (errno.ENOENT, *_GONE):
                raise self._error(link, str(answer))
        return [step]

    def _read(self, link: int | str, ifindex: int) -> _Found:
        root = self._root(link, ifindex)
        if root is None:
            return _Found(QueuePlan(), {})
        qdiscs: dict[int, QdiscPlan] = {ROOT: root.plan}
        classes = self._classes(link, ifindex) if isinstance(root.plan, HtbPlan) else []
        for row in self._leaves(link, ifindex, {row.place for row in classes if row.leaf}):
            qdiscs[row.parent] = row.plan
        filters: dict[SteeringPlan, int] = {}
        for parent, qdisc in qdiscs.items():
            if isinstance(qdisc, HtbPlan):
                rows = self._dump(link, qdisc_steering.ask_filters(ifindex, qdisc.handle))
                steering = qdisc_steering.steering_of(qdisc.handle, [qdisc_steering.filter_row(row) for row in rows])
                qdiscs[parent] = replace(qdisc, steers=steering.steers)
                filters.update(steering.handles)
        return _Found(QueuePlan(qdiscs, {row.place: row.plan for row in classes}, frozenset(filters)), filters)

    def _leaves(self, link: int | str, ifindex: int, parents: Set[int]) -> Iterator[codec.QdiscRow]:
        """The qdiscs below these classes. Many questions cost more than reading those of all devices, few less."""
        if len(parents) < _FEW:
            answers = self._ask(link, [codec.ask_qdisc(ifindex, parent) for parent in parents])
            yield from (codec.qdisc_row(answer) for answer in answers if isinstance(answer, bytes))
            return
        for body in self._dump(link, codec.ask_qdiscs()):
            index, _, parent = places(body)
            if index == ifindex and parent in parents:
                yield codec.qdisc_row(body)

    def _root(self, link: int | str, ifindex: int) -> codec.QdiscRow | None:
        """None for the qdisc that the kernel gives every device."""
        (answer,) = self._ask(link, [codec.ask_qdisc(ifindex, ROOT)])
        if isinstance(answer, KernelRefusal) and answer.code != errno.ENOENT:
            raise self._error(link, str(answer))
        row = codec.qdisc_row(answer) if isinstance(answer, bytes) else None
        return row if row and row.handle else None

    def _classes(self, link: int | str, ifindex: int) -> list[codec.ClassRow]:
        rows = (codec.class_row(body) for body in self._dump(link, codec.ask_classes(ifindex)))
        return [row for row in rows if row is not None]

    def _index(self, link: int | str) -> int:
        if isinstance(link, int):
            return link
        (answer,) = self._ask(link, [link_codec.ask_link(link)])
        if not isinstance(answer, bytes):
            raise self._error(link, f"no such device ({answer})")
        return link_codec.link_index(answer)

    def _ask(self, link: int | str, requests: list[Request]) -> list[bytes | KernelRefusal | None]:
        try:
            return self._socket.ask(requests)
        except OSError as fault:
            raise self._error(link, f"netlink: {fault}") from fault

    def _dump(self, link: int | str, request: Request) -> list[bytes]:
        try:
            return self._socket.dump(request)
        except (KernelRefusal, OSError) as fault:
            raise self._error(link, str(fault)) from fault

    def _error(self, link: int | str, problem: str) -> QdiscError:
        where = f" in {self._netns}" if self._netns else ""
        return QdiscError(
            f"device {link}{where}: {problem}",
            f"Look at it with `tc -s class show dev {link}`; the kernel needs sch_htb, sch_tbf and cls_u32, the agent"
            " CAP_NET_ADMIN; it tries again by itself",
        )


def apply(link: int | str, plan: QueuePlan | None, netns: Path | None = None, port: int = 0) -> list[Change]:
    """As TrafficControl.apply, with a socket of its own: for a namespace that must not be kept alive."""
    with TrafficControl(netns, port) as control:
        return control.apply(link, plan)


def remove(link: int | str, netns: Path | None = None) -> list[Change]:
    return apply(link, None, netns)


def read_samples(link: int | str, netns: Path | None = None, port: int = 0) -> Mapping[int, QueueSample]:
    with TrafficControl(netns, port) as control:
        return control.read_samples(link)
