"""Which VIFs can be again what they were before a change, now that others may have taken what they had. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from controller.intent.addresses import BadAddress
from controller.intent.vif_change import VifChange, request_of, undone
from controller.intent.vif_checks import complaints, segment_of
from controller.intent.vif_desk import Desk
from controller.intent.vif_drafting import Fault, all_breaches, within_promises
from controller.world.members import member
from ovsdb.rows import Snapshot, VirtualInterface
from policies.model import PolicySet
from policies.parser import parse


def returning(
    former: Sequence[VirtualInterface], before: Snapshot, snapshot: Snapshot
) -> tuple[list[VirtualInterface], list[Fault]]:
    """Those of the VIFs `former` that may be so again, with the status that they have, and what stands against others.

    before: the database as the change found it. snapshot: as it is now; all of the VIFs are in it. What was wrong
    before the change does not stand against them, nor what is just as wrong with them as they are.
    """
    policies, policies_before = parse(snapshot.files), parse(before.files)
    left, faults = [undone(snapshot.interfaces[vif.name], vif) for vif in former], list[Fault]()
    known = set(_faults(former, before, policies_before))
    for vif in former:
        as_it_is = request_of(snapshot.interfaces[vif.name], VifChange())
        known |= {(vif.name, text) for text in complaints(as_it_is, policies, snapshot)}
    while found := [fault for fault in _faults(left, snapshot, policies) if fault not in known]:
        faults += found
        left = [vif for vif in left if vif.name not in dict(found)]  # they keep what they have: look again
    members = [member(vif, policies_before) for vif in before.interfaces.values()]
    broken_before = all_breaches(policies_before, members, before)
    kept, broken = within_promises(left, snapshot, policies, broken_before)
    return kept, [*faults, *broken]


def _faults(vifs: Sequence[VirtualInterface], snapshot: Snapshot, policies: PolicySet) -> list[Fault]:
    """As of VIFs that are asked for anew."""
    desk, faults = Desk(snapshot, policies, "", leaving={vif.name for vif in vifs}), list[Fault]()
    for vif in vifs:
        request = request_of(vif, VifChange())
        found = [*complaints(request, policies, snapshot), *desk.collisions(request)]
        if segment_of(request, policies) is not None:  # whatever else there is: some of it may be known
            try:
                desk.add(request, vif)
            except BadAddress as fault:
                found.append(str(fault))
        faults += [(vif.name, text) for text in found]
    return faults
