"""Table classify: which VIF, or which segment's outside, a packet comes from."""

from __future__ import annotations

from collections.abc import Iterator

from controller.compiler.bridge import Bridge, BridgeSegment, BridgeVif
from controller.compiler.flow import Flow, flow, goto
from controller.dataplane.actions import PopVlan, SetField
from controller.dataplane.cookies import CookieKind
from controller.dataplane.pipeline import ANTISPOOF, CLASSIFY, FORWARD
from controller.dataplane.protocols import VLAN_PRESENT
from controller.dataplane.registers import SEGMENT, SOURCE_NODE, SOURCE_VIF

_UNTAGGED = 0


def flows(bridge: Bridge) -> Iterator[Flow]:
    """A frame with a tag, even one that says VLAN 0, matches only where an uplink's segment has that VLAN."""
    for vif in bridge.vifs:
        yield _from_vif(vif, bridge)
    for segment in bridge.used_segments().values():
        if segment.uplink_ofport is not None:
            yield _from_uplink(segment, segment.uplink_ofport)


def _from_vif(vif: BridgeVif, bridge: Bridge) -> Flow:
    known = (
        SetField(SOURCE_VIF, vif.number),
        SetField(SEGMENT, bridge.segments[vif.segment].number),
        SetField(SOURCE_NODE, bridge.node_numbers[vif.policy]),
    )
    fields = {"in_port": vif.ofport, "vlan_vid": _UNTAGGED}
    return flow(CLASSIFY, 100, {**fields}, (CookieKind.VIF, vif.number), goto(ANTISPOOF, *known))


def _from_uplink(segment: BridgeSegment, ofport: int) -> Flow:
    vlan = _UNTAGGED if segment.vlan is None else VLAN_PRESENT | segment.vlan
    untag = () if segment.vlan is None else (PopVlan(),)
    instructions = goto(FORWARD, *untag, SetField(SEGMENT, segment.number))
    fields = {"in_port": ofport, "vlan_vid": vlan}
    return flow(CLASSIFY, 100, {**fields}, (CookieKind.SEGMENT, segment.number), instructions)
