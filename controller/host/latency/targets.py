"""Which VIFs of this host can be probed, by which frames, and in which classes. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_interface

from controller.dataplane.macs import mac_number
from controller.host.settings import uplink_of
from controller.host.wish import Wishes
from controller.host.wishes import HeldVif
from policies.classes import code_points, uses_classes
from policies.model import NORMAL, PolicySet, SegmentType
from policies.ways_out import outward_uplink

_LINUX_DEVICES = ("veth", "tap", "port")  # kinds whose port is a device of the kernel


@dataclass(frozen=True, slots=True)
class Target:
    """One VIF. mac: its own; sender_mac: of its frames on uplinks, the router's where it is behind one; 48 bits each.

    device: its port. leaves_by: devices of its uplink. uplinks: those of them that have queues. classes: name and code
    point of each class that its frames may wait in, best first. divides_port: whether the classes have queues of their
    own on the port. has_objectives: its policy says how long its frames may take.
    """

    vif: int
    device: str
    mac: int
    address: IPv4Address | IPv6Address
    leaves_by: tuple[str, ...] = ()
    uplinks: tuple[str, ...] = ()
    sender_mac: int = 0
    classes: tuple[tuple[str, int], ...] = ((NORMAL, 0),)
    divides_port: bool = False
    has_objectives: bool = False


def targets(
    held: Sequence[HeldVif], policies: PolicySet, wishes: Wishes, uplinks: Mapping[str, str], router_mac: int
) -> dict[int, Target]:
    """By VIF number. uplinks: name -> device, as of AgentConfig. router_mac: of this host's router outside."""
    found = dict[int, Target]()
    dividing = {path: uses_classes(policies, path) for path in {one.vif.policy for one in held}}
    points = code_points(policies) if any(dividing.values()) else {}
    for one in held:
        vif, node = one.vif, policies.nodes[one.vif.policy]
        texts = vif.addresses or vif.learned
        address = min((ip_interface(text).ip for text in texts), key=lambda ip: ip.version, default=None)
        if address is None or vif.kind not in _LINUX_DEVICES or not one.queues_on_port:
            continue
        segment, ingress = policies.segments.get(vif.segment), wishes.ingress.get(vif.number)
        is_routed = segment is not None and segment.type is SegmentType.ROUTED
        own = outward_uplink(policies, vif.segment)
        leaves_by = {name: device for name, device in uplinks.items() if uplink_of(name) == own}
        ways = tuple(
            device for name, device in leaves_by.items() if name in wishes.uplinks and wishes.uplinks[name].plan
        )
        divides_port = dividing[vif.policy] and ingress is not None and ingress.plan is not None
        found[vif.number] = Target(
            vif=vif.number,
            device=one.port,
            mac=mac_number(vif.mac),
            address=address,
            leaves_by=tuple(leaves_by.values()),
            uplinks=ways,
            sender_mac=router_mac if is_routed else mac_number(vif.mac),
            classes=tuple(points.items()) if dividing[vif.policy] and (divides_port or ways) else ((NORMAL, 0),),
            divides_port=divides_port,
            has_objectives=node.slo is not None,
        )
    return found
