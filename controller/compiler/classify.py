"""Table classify: which VIF, or which segment's outside, a packet comes from."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from controller.compiler.bridge import Bridge, BridgeSegment, BridgeVif
from controller.compiler.flow import Flow, flow, goto
from controller.compiler.parts import Part
from controller.compiler.survey import LeafView, Survey, leaf_of, path_values
from controller.dataplane.actions import PopVlan, SetField
from controller.dataplane.cookies import CookieKind
from controller.dataplane.pipeline import ANTISPOOF, CLASSIFY, FORWARD
from controller.dataplane.protocols import VLAN_PRESENT
from controller.dataplane.registers import MARK, SEGMENT, SOURCE_PATH, SOURCE_VIF

_UNTAGGED = 0


def parts(bridge: Bridge, found: Survey) -> Iterator[Part]:
    """A frame with a tag, even one that says VLAN 0, matches only where an uplink's segment has that VLAN."""
    for vif in bridge.vifs:
        leaf, segment = leaf_of(found, vif), bridge.segments[vif.segment].number
        inputs = (vif.ofport, segment, leaf.path, leaf.mark)
        yield Part(("classify", vif.number), inputs, partial(_from_vif, vif, leaf, segment))
    for own in bridge.used_segments().values():
        if own.uplink_ofport is not None:
            yield Part(("outside", own.number), own, partial(_from_uplink, own, own.uplink_ofport))


def judged_by(leaf: LeafView) -> list[SetField]:
    """What a packet carries of the leaf that judges it as egress."""
    known = [SetField(register, value) for register, value in path_values(SOURCE_PATH, leaf.path)]
    return [*known, SetField(MARK, 0 if leaf.mark is None else leaf.mark + 1)]


def _from_vif(vif: BridgeVif, leaf: LeafView, segment: int) -> Iterator[Flow]:
    known = (SetField(SOURCE_VIF, vif.number), SetField(SEGMENT, segment), *judged_by(leaf))
    fields = {"in_port": vif.ofport, "vlan_vid": _UNTAGGED}
    yield flow(CLASSIFY, 100, {**fields}, (CookieKind.VIF, vif.number), goto(ANTISPOOF, *known))


def _from_uplink(segment: BridgeSegment, ofport: int) -> Iterator[Flow]:
    vlan = _UNTAGGED if segment.vlan is None else VLAN_PRESENT | segment.vlan
    untag = () if segment.vlan is None else (PopVlan(),)
    instructions = goto(FORWARD, *untag, SetField(SEGMENT, segment.number))
    fields = {"in_port": ofport, "vlan_vid": vlan}
    yield flow(CLASSIFY, 100, {**fields}, (CookieKind.SEGMENT, segment.number), instructions)
