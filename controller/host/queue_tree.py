"""A tree of queueing disciplines, classes and filters as values, and the least change from one to another. Pure.

Handles and class ids are 32 bits as in `tc`: major in the upper half, minor in the lower. Rates are kbit/s (1000
bit/s), sizes bytes of whole frames without FCS. Bucket depths are times in microseconds (the kernel keeps them as times
of 64 ns), so that a plan and what is read back compare equal at any rate.
"""

from __future__ import annotations

import enum
from collections.abc import Iterator, Mapping, Set
from dataclasses import dataclass, field, replace

from controller.host.congestion import FqCodelPlan, RedPlan

ROOT = 0xFFFFFFFF  # parent of the outermost qdisc of a device
MAJOR = 0xFFFF0000  # of a handle or class id


class Steers(str, enum.Enum):
    """By what the filters of a qdisc find a frame's class, through tables that stand there before any filter."""

    NOTHING = "nothing"
    SOURCE = "source MAC, or behind a router's the source address"
    MARK = "code point"


@dataclass(frozen=True, slots=True)
class HtbPlan:
    """An HTB qdisc. Reading says steers=None when its filters are of none of our forms; they are then made anew."""

    handle: int
    default_minor: int  # class of what no filter names
    steers: Steers | None = Steers.NOTHING


@dataclass(frozen=True, slots=True)
class BfifoPlan:
    limit_bytes: int


@dataclass(frozen=True, slots=True)
class HeadDropPlan:
    """A queue that is never full: it drops its oldest frame for a new one, which its sender takes for success."""

    limit_packets: int


@dataclass(frozen=True, slots=True)
class TbfPlan:
    rate_kbps: int
    burst_us: int
    limit_bytes: int


@dataclass(frozen=True, slots=True)
class ForeignPlan:
    """A qdisc of a kind that no plan has; only ever read."""

    kind: str


QdiscPlan = HtbPlan | BfifoPlan | HeadDropPlan | TbfPlan | RedPlan | FqCodelPlan | ForeignPlan


@dataclass(frozen=True, slots=True)
class ClassPlan:
    """An HTB class. quantum_bytes divides among siblings what they borrow; the lower priority borrows first."""

    parent: int
    rate_kbps: int
    ceil_kbps: int
    burst_us: int
    cburst_us: int
    quantum_bytes: int
    priority: int = 0


@dataclass(frozen=True, slots=True, order=True)
class FilterPlan:
    """In the HTB qdisc with handle `qdisc`, frames from source `mac` (48 bits) belong to class `target`."""

    qdisc: int
    mac: int
    target: int


@dataclass(frozen=True, slots=True, order=True)
class RouterPlan:
    """In the HTB qdisc with handle `qdisc`, packets of this IP version in frames from source `mac`, that of a router,
    are told by their source address. is_tagged: those in frames with a VLAN tag, else the others."""

    qdisc: int
    mac: int
    version: int
    is_tagged: bool


@dataclass(frozen=True, slots=True, order=True)
class AddressPlan:
    """In the HTB qdisc with handle `qdisc`, what a router sends from source `address` belongs to class `target`."""

    qdisc: int
    version: int
    address: int
    target: int


@dataclass(frozen=True, slots=True, order=True)
class MarkPlan:
    """In the HTB qdisc with handle `qdisc`, IP packets with this code point (DSCP, 0..63) belong to class `target`."""

    qdisc: int
    code_point: int
    target: int


SteeringPlan = FilterPlan | RouterPlan | AddressPlan | MarkPlan
_RANKS = {kind: rank for rank, kind in enumerate((RouterPlan, FilterPlan, AddressPlan, MarkPlan))}


@dataclass(frozen=True, slots=True)
class QueuePlan:
    """All of a device. qdiscs by parent (ROOT or a class id), classes by class id, parents before children in both."""

    qdiscs: Mapping[int, QdiscPlan] = field(default_factory=dict)
    classes: Mapping[int, ClassPlan] = field(default_factory=dict)
    filters: frozenset[SteeringPlan] = frozenset()


class Verb(str, enum.Enum):
    SET = "set"  # made, or changed in place with its queue kept
    STEER = "steer"  # the tables of a qdisc's filters made anew, empty
    DELETE = "delete"  # with everything below it


@dataclass(frozen=True, slots=True)
class Change:
    """One step. place: the parent of a qdisc, the id of a class, the qdisc of a filter."""

    verb: Verb
    place: int
    item: QdiscPlan | ClassPlan | SteeringPlan

    def __str__(self) -> str:
        kind = type(self.item).__name__.removesuffix("Plan").lower()
        where = "root" if self.place == ROOT else name_of(self.place)
        return f"{self.verb.value} {kind} at {where}: {self.item}"


def name_of(handle: int) -> str:
    """As `tc` writes it: hexadecimal `major:minor`, no minor for a qdisc."""
    if handle == ROOT:
        return "root"
    return f"{handle >> 16:x}:" + (f"{handle & 0xFFFF:x}" if handle & 0xFFFF else "")


def changes(desired: QueuePlan, actual: QueuePlan) -> tuple[Change, ...]:
    """The least steps from actual to desired, in an order that leaves no frame without a class.

    Every part is made before the filters that lead to it, and filters go before what they led to. A qdisc that can not
    become the desired one in place is deleted with everything below it and built again.
    """
    lost = _unusable(desired, actual)
    rest = _without(actual, lost, frozenset())
    gone = rest.classes.keys() - desired.classes.keys()
    left = _without(rest, gone, gone)
    return (
        *(Change(Verb.DELETE, parent, actual.qdiscs[parent]) for parent in sorted(lost - _below(actual, lost))),
        *_additions(desired, rest),
        *(Change(Verb.DELETE, item.qdisc, item) for item in _outside_in(left, left.filters - desired.filters)),
        *(
            Change(Verb.DELETE, place, rest.classes[place])
            for place in _children_first(rest, gone - _below(rest, gone))
        ),
    )


def _unusable(desired: QueuePlan, actual: QueuePlan) -> Set[int]:
    """Parents of the qdiscs that must go before the desired ones can be made."""
    homes = {qdisc.handle: parent for parent, qdisc in desired.qdiscs.items() if isinstance(qdisc, HtbPlan)}
    misplaced = {
        place & MAJOR
        for place, body in actual.classes.items()
        if place in desired.classes and desired.classes[place].parent != body.parent
    }
    lost = set()
    for parent, present in actual.qdiscs.items():
        wanted = desired.qdiscs.get(parent)
        if isinstance(present, HtbPlan):
            same = isinstance(wanted, HtbPlan) and replace(present, steers=wanted.steers) == wanted
            moved = homes.get(present.handle, parent) != parent
            unusable = moved or present.handle in misplaced or (wanted is not None and not same)
        else:
            unusable = False
        if unusable or (wanted is None and (parent == ROOT or parent in desired.classes)):
            lost.add(parent)
    return lost


def _members(plan: QueuePlan) -> Mapping[int, list[int]]:
    """Class ids by the handle of their qdisc."""
    members: dict[int, list[int]] = {}
    for place in plan.classes:
        members.setdefault(place & MAJOR, []).append(place)
    return members


def _below(plan: QueuePlan, parents: Set[int]) -> Set[int]:
    """Ids of all classes in the qdiscs at `parents`, however deep."""
    members, found, pending = _members(plan), set[int](), list(parents)
    while pending:
        qdisc = plan.qdiscs.get(pending.pop())
        if isinstance(qdisc, HtbPlan):
            inner = members.get(qdisc.handle, [])
            found.update(inner)
            pending += inner
    return found


def _without(plan: QueuePlan, parents: Set[int], classes: Set[int]) -> QueuePlan:
    """What is left when the qdiscs at `parents`, with everything below them, and `classes` are gone."""
    if not parents:
        return plan
    below = _below(plan, parents)
    qdiscs = {parent: qdisc for parent, qdisc in plan.qdiscs.items() if parent not in parents and parent not in below}
    handles = {qdisc.handle for qdisc in qdiscs.values() if isinstance(qdisc, HtbPlan)}
    return QueuePlan(
        qdiscs,
        {place: body for place, body in plan.classes.items() if place not in below and place not in classes},
        frozenset(item for item in plan.filters if item.qdisc in handles),
    )


def _additions(desired: QueuePlan, actual: QueuePlan) -> Iterator[Change]:
    """Outside in, except the filters: those come last and inside out."""
    members, pending = _members(desired), [ROOT]
    while pending:
        parent = pending.pop(0)
        wanted, present = desired.qdiscs.get(parent), actual.qdiscs.get(parent)
        if wanted is None:
            continue
        if isinstance(wanted, HtbPlan) and isinstance(present, HtbPlan):
            if present != wanted:
                yield Change(Verb.STEER, parent, wanted)
        elif present != wanted:
            yield Change(Verb.SET, parent, wanted)
        if isinstance(wanted, HtbPlan):
            inner = members.get(wanted.handle, [])
            yield from (
                Change(Verb.SET, place, desired.classes[place])
                for place in inner
                if actual.classes.get(place) != desired.classes[place]
            )
            pending += inner
    for item in reversed(_outside_in(desired, desired.filters - actual.filters)):
        yield Change(Verb.SET, item.qdisc, item)


def _outside_in(plan: QueuePlan, filters: Set[SteeringPlan]) -> list[SteeringPlan]:
    """Ordered by how deep their qdiscs hang, and within one depth so that equal sets give equal lists."""
    parents = {qdisc.handle: parent for parent, qdisc in plan.qdiscs.items() if isinstance(qdisc, HtbPlan)}

    def depth(handle: int) -> int:
        parent = parents.get(handle, ROOT)
        return 0 if parent == ROOT else 1 + depth(parent & MAJOR)

    depths = {handle: depth(handle) for handle in {item.qdisc for item in filters}}
    return sorted(filters, key=lambda item: (depths[item.qdisc], item.qdisc, _RANKS[type(item)], item))


def _children_first(plan: QueuePlan, places: Set[int]) -> list[int]:
    """The kernel refuses to delete a class that has others below it in the same qdisc."""

    def depth(place: int) -> int:
        body = plan.classes.get(place)
        return 0 if body is None else 1 + depth(body.parent)

    return sorted(places, key=lambda place: (-depth(place), place))
