"""From a bridge to all that its switch should hold. Pure: one bridge gives one state, whatever came before."""

from __future__ import annotations

from controller.compiler import antispoof, classify, conntrack, forward, policy
from controller.compiler.bridge import Bridge
from controller.dataplane.entries import FlowBody, FlowKey, SwitchState
from controller.dataplane.text import flow_text

_PARTS = (classify.flows, antispoof.flows, conntrack.flows, policy.flows, forward.flows)


class Contradiction(ValueError):
    """Two parts of the input ask for different things of the same packets."""


def compile_bridge(bridge: Bridge) -> SwitchState:
    """Flow entries and meters of the bridge.

    Raises Contradiction, for instance when two segments are one VLAN of one uplink or two VIFs have one MAC in a
    segment; TooManyRules; SegmentTooLarge; KeyError when a VIF's segment, node or a rule has no number.
    """
    flows: dict[FlowKey, FlowBody] = {}
    for part in _PARTS:
        for key, body in part(bridge):
            if flows.setdefault(key, body) != body:
                raise Contradiction(f"one match, two meanings: {flow_text(key, flows[key])}; {flow_text(key, body)}")
    meters = {vif.number: vif.egress_meter for vif in bridge.vifs if vif.egress_meter is not None}
    return SwitchState(flows, meters)
