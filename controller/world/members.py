"""A VIF as far as bandwidth is concerned. Apart from `desired`, so that admission need not load the compiler."""

from __future__ import annotations

from collections.abc import Iterable

from ovsdb.rows import VirtualInterface
from policies.hierarchy import Member
from policies.model import PolicySet
from policies.own_numbers import own_of
from policies.scaling import UNSCALED, scaled_of
from policies.surplus import fitted
from policies.ways_out import outward_uplink


def member(vif: VirtualInterface, policies: PolicySet) -> Member:
    uplink = outward_uplink(policies, vif.segment)
    own = own_of(vif.egress), own_of(vif.ingress)
    scaled = scaled_of(vif.scaled)
    return Member(vif.number, vif.name, vif.policy, uplink, vif.chassis, *own, vif.segment, scaled)


def members_in_force(vifs: Iterable[VirtualInterface], policies: PolicySet) -> list[Member]:
    """Of all VIFs those at leaves, with guarantees that were raised cut to what is free by now."""
    found = [member(vif, policies) for vif in vifs if (node := policies.nodes.get(vif.policy)) and node.is_leaf]
    return fitted(policies, found) if any(one.scaled is not UNSCALED for one in found) else found
