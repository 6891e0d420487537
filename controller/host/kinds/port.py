"""Kind port: an interface that somebody else made and marked with external_ids:iface-id."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from controller.host.errors import HostError
from controller.host.kinds.kind import Made, PassView
from controller.host.settings import AgentConfig
from ovsdb.rows import Snapshot, VirtualInterface
from ovsdb.switch import PortConfig, PortStatus

_WITHOUT_QUEUES = ("internal", "patch", "dummy", "tap")


class Waiting(HostError):
    """Nothing is wrong; somebody else has to act first."""


class Ports:
    """All VIFs of kind port that this host has, or may find."""

    def __init__(self, config: AgentConfig) -> None:
        self._config = config

    def concerns(self, vif: VirtualInterface) -> bool:
        """Unless another chassis has claimed it."""
        return vif.kind == "port" and vif.chassis in (None, self._config.chassis)

    def converge(self, wanted: Sequence[VirtualInterface], view: PassView) -> Mapping[str, Made]:
        return {vif.name: self._adopt(vif, view) for vif in wanted}

    def sweep(self, wanted: Sequence[VirtualInterface], view: PassView) -> None:
        """Nothing was made."""

    def remove_all(self) -> None:
        """Nothing was made."""

    def _adopt(self, vif: VirtualInterface, view: PassView) -> Made:
        try:
            found = find(vif, view.ports, self._config.owner, view.snapshot)
        except Waiting as reason:
            return Made(waiting=str(reason))
        except HostError as fault:
            return Made(fault=str(fault))
        return adopted(found)


def find(vif: VirtualInterface, ports: Mapping[str, PortStatus], owner: str, snapshot: Snapshot) -> PortStatus:
    """The port of this bridge that is marked as the VIF's and was not made by `owner`.

    Raises Waiting while there is none, HostError when there are several.
    """
    marked = [port for port in ports.values() if port.iface_id == vif.name and port.owner != owner]
    if not marked:
        bridges = sorted({row.bridge for row in snapshot.chassis.values() if vif.chassis in (None, row.name)})
        raise Waiting(
            f"waiting for a port with external_ids:iface-id={vif.name} on bridge {' or '.join(bridges)}",
            f"Mark it: ovs-vsctl set interface PORT external_ids:iface-id={vif.name}",
        )
    if len(marked) > 1:
        raise HostError(
            f"ports {', '.join(port.name for port in marked)} all carry external_ids:iface-id={vif.name}",
            "Leave it on one of them: ovs-vsctl remove interface PORT external_ids iface-id",
        )
    return marked[0]


def adopted(port: PortStatus) -> Made:
    """A port that somebody else made and puts on the bridge: of it the queues alone are ours."""
    has_queues = port.type not in _WITHOUT_QUEUES
    refusal = HostError(
        f"port {port.name} is of type {port.type}, which has no queue to hold an ingress limit",
        "Use a veth or a network card for it, or a policy without ingress limit",
    )
    return Made(
        PortConfig(port.name, create=False),
        has_queues=has_queues,
        no_ingress_limit=None if has_queues else str(refusal),
    )
