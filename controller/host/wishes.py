"""Which queueing trees this host's devices shall have: numbers from the policy and the loop, made into plans."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from controller.host import desired
from controller.host.class_queues import ClassShare, leaves_of
from controller.host.desired import Limits
from controller.host.queue_ids import QueuePlanError
from controller.host.queue_plan import Sender, ingress_plan, shaper_plan, uplink_plan
from controller.host.queue_sizes import leaf_budget
from controller.host.queue_tree import QueuePlan
from controller.host.settings import AgentConfig
from controller.host.wish import Wish, Wishes
from ovsdb.rows import VirtualInterface
from policies.hierarchy import bandwidth_tree
from policies.model import Direction, PolicySet

SHAPER_QUEUE_BYTES = 1_000_000  # in the instance's own memory, and never more than 50 ms: no share of OVS's send buffer


@dataclass(frozen=True, slots=True)
class HeldVif:
    """A VIF that is on the bridge. place: the namespace of its own end, None for one that somebody else made."""

    vif: VirtualInterface
    port: str
    limits: Limits
    place: Path | None
    queues_on_port: bool = True  # whether the port's device takes a tree


@dataclass(frozen=True, slots=True)
class Planned:
    """faults: by uplink name, why its tree cannot be planned. note: what is not as good as it should be."""

    wishes: Wishes
    faults: Mapping[str, str]
    note: str | None


def plan(
    held: Sequence[HeldVif],
    policies: PolicySet,
    nodes: Mapping[str, int],
    config: AgentConfig,
    send_buffer_bytes: int,
) -> Planned:
    """nodes: the numbers of policy nodes by path."""
    users = {name: desired.uplink_members([one.vif for one in held], policies, name) for name in config.uplinks}
    limited = [one for one in held if one.limits.ingress_kbps is not None and one.queues_on_port]
    classes = desired.class_shares(policies, {one.vif.policy for one in held})
    senders = {one.vif.number: Sender(int(one.vif.mac.replace(":", ""), 16), classes[one.vif.policy]) for one in held}
    queued = [one.vif.number for one in limited] + [member.number for members in users.values() for member in members]
    leaves = sum(leaves_of(senders[number].classes) for number in queued) + len(users)
    leaf_bytes = leaf_budget(send_buffer_bytes, leaves)
    uplinks, faults = dict[str, Wish](), dict[str, str]()
    for name, device in config.uplinks.items():
        capacity_kbps = desired.capacity_kbps(policies, name, config.chassis)
        if capacity_kbps is None:
            continue
        root = bandwidth_tree(policies, Direction.EGRESS, users[name])
        own = {member.number: senders[member.number] for member in users[name]}
        try:
            uplinks[name] = Wish(device, uplink_plan(root, capacity_kbps, own, nodes, leaf_bytes))
        except QueuePlanError as fault:
            faults[name] = str(fault)
    ingress = {
        one.vif.number: Wish(one.port, _ingress(one.limits, leaf_bytes, classes[one.vif.policy])) for one in limited
    }
    shapers = {one.vif.number: _shaper(one, one.place) for one in held if one.place is not None}
    return Planned(Wishes(uplinks, ingress, shapers), faults, _note(send_buffer_bytes, leaves, leaf_bytes))


def _note(send_buffer_bytes: int, leaves: int, leaf_bytes: int) -> str | None:
    """Past some number of queues none can be made smaller, see `leaf_budget`."""
    needed_bytes = 2 * leaves * leaf_bytes
    if needed_bytes <= send_buffer_bytes:
        return None
    return (
        f"{leaves} queues of {leaf_bytes} bytes may fill the send buffer of Open vSwitch ({send_buffer_bytes} bytes): "
        "while most of them are full, frames of all VIFs are lost and guarantees do not hold. "
        f"Run sysctl -w net.core.wmem_default={1 << (needed_bytes - 1).bit_length()}, then restart ovs-vswitchd."
    )


def _ingress(limits: Limits, leaf_bytes: int, classes: Sequence[ClassShare]) -> QueuePlan | None:
    return ingress_plan(limits.ingress_kbps, leaf_bytes, limits.ingress_burst_bytes, classes)


def _shaper(one: HeldVif, place: Path) -> Wish:
    limits = one.limits
    plan: QueuePlan | None = shaper_plan(limits.egress_kbps, SHAPER_QUEUE_BYTES, limits.egress_burst_bytes)
    return Wish(one.vif.ifname, plan, place)


def with_trees(wishes: Wishes) -> frozenset[str]:
    """The devices of the agent's own namespace that shall have a tree."""
    return frozenset(wish.device for wish in (*wishes.uplinks.values(), *wishes.ingress.values()) if wish.plan)
