"""Kind tap: a persistent tap device `wt<number>`, which a VM's process attaches to as often as it likes.

The VM may be there or not, come back or be another one: the device, its port and its queues stay. Every step looks
first and does what is missing.

A guest that leaves checksums and segmentation to its network card leaves them to whoever reads the device: the one
place where that is switched off is the VM's process (QEMU: vnet_hdr=off), and it is told so.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from controller.host import desired, host_ends, links, namespace, tun
from controller.host.attempts import Attempts
from controller.host.errors import HostError
from controller.host.kinds.kind import Made, PassView
from controller.host.link_codec import Link
from controller.host.link_table import LinkTable
from controller.host.links import GROUP, Mark
from controller.host.settings import AgentConfig
from ovsdb.rows import VirtualInterface
from ovsdb.switch import PortConfig

AUDIT_S = 10.0
PREFIX = "wt"
_OWN = Path("/proc/self/ns/net")


@dataclass(frozen=True, slots=True)
class TapSpec:
    """What the device shall be. owner: a user id. held_open: vswitchd has, or may still have, one of this name open."""

    name: str
    mark: Mark
    owner: int
    multi_queue: bool
    mtu: int
    held_open: bool


class Taps:
    """All VIFs of kind tap."""

    def __init__(self, config: AgentConfig, links: LinkTable) -> None:
        self._config, self._links = config, links
        self._attempts: Attempts[object] = Attempts("VIF", AUDIT_S)
        self._made: dict[str, int] = {}  # VIF name -> index of the device as it was made or found right

    def concerns(self, vif: VirtualInterface) -> bool:
        return vif.kind == "tap" and vif.chassis == self._config.chassis

    def converge(self, wanted: Sequence[VirtualInterface], view: PassView) -> Mapping[str, Made]:
        """Raises HostError when the agent's own namespace cannot be read."""
        present, place = self._links.links(), _own_namespace(self._config)
        return {vif.name: self._one(vif, present.get(device(vif)), view, place) for vif in wanted}

    def sweep(self, wanted: Sequence[VirtualInterface], view: PassView) -> None:
        for name in self._attempts.keep({vif.name for vif in wanted}):
            self._made.pop(name, None)
        names = {device(vif): vif.name for vif in wanted}
        host_ends.delete_surplus(self._config, self._links.links().values(), PREFIX, names)

    def remove_all(self) -> None:
        host_ends.delete_surplus(self._config, self._links.links().values(), PREFIX, {})

    def _one(self, vif: VirtualInterface, found: Link | None, view: PassView, place: Mapping[str, str]) -> Made:
        if found is None:
            self._made.pop(vif.name, None)
        if found is None or not found.up or found.index != self._made.get(vif.name):
            self._attempts.again(vif.name)
        queues = int(vif.options.get("queues", "1"))
        spec = TapSpec(
            name=device(vif),
            mark=self._config.mark(vif.name),
            owner=int(vif.options.get("owner", "0")),
            multi_queue=queues > 1,
            mtu=desired.mtu(vif, view.policies),
            held_open=found is None and device(vif) in view.held_open,
        )
        fault = self._attempts.attempt(vif.name, spec, lambda: self._ensure(vif.name, spec), view.now_s)
        if vif.name not in self._made:
            return Made(fault=fault)
        details = {"device": spec.name, "queues": str(queues), **place}
        port = PortConfig(spec.name, iface_id=vif.name, noop_qos=True)
        return Made(port, details=details, fault=fault, note=tun.closed_to(spec.owner))

    def _ensure(self, vif_name: str, spec: TapSpec) -> None:
        self._made[vif_name] = ensure(spec)


def device(vif: VirtualInterface) -> str:
    """At most 7 characters of the 15 that a link's name may have."""
    return f"{PREFIX}{vif.number}"


def ensure(spec: TapSpec) -> int:
    """Makes the device, or puts right what differs. Returns its index. Raises HostError."""
    with links.netlink(None) as socket:
        found = links.find(socket, spec.name)
        if found is not None:
            host_ends.check_ours(found, spec.mark)
        if found is not None and not _is_as_wanted(socket, spec):
            links.delete(socket, spec.name)  # what was attached to it cannot go on: it has to attach again
            raise HostError(f"tap device {spec.name} was changed by somebody", "The agent makes it anew")
        if found is None:
            found = _create(socket, spec)
        links.set_mark(socket, found, spec.mark)
        links.set_mtu(socket, found, spec.mtu)
        host_ends.silence(spec.name)
        links.set_up(socket, found)
    return found.index


def _is_as_wanted(socket: links.Netlink, spec: TapSpec) -> bool:
    """What can be chosen only when a tap device is made."""
    state = tun.state(socket, spec.name)
    return state is not None and state.persistent and (state.owner, state.multi_queue) == (spec.owner, spec.multi_queue)


def _create(socket: links.Netlink, spec: TapSpec) -> Link:
    if spec.held_open:  # it would go on reading from the device that is gone, and never notice the new one
        raise HostError(
            f"tap device {spec.name} is gone and Open vSwitch has not let go of it yet",
            "It is made anew as soon as that is done",
        )
    with tun.new(spec.name, spec.owner, spec.multi_queue):
        made = links.find(socket, spec.name)
        if made is None:
            raise HostError(f"tap device {spec.name} vanished while it was made", "The agent tries again by itself")
        socket.link("set", index=made.index, group=GROUP, ifalias=str(spec.mark))
    return made


def _own_namespace(config: AgentConfig) -> dict[str, str]:
    """Where the devices are, for whoever starts a VM; nothing when that is the machine's own namespace."""
    named = namespace.named(config.system)
    return {"place": str(named)} if namespace.identity(named) == namespace.identity(_OWN) else {}
