"""Handles and class ids: each follows from a number that stays, so that what comes or goes moves nothing else. Pure.

A class id is `major:minor`. Major: ROOT_MAJOR outermost, the number of the inner node that a qdisc is nested for, or
one of CLASS_MAJORS where it is nested for a VIF's traffic classes. Minor: the VIF's number, INNER_MINORS + the node's
number, or CLASS_MINORS + the code point of the traffic class.
"""

from __future__ import annotations

from collections.abc import Iterable

ROOT_MAJOR = 0x7FFF  # the kernel numbers from 0x8000 what has no handle
INNER_MINORS = 0xC000
TRUNK_MINOR = 0xFFFF  # the class above all others of its qdisc
DEFAULT_MINOR = 0xFFFE  # for frames that no filter names
CLASS_MINORS = 1
MOST_VIF = INNER_MINORS - 1
MOST_NODE = DEFAULT_MINOR - INNER_MINORS - 1
CLASS_MAJORS = range(MOST_NODE + 1, ROOT_MAJOR)


class QueuePlanError(ValueError):
    """A tree can not be planned; says why and what to do."""


def class_majors(vifs: Iterable[int]) -> dict[int, int]:
    """The major of each VIF's traffic classes, by VIF number: the number itself, modulo as many as there are.

    Of two that meet there (they are 16,385 numbers apart) the higher takes the next that is free.
    Raises QueuePlanError.
    """
    found: dict[int, int] = {}
    taken: set[int] = set()
    for vif in sorted(vifs):
        if len(taken) == len(CLASS_MAJORS):
            raise QueuePlanError(
                f"more than {len(CLASS_MAJORS)} VIFs of this uplink use traffic classes. Move some to another host."
            )
        place = vif % len(CLASS_MAJORS)
        while place in taken:
            place = (place + 1) % len(CLASS_MAJORS)
        taken.add(place)
        found[vif] = CLASS_MAJORS[place]
    return found


def vif_of(place: int) -> int | None:
    """The VIF all of whose traffic passes the class with this id; None: a class of something else."""
    major, minor = place >> 16, place & 0xFFFF
    return minor if 1 <= minor <= MOST_VIF and (major <= MOST_NODE or major == ROOT_MAJOR) else None
