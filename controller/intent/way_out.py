"""Whether what VIFs send outside has a way out of their hosts. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from controller.intent.errors import NotInForce
from controller.intent.uplinks import way_out_fault
from controller.intent.vif_drafting import said
from ovsdb.rows import Snapshot, VirtualInterface
from policies.model import PolicySet
from policies.parser import parse


def check_way_out(snapshot: Snapshot, names: Collection[str]) -> None:
    """Raises NotInForce."""
    lines = said(without_way_out(snapshot, names).items())
    if lines:
        raise NotInForce(lines)


def without_way_out(snapshot: Snapshot, names: Collection[str]) -> dict[str, str]:
    """By VIF, what a request could not be held against: on which host a port would be, and a host that had not said."""
    segments, found = parse(snapshot.files).segments, {}
    for vif in (snapshot.interfaces[name] for name in names if name in snapshot.interfaces):
        segment, host = segments.get(vif.segment), snapshot.chassis.get(vif.chassis or "")
        fault = way_out_fault(segment, host) if segment is not None and host is not None else None
        if fault is not None:
            found[vif.name] = fault
    return found


def uplinks_of(policies: PolicySet, vifs: Iterable[VirtualInterface]) -> list[str]:
    used = [policies.segments[name] for name in {vif.segment for vif in vifs} if name in policies.segments]
    return [segment.uplink for segment in used if segment.uplink is not None]
