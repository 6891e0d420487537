"""From requests to VIFs with number, MAC and addresses, or to everything that is wrong with them at once. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from controller.compiler.forward import MOST_IN_SEGMENT
from controller.intent.addresses import AddressBook, BadAddress
from controller.intent.errors import Rejected
from controller.intent.numbering import VIF, NoNumberLeft, next_free, number_after, vif_mac
from controller.intent.vif_checks import VifRequest, canonical_mac, complaints, segment_of
from ovsdb.rows import Snapshot, VirtualInterface
from policies.hierarchy import Member, admission
from policies.model import PolicySet
from policies.wording import quoted


@dataclass(frozen=True, slots=True)
class Draft:
    """next_number: of VIFs, after these."""

    vifs: tuple[VirtualInterface, ...]
    next_number: int


def draft(requests: Sequence[VifRequest], snapshot: Snapshot, policies: PolicySet, system_id: str) -> Draft:
    """`policies`: those of the snapshot, parsed. Raises Rejected with one line a fault, of all requests together."""
    desk = _Desk(snapshot, policies, system_id)
    lines = []
    for request in requests:
        faults = [*complaints(request, policies, snapshot), *desk.collisions(request)]
        if not faults:
            try:
                desk.add(request)
            except BadAddress as fault:
                faults.append(str(fault))
        lines += [f"VIF {quoted(request.name)}: {fault}" for fault in faults]
    if not lines:
        present = [member(vif, policies) for vif in snapshot.interfaces.values()]
        lines = broken_promises(policies, present, [*present, *(member(vif, policies) for vif in desk.vifs)])
    if lines:
        raise Rejected(lines)
    return Draft(tuple(desk.vifs), desk.next_number)


def member(vif: VirtualInterface, policies: PolicySet) -> Member:
    """The VIF as admission sees it."""
    segment = policies.segments.get(vif.segment)
    return Member(vif.number, vif.name, vif.policy, segment.uplink if segment else None, vif.chassis)


def broken_promises(policies: PolicySet, before: Sequence[Member], after: Sequence[Member]) -> list[str]:
    """What `after` would break that `before` does not break already."""
    known = set(admission(policies, before))
    return [line for line in admission(policies, after) if line not in known]


class _Desk:
    """What is taken so far: by the VIFs there are, and by those drafted."""

    def __init__(self, snapshot: Snapshot, policies: PolicySet, system_id: str) -> None:
        present = snapshot.interfaces.values()
        self.vifs: list[VirtualInterface] = []
        self.next_number = snapshot.next_number.get(VIF, 1)
        self._policies, self._hosts, self._system_id = policies, list(snapshot.chassis), system_id
        self._names = set(snapshot.interfaces)
        self._numbers = {vif.number for vif in present}
        self._members = Counter((vif.chassis, vif.segment) for vif in present)
        self._macs = {vif.mac: vif.name for vif in present}
        self._links = {_link(vif.chassis, vif): vif.name for vif in present if vif.binding}
        self._addresses = AddressBook((vif.segment, address, vif.name) for vif in present for address in vif.addresses)

    def collisions(self, request: VifRequest) -> list[str]:
        found = []
        if request.name in self._names:
            found.append("there is a VIF of this name already. Choose another name, or delete it first.")
        owner = self._macs.get(canonical_mac(request.mac)) if request.mac else None
        if owner is not None:
            found.append(f"MAC {request.mac} is that of VIF '{owner}'. Choose another, or leave it out.")
        neighbour = self._links.get(_link(self._chassis(request), request)) if request.binding else None
        if neighbour is not None:
            found.append(
                f"VIF '{neighbour}' has the name {request.ifname} there already. Choose another with --ifname."
            )
        return found

    def add(self, request: VifRequest) -> None:
        """Raises BadAddress; then nothing is taken but, perhaps, addresses."""
        segment = segment_of(request, self._policies)
        assert segment is not None  # else there were complaints
        if request.addresses:
            addresses = [self._addresses.claim(segment, text, request.name) for text in request.addresses]
        else:
            addresses = self._addresses.assign(segment, request.name)
        place = (self._chassis(request), segment.name)
        if self._members[place] >= MOST_IN_SEGMENT:
            raise BadAddress(
                f"segment '{segment.name}' has {MOST_IN_SEGMENT} VIFs on this host, "
                "the most that a broadcast reaches. Use another segment or host."
            )
        try:
            number = next_free(VIF, self.next_number, self._is_taken)
        except NoNumberLeft as fault:
            raise BadAddress(str(fault)) from fault
        vif = VirtualInterface(
            name=request.name,
            number=number,
            policy=request.policy,
            segment=segment.name,
            kind=request.kind,
            mac=canonical_mac(request.mac) if request.mac else vif_mac(self._system_id, number),
            addresses=tuple(sorted(addresses)),
            chassis=self._chassis(request),
            instance=request.instance,
            binding=request.binding,
            ifname=request.ifname,
            labels=request.labels,
        )
        self._take(vif)

    def _take(self, vif: VirtualInterface) -> None:
        self.vifs.append(vif)
        self.next_number = number_after(VIF, vif.number)
        self._names.add(vif.name)
        self._numbers.add(vif.number)
        self._members[vif.chassis, vif.segment] += 1
        self._macs[vif.mac] = vif.name
        if vif.binding:
            self._links[_link(vif.chassis, vif)] = vif.name

    def _chassis(self, request: VifRequest) -> str | None:
        """A veth is on the only host there is; a port on whichever host turns out to have it."""
        if request.chassis is None and request.kind == "veth" and len(self._hosts) == 1:
            return self._hosts[0]
        return request.chassis

    def _is_taken(self, number: int) -> bool:
        return number in self._numbers or vif_mac(self._system_id, number) in self._macs


def _link(chassis: str | None, vif: VirtualInterface | VifRequest) -> tuple[str | None, str, str]:
    """Where an interface is, as far as its binding tells, and its name there."""
    place = ",".join(f"{key}={vif.binding[key]}" for key in ("netns", "pid") if key in vif.binding)
    return chassis, place, vif.ifname
