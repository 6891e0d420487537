"""From requests to VIFs with number, MAC and addresses, or to everything that is wrong with them at once. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

from controller.intent.addresses import BadAddress
from controller.intent.errors import Rejected
from controller.intent.naming import vifs_named
from controller.intent.promises import devices_of, send_buffers
from controller.intent.vif_checks import VifRequest, complaints
from controller.intent.vif_desk import Desk
from controller.world.members import member
from ovsdb.rows import Snapshot, VirtualInterface
from policies.buffers import short_buffers
from policies.hierarchy import Breach, Member, breaches
from policies.model import PolicySet

Fault = tuple[str, str]  # name of the VIF; `problem. Remedy.`


@dataclass(frozen=True, slots=True)
class Draft:
    """next_number: of VIFs, after these. faults: of requests that are none of `vifs`."""

    vifs: tuple[VirtualInterface, ...]
    next_number: int
    faults: tuple[Fault, ...] = ()


def draft(requests: Sequence[VifRequest], snapshot: Snapshot, policies: PolicySet, system_id: str) -> Draft:
    """`policies`: those of the snapshot, parsed. Raises Rejected with one line a fault, of all requests together."""
    desk, faults = _at_the_desk(requests, snapshot, policies, system_id)
    lines = said(faults)
    if not lines:
        present = [member(vif, policies) for vif in snapshot.interfaces.values()]
        after = [*present, *(member(vif, policies) for vif in desk.vifs)]
        lines = [str(breach) for breach in broken_promises(policies, present, after, snapshot)]
    if lines:
        raise Rejected(lines)
    return Draft(tuple(desk.vifs), desk.next_number)


def draft_each(requests: Sequence[VifRequest], snapshot: Snapshot, policies: PolicySet, system_id: str) -> Draft:
    """Likewise, but those that cannot be do not keep the others from being; the first ones come first."""
    desk, faults = _at_the_desk(requests, snapshot, policies, system_id)
    kept, broken = within_promises(desk.vifs, snapshot, policies)
    return Draft(tuple(kept), desk.next_number, (*faults, *broken))


def within_promises(
    vifs: Sequence[VirtualInterface], snapshot: Snapshot, policies: PolicySet, known: Collection[Breach] = ()
) -> tuple[list[VirtualInterface], list[Fault]]:
    """Those that may be, in the place of those of the same names in the snapshot, and what each of the others breaks.

    known: breaches that are not held against them, beside those that there are.
    """
    kept, faults = list(vifs), list[Fault]()
    while (broken := _first_broken(policies, kept, snapshot, known)) is not None:
        at, breach = broken
        like = _weights(kept[at], snapshot)
        refused = [vif for vif in kept[at:] if _weights(vif, snapshot) == like]  # none of them fits any better
        faults += [(vif.name, _of_one(breach)) for vif in refused]
        kept = [vif for vif in kept if vif not in refused]
    return kept, faults


def said(faults: Iterable[Fault]) -> list[str]:
    """A line a fault; what is the same with several VIFs in one."""
    by_text: dict[str, list[str]] = defaultdict(list)
    for name, text in faults:
        by_text[text].append(name)
    return [f"{vifs_named(names)}: {text}" for text, names in by_text.items()]


def broken_promises(
    policies: PolicySet, before: Sequence[Member], after: Sequence[Member], snapshot: Snapshot
) -> list[Breach]:
    """What `after` would break that `before` does not break already, or not by as much. snapshot: its hosts alone."""
    return worse(all_breaches(policies, before, snapshot), all_breaches(policies, after, snapshot))


def worse(before: Iterable[Breach], after: Iterable[Breach]) -> list[Breach]:
    """Those of `after` about what no breach of `before` is about, or by more than that. Where the policy says it and
    how much it is now are no part of what a breach is about.
    """
    known = {_about(breach): _excess(breach) for breach in before}
    return [one for one in after if _about(one) not in known or _excess(one) > known[_about(one)]]


def all_breaches(policies: PolicySet, members: Sequence[Member], snapshot: Snapshot) -> list[Breach]:
    """Promises to `members` that cannot be kept. snapshot: its hosts alone."""
    short = short_buffers(policies, members, send_buffers(snapshot), devices_of(snapshot))
    return [*breaches(policies, members), *short]


def _excess(breach: Breach) -> tuple[int, int]:
    return breach.excess_kbps, breach.excess_bytes


def _about(breach: Breach) -> tuple[object, ...]:
    return breach.subject, breach.policy, breach.uplink, breach.direction


def _at_the_desk(
    requests: Sequence[VifRequest], snapshot: Snapshot, policies: PolicySet, system_id: str
) -> tuple[Desk, list[Fault]]:
    desk, faults = Desk(snapshot, policies, system_id), list[Fault]()
    for request in requests:
        found = [*complaints(request, policies, snapshot), *desk.collisions(request)]
        if not found:
            try:
                desk.add(request)
            except BadAddress as fault:
                found.append(str(fault))
        faults += [(request.name, text) for text in found]
    return desk, faults


def _first_broken(
    policies: PolicySet, vifs: Sequence[VirtualInterface], snapshot: Snapshot, known: Collection[Breach]
) -> tuple[int, Breach] | None:
    """The first VIF that breaks a promise, as those before it break none; None: all together break none."""
    present = {vif.name: member(vif, policies) for vif in snapshot.interfaces.values()}
    members = [(vif.name, member(vif, policies)) for vif in vifs]

    def broken(count: int) -> list[Breach]:
        after = {**present, **dict(members[:count])}
        return worse(known, broken_promises(policies, [*present.values()], [*after.values()], snapshot))

    if not broken(len(vifs)):
        return None
    sound, unsound = 0, len(vifs)
    while unsound - sound > 1:
        middle = (sound + unsound) // 2
        sound, unsound = (sound, middle) if broken(middle) else (middle, unsound)
    return unsound - 1, broken(unsound)[0]


def _weights(vif: VirtualInterface, snapshot: Snapshot) -> tuple[object, object]:
    """What admission sees of a VIF, and of the one in whose place it comes."""
    return _weight(vif), _weight(snapshot.interfaces.get(vif.name))


def _weight(vif: VirtualInterface | None) -> object:
    return None if vif is None else (vif.policy, vif.segment, vif.chassis, dict(vif.egress), dict(vif.ingress))


def _of_one(breach: Breach) -> str:
    is_of_vif = breach.subject.startswith("VIF ")
    return f"{breach.problem}. {breach.remedy}." if is_of_vif else str(breach)
