"""What to ask of a kernel to see which queueing disciplines, filters and actions it has. Pure: bytes out.

Each is tried where nothing passes: on the loopback device of a new network namespace.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass

from controller.host import qdisc_codec
from controller.host.qdisc_frames import CREATE, NESTED, REPLACE, Request, attribute, head, options
from controller.host.queue_tree import ROOT, BfifoPlan, Change, HeadDropPlan, HtbPlan, QdiscPlan, Steers, TbfPlan, Verb
from policies.enforcement import BFIFO, ECN, FQ_CODEL, HEAD_DROP, HTB, POLICE, RED, TBF, U32

LOOPBACK = 1  # index of the device that every network namespace begins with
_NEW_QDISC, _NEW_ACTION = 36, 48
_RED_PARAMETERS, _RED_TABLE = 1, 2
_RED = struct.Struct("=IIIBBBB")  # limit, least and most of the average, three logarithms, flags
_RED_ECN = 1
_FQ_CODEL_ECN = 4
_ACTIONS, _ACTION_KIND, _ACTION_OPTIONS, _POLICE = 1, 1, 2, 1
_POLICE_BYTES = 56  # of struct tc_police; all zero: it polices nothing
_HANDLE = 1 << 16


@dataclass(frozen=True, slots=True)
class Trial:
    """The host has all of `abilities` when the kernel does what is asked, one after the other."""

    abilities: tuple[str, ...]
    requests: tuple[Request, ...]


def trials() -> Iterator[Trial]:
    """One that takes the place of another leaves nothing of it."""
    yield Trial((HTB,), _qdisc(HtbPlan(_HANDLE, 1)))
    yield Trial((U32,), _qdisc(HtbPlan(_HANDLE, 1, Steers.MARK)))
    yield Trial((TBF,), _qdisc(TbfPlan(1000, 10_000, 10_000)))
    yield Trial((BFIFO,), _qdisc(BfifoPlan(10_000)))
    yield Trial((HEAD_DROP,), _qdisc(HeadDropPlan(10)))
    yield Trial((RED,), (_request("red", _red(0)),))
    yield Trial((FQ_CODEL,), (_request("fq_codel", b""),))
    yield Trial((POLICE,), (_police(),))
    yield Trial((ECN,), (_request("red", _red(_RED_ECN)),))
    yield Trial((ECN,), (_request("fq_codel", attribute(_FQ_CODEL_ECN, struct.pack("=I", 1))),))


def forget() -> Request:
    """Takes away what a trial has left."""
    return Request(37, 0, head(LOOPBACK, 0, ROOT), "delete the root qdisc")


def _qdisc(plan: QdiscPlan) -> tuple[Request, ...]:
    return tuple(qdisc_codec.requests_of(LOOPBACK, Change(Verb.SET, ROOT, plan), {}))


def _request(kind: str, payload: bytes) -> Request:
    return Request(_NEW_QDISC, CREATE | REPLACE, head(LOOPBACK, 0, ROOT) + options(kind, payload), f"make a {kind}")


def _red(flags: int) -> bytes:
    numbers = _RED.pack(60_000, 5_000, 15_000, 9, 10, 10, flags)
    return attribute(_RED_PARAMETERS, numbers) + attribute(_RED_TABLE, bytes(256))


def _police() -> Request:
    """An action of its own, which no filter uses."""
    police = attribute(_ACTION_KIND, b"police\0") + attribute(
        _ACTION_OPTIONS | NESTED, attribute(_POLICE, bytes(_POLICE_BYTES))
    )
    body = bytes(4) + attribute(_ACTIONS | NESTED, attribute(1 | NESTED, police))
    return Request(_NEW_ACTION, CREATE, body, "make a police action")
