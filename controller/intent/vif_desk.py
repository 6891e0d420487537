"""What is taken so far: by the VIFs there are, and by those drafted. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection
from dataclasses import replace
from ipaddress import ip_interface

from controller.compiler.limits import MOST_IN_SEGMENT
from controller.dataplane.macs import vif_mac
from controller.intent.addresses import AddressBook, BadAddress, gateways, vif_words
from controller.intent.kind_options import DEVICE, INDEX, MADE_HERE, PCI, PLACES, canonical
from controller.intent.numbering import VIF, NoNumberLeft, next_free, number_after
from controller.intent.vif_checks import VifRequest, canonical_mac, segment_of
from ovsdb.rows import Snapshot, VirtualInterface
from policies.model import PolicySet, Segment
from policies.own_numbers import columns_of


class Desk:
    """leaving: names of VIFs that are drafted anew; what they have is theirs to take again."""

    def __init__(self, snapshot: Snapshot, policies: PolicySet, system_id: str, leaving: Collection[str] = ()) -> None:
        staying = [vif for name, vif in snapshot.interfaces.items() if name not in leaving]
        self.vifs: list[VirtualInterface] = []
        self.next_number = snapshot.next_number.get(VIF, 1)
        self._policies, self._hosts, self._system_id = policies, list(snapshot.chassis), system_id
        self._names = {vif.name for vif in staying}
        self._numbers = {vif.number for vif in snapshot.interfaces.values()}
        self._members = Counter((vif.chassis, vif.segment) for vif in staying)
        self._macs = {vif.mac: vif.name for vif in staying}
        self._links = {link: vif.name for vif in staying if (link := _link(vif.chassis, vif)) is not None}
        self._functions = {vf: vif.name for vif in staying if (vf := _function(vif.chassis, vif)) is not None}
        taken = [
            (vif.segment, address, vif_words(vif.name)) for vif in staying for address in (*vif.addresses, *vif.learned)
        ]
        self._addresses = AddressBook([*gateways(policies.segments.values()), *taken])

    def collisions(self, request: VifRequest) -> list[str]:
        found, chassis = [], self._chassis(request)
        if request.name in self._names:
            found.append("there is a VIF of this name already. Choose another name, or delete it first.")
        owner = self._macs.get(canonical_mac(request.mac)) if request.mac else None
        if owner is not None:
            found.append(f"MAC {request.mac} is that of VIF '{owner}'. Choose another, or leave it out.")
        link, function = _link(chassis, request), _function(chassis, request)
        neighbour = self._links.get(link) if link is not None else None
        if neighbour is not None:
            found.append(
                f"VIF '{neighbour}' has the name {request.ifname} there already. Choose another with --ifname."
            )
        holder = self._functions.get(function) if function is not None else None
        if holder is not None:
            found.append(
                f"VF {request.options[INDEX]} of {request.options[DEVICE]} is that of VIF '{holder}'. Choose another, "
                "or leave out --vf for a free one."
            )
        return found

    def add(self, request: VifRequest, before: VirtualInterface | None = None) -> None:
        """before: the VIF that is drafted anew: number, MAC and host stay, and addresses that may.

        Raises BadAddress; then nothing is taken but, perhaps, addresses.
        """
        segment = segment_of(request, self._policies)
        assert segment is not None  # else there were complaints
        addresses = self._addresses_of(request, segment, before)
        place = (self._chassis(request), segment.name)
        if self._members[place] >= MOST_IN_SEGMENT:
            raise BadAddress(
                f"segment '{segment.name}' has {MOST_IN_SEGMENT} VIFs on this host, "
                "the most that a broadcast reaches. Use another segment or host."
            )
        number = before.number if before is not None else self._free_number()
        mac = canonical_mac(request.mac) if request.mac else vif_mac(self._system_id, number)
        vif = VirtualInterface(
            name=request.name,
            number=number,
            policy=request.policy,
            segment=segment.name,
            kind=request.kind,
            mac=mac,
            addresses=tuple(sorted(addresses)),
            chassis=self._chassis(request),
            instance=request.instance,
            binding=dict(request.binding),
            ifname=request.ifname,
            labels=dict(request.labels),
            egress=columns_of(request.egress),
            ingress=columns_of(request.ingress),
            options=canonical(request.options),
        )
        self._take(vif if before is None else _with_status(vif, before))

    def has_choice(self, request: VifRequest, before: VirtualInterface) -> bool:
        """Whether addresses are chosen for it: whoever has its own already, or names them, comes first."""
        segment = segment_of(request, self._policies)
        return not request.addresses and (segment is None or not _is_one_of_each(before, segment))

    def _addresses_of(self, request: VifRequest, segment: Segment, before: VirtualInterface | None) -> list[str]:
        asked = request.addresses
        if not asked and before is not None and _is_one_of_each(before, segment):
            asked = before.addresses  # as good as any other choice
        if asked:
            return [self._addresses.claim(segment, text, request.name) for text in asked]
        return self._addresses.assign(segment, request.name)

    def _free_number(self) -> int:
        try:
            number = next_free(VIF, self.next_number, self._is_taken)
        except NoNumberLeft as fault:
            raise BadAddress(str(fault)) from fault
        self.next_number = number_after(VIF, number)
        return number

    def _take(self, vif: VirtualInterface) -> None:
        self.vifs.append(vif)
        self._names.add(vif.name)
        self._numbers.add(vif.number)
        self._members[vif.chassis, vif.segment] += 1
        self._macs[vif.mac] = vif.name
        link, function = _link(vif.chassis, vif), _function(vif.chassis, vif)
        if link is not None:
            self._links[link] = vif.name
        if function is not None:
            self._functions[function] = vif.name

    def _chassis(self, request: VifRequest) -> str | None:
        """What is made is on the only host there is; a port on whichever host turns out to have it."""
        if request.chassis is None and request.kind in MADE_HERE and len(self._hosts) == 1:
            return self._hosts[0]
        return request.chassis

    def _is_taken(self, number: int) -> bool:
        return number in self._numbers or vif_mac(self._system_id, number) in self._macs


def _with_status(vif: VirtualInterface, before: VirtualInterface) -> VirtualInterface:
    return replace(
        vif,
        cfg=before.cfg,
        state=before.state,
        error=before.error,
        port_name=before.port_name,
        ofport=before.ofport,
        details=before.details,
        learned=before.learned,
        scaled=before.scaled,
    )


def _is_one_of_each(vif: VirtualInterface, segment: Segment) -> bool:
    """Whether it has what it would be given on the segment."""
    networks = sorted(str(ip_interface(address).network) for address in vif.addresses)
    return bool(networks) and networks == sorted(map(str, segment.subnets))


def _link(chassis: str | None, vif: VirtualInterface | VifRequest) -> tuple[str | None, str, str] | None:
    """Where an interface is, as far as its binding tells, and its name there; None: in no place that others share."""
    place = ",".join(f"{key}={vif.binding[key]}" for key in PLACES if key in vif.binding)
    return (chassis, place, vif.ifname) if place and PCI not in vif.binding else None


def _function(chassis: str | None, vif: VirtualInterface | VifRequest) -> tuple[str | None, str, str] | None:
    """The VF that it was told to take."""
    options = canonical(vif.options)
    return (chassis, options[DEVICE], options[INDEX]) if {DEVICE, INDEX} <= options.keys() else None
