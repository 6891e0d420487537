"""All veth VIFs of this host: each made and kept right on its own, and what no VIF wants any more removed."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from controller.host import host_ends, namespace
from controller.host.attempts import Attempts
from controller.host.binding import Binder
from controller.host.errors import HostError
from controller.host.instance_end import InstanceEnd
from controller.host.instance_network import InstanceNetwork, instance_network
from controller.host.kinds import veth
from controller.host.kinds.kind import Made, PassView
from controller.host.link_codec import Link
from controller.host.link_table import LinkTable
from controller.host.namespace import Identity
from controller.host.settings import AgentConfig
from controller.stream.messages import Repair
from ovsdb.rows import VirtualInterface
from ovsdb.switch import PortConfig

LINKS = "links"
MOST_TOLD = 3  # of the changes that a repair took
AUDIT_S = 10.0  # inside the instances' namespaces; with more than 200 VIFs each has its turn later

log = logging.getLogger("weir.agent")


@dataclass(frozen=True, slots=True)
class Place:
    """Where an instance's end is, and what it is called there."""

    namespace: Path
    ifname: str


class Veths:
    """All VIFs of kind veth."""

    def __init__(
        self, config: AgentConfig, links: LinkTable, binder: Binder, on_repair: Callable[[Repair], None]
    ) -> None:
        self._config, self._links, self._binder, self._on_repair = config, links, binder, on_repair
        self._attempts: Attempts[object] = Attempts("VIF", AUDIT_S, on_repair=self._repaired)
        # by VIF name: where the instance's end was made, for which binding, and the index of the host's end
        self._places: dict[str, Place] = {}
        self._bindings: dict[str, Mapping[str, str]] = {}
        self._ends: dict[str, int] = {}
        self._vifs: dict[str, VirtualInterface] = {}
        self._stood: dict[str, tuple[int, Identity | None]] = {}  # VIF number, and the namespace itself

    def concerns(self, vif: VirtualInterface) -> bool:
        return vif.kind == "veth" and vif.chassis == self._config.chassis

    def converge(self, wanted: Sequence[VirtualInterface], view: PassView) -> Mapping[str, Made]:
        """Raises HostError when the agent's own namespace cannot be read."""
        present = self._links.links()
        self._vifs = {vif.name: vif for vif in wanted}
        return {vif.name: self._made(vif, present, view) for vif in wanted}

    def sweep(self, wanted: Sequence[VirtualInterface], view: PassView) -> None:
        names = {veth.host_end(vif.number): vif.name for vif in wanted}
        for name in self._attempts.keep(set(names.values())):
            self._forget(name)
            self._stood.pop(name, None)
        host_ends.delete_surplus(self._config, self._links.links().values(), veth.PREFIX, names)

    def remove_all(self) -> None:
        host_ends.delete_surplus(self._config, self._links.links().values(), veth.PREFIX, {})

    def _made(self, vif: VirtualInterface, present: Mapping[str, Link], view: PassView) -> Made:
        name = veth.host_end(vif.number)
        fault = self._one(vif, present.get(name), name in view.held_open, view)
        place = self._places.get(vif.name)
        if place is None:
            return Made(fault=fault)
        port = PortConfig(name, iface_id=vif.name, noop_qos=True)
        details = {"place": str(place.namespace), "device": place.ifname}
        return Made(port, place.namespace, place.ifname, details=details, fault=fault)

    def _one(self, vif: VirtualInterface, host: Link | None, held_open: bool, view: PassView) -> str | None:
        if host is None:
            self._forget(vif.name)
        if host is None or (host.index, host.running) != (self._ends.get(vif.name), True):
            self._attempts.again(vif.name)
        network = instance_network(vif, view.policies)
        wanted = (
            vif.number, vif.ifname, vif.mac, vif.addresses, tuple(sorted(vif.binding.items())), network,
            self._binder.whereabouts(vif), host is None and held_open,
        )  # fmt: skip
        return self._attempts.attempt(vif.name, wanted, lambda: self._ensure(vif, network, held_open), view.now_s)

    def _ensure(self, vif: VirtualInterface, network: InstanceNetwork, held_open: bool) -> list[str]:
        """Returns what of an interface that had been made was changed, in words."""
        try:
            place = self._binder.place(vif)
        except HostError:
            if self._bindings.get(vif.name, vif.binding) == vif.binding:
                self._forget(vif.name)
                veth.remove(vif.number)  # its other end is gone, or in a namespace that is not the instance's
            raise  # where it was told to move, it stays where it was until it can
        end = InstanceEnd(
            number=vif.number,
            ifname=vif.ifname,
            mac=vif.mac,
            addresses=vif.addresses,
            mark=self._config.mark(vif.name),
            network=network,
            plain_frames=self._config.plain_frames,
        )
        done: list[str] = []
        self._ends[vif.name] = veth.ensure(veth.VethSpec(end, place, self._before(vif), held_open), done)
        self._places[vif.name] = Place(place, vif.ifname)
        self._bindings[vif.name] = vif.binding
        before, stands = self._stood.get(vif.name), (vif.number, namespace.identity(place))
        self._stood[vif.name] = stands
        if veth.MADE not in done:
            return done
        if before == stands:  # else it is new, or its namespace is
            self._tell(vif, "was gone", "made again")
        return []

    def _repaired(self, name: str, done: object) -> None:
        assert isinstance(done, list)
        if name in self._vifs:
            more = [f"and {len(done) - MOST_TOLD} more"] if len(done) > MOST_TOLD else []
            self._tell(self._vifs[name], "not as made", "; ".join(done[:MOST_TOLD] + more))

    def _tell(self, vif: VirtualInterface, differed: str, done: str) -> None:
        what = f"interface {vif.ifname} of VIF {vif.number}"
        self._on_repair(Repair(time.time(), LINKS, what, differed, done, (vif.number,)))

    def _before(self, vif: VirtualInterface) -> tuple[Path, ...]:
        """Where this agent, or the one before it, made the instance's end."""
        known, reported = self._places.get(vif.name), vif.details.get("place")
        found = [known.namespace] if known else []
        return (*found, Path(reported)) if reported else tuple(found)

    def _forget(self, name: str) -> None:
        for memory in (self._places, self._ends, self._bindings):
            memory.pop(name, None)
