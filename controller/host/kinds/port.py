"""Kind port: an interface that somebody else made and marked with external_ids:iface-id. Pure."""

from __future__ import annotations

from collections.abc import Mapping

from controller.host.errors import HostError
from ovsdb.rows import Snapshot, VirtualInterface
from ovsdb.switch import PortStatus

_WITHOUT_QUEUES = ("internal", "patch", "dummy", "tap")


class Waiting(HostError):
    """Nothing is wrong; somebody else has to act first."""


def concerns(vif: VirtualInterface, chassis: str) -> bool:
    """Whether this chassis may have, or find, the VIF's port: unless another one has claimed it."""
    return vif.kind == "port" and vif.chassis in (None, chassis)


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


def check_ingress_limit(port: PortStatus) -> None:
    """Raises HostError when the device has no queue on its way to the instance."""
    if port.type in _WITHOUT_QUEUES:
        raise HostError(
            f"port {port.name} is of type {port.type}, which has no queue to hold an ingress limit",
            "Use a veth or a network card for it, or a policy without ingress limit",
        )
