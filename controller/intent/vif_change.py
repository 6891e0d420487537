"""What is to be different about VIFs that there are already, and what they are then. Pure."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace

from controller.intent.addresses import BadAddress
from controller.intent.errors import Rejected
from controller.intent.kind_options import DEFAULT_IFNAME, PCI, PLACES, VFIO, canonical, fixed, has_link_inside, idle
from controller.intent.vif_checks import VifRequest, complaints
from controller.intent.vif_desk import Desk
from controller.intent.vif_drafting import Fault, broken_promises, said
from controller.world.members import member
from ovsdb.rows import Snapshot, VirtualInterface
from policies.model import PolicySet
from policies.own_numbers import Own, own_of
from policies.wording import nearest, quoted

NETDEV, VFIO_PCI = DRIVERS = ("netdev", "vfio-pci")


@dataclass(frozen=True, slots=True)
class VifChange:
    """None: as it is. Of labels and options only those named change; a value of None takes one away.

    addresses: in place of all it has, () for those that Weir chooses; on another segment without any named, it chooses.
    binding: {} for a namespace of its own. instance: "" for nobody's. driver: of a VF.
    """

    policy: str | None = None
    segment: str | None = None
    addresses: tuple[str, ...] | None = None
    labels: Mapping[str, str | None] = field(default_factory=dict)
    egress: Own | None = None
    ingress: Own | None = None
    binding: Mapping[str, str] | None = None
    driver: str | None = None
    instance: str | None = None
    ifname: str | None = None
    options: Mapping[str, str | None] = field(default_factory=dict)


def redraft(
    names: Collection[str], change: VifChange, snapshot: Snapshot, policies: PolicySet
) -> list[VirtualInterface]:
    """The VIFs as they shall be: those that differ from what they are. `policies`: those of the snapshot, parsed.

    Raises Rejected with everything that stands against it; what was wrong before does not.
    """
    lines = [unknown(name, snapshot) for name in sorted(set(names)) if name not in snapshot.interfaces]
    if lines:
        raise Rejected(lines)
    before = [snapshot.interfaces[name] for name in sorted(set(names))]
    desk, faults = Desk(snapshot, policies, "", leaving=set(names)), list[Fault]()
    requests = [(request_of(vif, change), vif) for vif in before]
    for request, vif in sorted(requests, key=lambda both: desk.has_choice(*both)):
        known = set(complaints(request_of(vif, VifChange()), policies, snapshot))
        found = [text for text in complaints(request, policies, snapshot) if text not in known]
        found += [*idle(vif.kind, change.options, change.driver), *fixed(vif.kind, vif.options, request.options)]
        found += desk.collisions(request)
        if not found:
            try:
                desk.add(request, vif)
            except BadAddress as fault:
                found.append(str(fault))
        faults += [(vif.name, text) for text in found]
    lines = said(faults) or _broken(desk.vifs, snapshot, policies)
    if lines:
        raise Rejected(lines)
    return [vif for vif in desk.vifs if vif != snapshot.interfaces[vif.name]]


def request_of(vif: VirtualInterface, change: VifChange) -> VifRequest:
    """The VIF as changed, as if it were asked for anew."""
    addresses = change.addresses
    if addresses is None:
        addresses = () if _moves(vif, change) else vif.addresses
    instance = vif.instance if change.instance is None else change.instance or None
    binding = _binding(vif, change)
    return VifRequest(
        name=vif.name,
        policy=_or(change.policy, vif.policy),
        segment=_or(change.segment, vif.segment),
        kind=vif.kind,
        binding=binding,
        instance=instance,
        ifname=_ifname(vif, change, binding),
        mac=vif.mac,
        addresses=addresses,
        labels=_merged(vif.labels, change.labels),
        chassis=vif.chassis,
        egress=own_of(vif.egress) if change.egress is None else change.egress,
        ingress=own_of(vif.ingress) if change.ingress is None else change.ingress,
        options=canonical(_merged(vif.options, change.options)),
    )


def touches_device(before: VirtualInterface, after: VirtualInterface) -> bool:
    """Whether the agent has something to make or move for it, and not only numbers to set."""
    made = ("segment", "addresses", "binding", "ifname", "options")
    return any(getattr(before, column) != getattr(after, column) for column in made)


def unknown(name: str, snapshot: Snapshot) -> str:
    meant = nearest(name, snapshot.interfaces)
    remedy = f"Did you mean '{meant}'?" if meant else "See weir vif list."
    return f"VIF {quoted(name)}: there is none of this name. {remedy}"


def _or(new: str | None, old: str) -> str:
    return old if new is None else new


def _moves(vif: VirtualInterface, change: VifChange) -> bool:
    return change.segment is not None and change.segment != vif.segment


def _merged(old: Mapping[str, str], new: Mapping[str, str | None]) -> dict[str, str]:
    return {key: value for key, value in {**old, **new}.items() if value is not None}


def _binding(vif: VirtualInterface, change: VifChange) -> dict[str, str]:
    binding = dict(vif.binding)
    if change.binding is not None:
        binding = {**({PCI: VFIO} if PCI in binding else {}), **change.binding}
    if change.driver == NETDEV:
        binding.pop(PCI, None)
    elif change.driver == VFIO_PCI:
        kept = change.binding or {}  # a place that the instance's end leaves is not one that it is asked to be in
        binding = {**{key: value for key, value in binding.items() if key not in PLACES}, **kept, PCI: VFIO}
    return binding


def _ifname(vif: VirtualInterface, change: VifChange, binding: Mapping[str, str]) -> str:
    """A VF that becomes a PCI device has no link any more that could keep its name."""
    if change.ifname is None and change.driver == VFIO_PCI and not has_link_inside(vif.kind, binding):
        return DEFAULT_IFNAME
    return _or(change.ifname, vif.ifname)


def _broken(changed: Sequence[VirtualInterface], snapshot: Snapshot, policies: PolicySet) -> list[str]:
    present = snapshot.interfaces
    after = {**present, **{vif.name: vif for vif in changed}}
    before, then = ([member(vif, policies) for vif in vifs.values()] for vifs in (present, after))
    return [str(breach) for breach in broken_promises(policies, before, then, snapshot)]


def undone(vif: VirtualInterface, before: VirtualInterface) -> VirtualInterface:
    """What it was, with the status that it has."""
    return replace(
        before,
        cfg=vif.cfg,
        state=vif.state,
        error=vif.error,
        port_name=vif.port_name,
        ofport=vif.ofport,
        details=vif.details,
        learned=vif.learned,
        scaled=vif.scaled,
        chassis=vif.chassis,
    )
