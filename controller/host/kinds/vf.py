"""Kind vf: a virtual function of a NIC, handed over as a network device or as a PCI device bound to vfio-pci.

On the bridge its representor stands for it. A VF is recorded (`sriov.ledger`) before anything is done to it, and is
made what it was before the record goes: whoever is interrupted leaves what the next one completes or gives back.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

from controller.host import instance_end, links, offloads
from controller.host.attempts import Attempts
from controller.host.binding import Binder
from controller.host.errors import HostError
from controller.host.instance_end import InstanceEnd
from controller.host.instance_network import instance_network
from controller.host.kinds.kind import Made, PassView
from controller.host.link_table import LinkTable
from controller.host.settings import AgentConfig
from controller.host.sriov import drivers, lending, tree, vf_devices, vf_wish
from controller.host.sriov.choice import Chosen, InUse, choose
from controller.host.sriov.functions import Inventory, NetDevice, asked_for, representor
from controller.host.sriov.ledger import Ledger, Taken, boot_id
from controller.host.sriov.vf_devices import NotYet, Renewal
from ovsdb.rows import VirtualInterface
from ovsdb.switch import PortConfig

AUDIT_S = 10.0
_OFFLOADED = "hw-tc-offload"  # the device hands flows, and so their packets, to the NIC


class VirtualFunctions:
    """All VIFs of kind vf. root: sysfs; None: that of the agent's network namespace."""

    def __init__(self, config: AgentConfig, links: LinkTable, binder: Binder, root: Path | None = None) -> None:
        self._config, self._links, self._binder, self._given_root = config, links, binder, root
        self._ledger = Ledger(config.state.db / f"virtual-functions.{config.chassis}.json")
        self._attempts: Attempts[object] = Attempts("VIF", AUDIT_S)
        self._returns: Attempts[Taken] = Attempts("virtual function of", AUDIT_S)
        self._made: dict[str, Made] = {}  # as far as the last attempt came
        self._refused: dict[str, tuple[object, dict[str, str]]] = {}  # by NICs, what, and which words
        self._seen: Inventory | None = None  # in this pass
        self._renewal = Renewal()
        self._waiting: dict[str, str] = {}  # VIF name -> for what; a VIF that is gone waits to give back

    def concerns(self, vif: VirtualInterface) -> bool:
        return vif.kind == "vf" and vif.chassis == self._config.chassis

    def converge(self, wanted: Sequence[VirtualInterface], view: PassView) -> Mapping[str, Made]:
        """Raises HostError when the agent's own namespace, or the record of what is taken, cannot be read."""
        self._seen = None
        if wanted:
            self._ledger.taken()
        return {vif.name: self._one(vif, view) for vif in wanted}

    def sweep(self, wanted: Sequence[VirtualInterface], view: PassView) -> None:
        names = {vif.name for vif in wanted}
        for name in self._attempts.keep(names):
            self._made.pop(name, None)
            self._refused.pop(name, None)
            self._waiting.pop(name, None)
        self._seen = None
        taken = [one for one in self._ledger.taken().values() if one.vif not in names]
        faults = []
        for one in taken:
            if one.vif in self._waiting:
                self._returns.again(one.vif)
            action = partial(self._or_wait, one.vif, partial(self._return, one))
            faults.append(self._returns.attempt(one.vif, one, action, view.now_s))
        self._returns.keep({one.vif for one in taken})
        _raise_all([fault for fault in faults if fault is not None])

    def remove_all(self) -> None:
        faults = []
        self._renewal = Renewal(waits=True)  # no pass comes after this
        for taken in list(self._ledger.taken().values()):
            try:
                self._return(taken)
            except HostError as fault:
                faults.append(str(fault))
        _raise_all(faults)

    @property
    def _root(self) -> Path:
        if self._given_root is None:
            self._given_root = tree.own_root()
        return self._given_root

    def _inventory(self) -> Inventory:
        if self._seen is None:
            self._seen = tree.read(self._root)
        return self._seen

    def _one(self, vif: VirtualInterface, view: PassView) -> Made:
        present, made = self._links.links(), self._made.get(vif.name, Made())
        port = present.get(made.port.name) if made.port else None
        nic = present.get(made.details.get("vf", "").partition("/")[0])
        wanted = (
            vif.ifname, vif.mac, vif.addresses, tuple(sorted(vif.options.items())), tuple(sorted(vif.binding.items())),
            self._binder.whereabouts(vif), vf_wish.rates(vif, view.policies), instance_network(vif, view.policies),
            vf_wish.may_be_bare(vif, view.policies), view.offloads, port and (port.index, port.up),
            nic and (nic.index, nic.running),
        )  # fmt: skip
        if vif.name in self._waiting:
            self._attempts.again(vif.name)
        action = partial(self._or_wait, vif.name, partial(self._ensure, vif, view))
        fault = self._attempts.attempt(vif.name, wanted, action, view.now_s)
        return replace(self._made.get(vif.name, Made()), fault=fault, waiting=self._waiting.get(vif.name))

    def _or_wait(self, name: str, action: Callable[[], None]) -> None:
        """What takes a moment is done with the next passes. Raises HostError."""
        self._waiting.pop(name, None)
        try:
            action()
        except NotYet as reason:
            self._waiting[name] = str(reason)

    def _ensure(self, vif: VirtualInterface, view: PassView) -> None:
        self._made.pop(vif.name, None)
        self._seen = None
        vf_wish.check(vif, view.policies)
        taken, chosen = self._taken(vif, view)
        port = self._port(vif, chosen)
        made = self._bridged(vif, chosen, port, view)
        self._made[vif.name] = made
        notes = self._tell_nic(vif, chosen, view)
        made = self._made[vif.name] = replace(made, details={**made.details, **notes})
        if "pci" in vif.binding:
            group = drivers.to_vfio(self._root, _address(chosen))
            self._made[vif.name] = replace(made, details={**made.details, "iommu_group": group})
        else:
            self._hand_over_device(vif, view, taken, chosen)

    def _taken(self, vif: VirtualInterface, view: PassView) -> tuple[Taken, Chosen]:
        """The VF that the VIF has; a new one, recorded, in place of none or of one that is not asked for any more."""
        wish, inventory = vf_wish.wish(vif), self._inventory()
        candidates = asked_for(inventory, wish.device)
        taken = self._ledger.taken().get(vif.name)
        if taken is not None:
            physical = next((one for one in candidates if one.address == taken.physical), None)
            function = physical.function(taken.index) if physical else None
            if physical and function and wish.index in (None, taken.index):
                chosen = Chosen(physical, function)
                if taken.boot == boot_id():
                    return taken, chosen
                port = self._port(vif, chosen)
                return lending.take(self._ledger, vif.name, chosen, inventory, port), chosen
            self._return(taken)
            self._seen = None
        used = InUse(
            taken={one.key: one.vif for one in self._ledger.taken().values()},
            addressed=vf_devices.addressed(name for one in candidates for vf in one.functions for name in vf.devices),
            ports=view.ports,
        )
        chosen = choose(self._inventory(), candidates, wish, used)
        port = self._port(vif, chosen)
        return lending.take(self._ledger, vif.name, chosen, self._inventory(), port), chosen

    def _port(self, vif: VirtualInterface, chosen: Chosen) -> NetDevice | None:
        """Its representor; None: it is used without."""
        if not vf_wish.wish(vif).needs_representor:
            return None
        return representor(self._inventory(), chosen.physical, chosen.function.index)

    def _bridged(self, vif: VirtualInterface, chosen: Chosen, port: NetDevice | None, view: PassView) -> Made:
        details = {"vf": f"{chosen.physical.text}/{chosen.function.index}"}
        if chosen.function.address is not None:
            details["pci"] = chosen.function.address
        if port is None:
            return Made(is_off_bridge=True, details={**details, "note": vf_wish.OUT_OF_REACH})
        if self._config.plain_frames:
            offloads.disable(port.name, offloads.RECEIVED)  # frames that the device has merged would be lost whole
        with links.netlink(None) as socket:
            if (link := links.find(socket, port.name)) is not None:
                links.set_up(socket, link)
        in_nic = not self._config.plain_frames and leaves_to_nic(port.name, view)
        config = PortConfig(
            port.name, iface_id=vif.name, noop_qos=not in_nic, mtu_request=instance_network(vif, view.policies).mtu
        )
        refusal = HostError(
            f"representor {port.name} leaves packets to the NIC, where no queue of the host holds them to a limit",
            "Run: ovs-vsctl set Open_vSwitch . other_config:hw-offload=false, and restart Open vSwitch. "
            "Or use a policy without ingress limit",
        )
        return Made(
            config,
            has_queues=not in_nic,
            no_ingress_limit=str(refusal) if in_nic else None,
            details={**details, "representor": port.name},
        )

    def _tell_nic(self, vif: VirtualInterface, chosen: Chosen, view: PassView) -> dict[str, str]:
        """Returns what became of the rates, as details. Raises HostError for a setting that was asked for in vain.

        What the NIC has refused is not asked again while nothing changes: some drivers log every time.
        """
        physical, index = chosen.physical, chosen.function.index
        present = lending.read_settings(physical, index)
        wanted = vf_wish.settings(vif, view.policies, present)
        link = self._links.links().get(physical.device or "")
        asked = wanted, physical.address, index, link and link.running
        before, refused = self._refused.get(vif.name, (None, {}))
        if before != asked:
            refused = {}
        refused = refused | lending.write_settings(physical, index, vf_wish.without(wanted, refused, present))
        self._refused[vif.name] = asked, refused
        return vf_wish.notes(vif, chosen, wanted, refused)

    def _hand_over_device(self, vif: VirtualInterface, view: PassView, taken: Taken, chosen: Chosen) -> None:
        """Moves the VF's network device into the instance's namespace, and makes it what the VIF is."""
        address = _address(chosen)
        try:
            place = self._binder.place(vif)
        except HostError:
            lending.fetch_home(
                self._root, chosen.function, taken, self._renewal
            )  # out of one that is not the instance's any more
            raise
        if chosen.function.driver == drivers.VFIO:
            drivers.from_vfio(self._root, address, former="any")
        places = (place, None, *([Path(taken.place)] if taken.place else []))
        found = self._renewal.device(self._root, address, places)
        if found.place != place:
            self._ledger.put(replace(taken, place=str(place)))
            if found.place is None:
                found = self._renewal.with_mac(self._root, address, found, vif.mac)
            vf_devices.move(found, place, vif.ifname)
        elif found.link.name != vif.ifname:
            vf_devices.rename(found, vif.ifname)
        end = InstanceEnd(
            number=vif.number,
            ifname=vif.ifname,
            mac=vif.mac,
            addresses=vif.addresses,
            mark=self._config.mark(vif.name),
            network=instance_network(vif, view.policies),
            plain_frames=False,  # the NIC cuts and sums what the VF's driver leaves to it
        )
        with links.netlink(place) as socket:
            if (link := links.find(socket, vif.ifname)) is None:
                raise HostError(f"interface {vif.ifname} vanished from {place}", "The agent looks for it again")
            instance_end.configure(socket, link, end)
        made = self._made[vif.name]
        details = {**made.details, "place": str(place), "device": vif.ifname}
        self._made[vif.name] = replace(made, place=place, device=vif.ifname, details=details)

    def _return(self, taken: Taken) -> None:
        lending.give_back(self._root, self._inventory(), taken, self._renewal)
        self._ledger.drop(taken.vif)


def leaves_to_nic(device: str, view: PassView) -> bool:
    """Whether what the representor passes may be passed by the NIC alone: Open vSwitch asks for it, the device can."""
    return view.offloads and offloads.is_active(device, _OFFLOADED)


def _address(chosen: Chosen) -> str:
    """Raises HostError when there is nothing to hand over."""
    if chosen.function.address is None:
        raise HostError(
            f"VF {chosen.function.index} of {chosen.physical.text} is no PCI device: its representor is all there is",
            "Use a NIC for instances; this one is simulated",
        )
    return chosen.function.address


def _raise_all(faults: Sequence[str]) -> None:
    if faults:
        raise HostError(" ".join(faults).rstrip("."), "The agent tries again by itself")
