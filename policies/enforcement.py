"""What keeps each promise of a policy, by kind of interface and by what its host can do; or why nothing does. Pure.

A host's abilities are found by trying (the agent does) and are told as words: YES, or why not. One that is not there is
not known, and nothing is refused for it.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from policies.classes import uses_classes
from policies.inheritance import origin
from policies.model import Bandwidth, Congestion, Direction, LeafQueue, Node, PolicySet
from policies.own_numbers import Own
from policies.resolve import ancestry

YES = "true"
Abilities = Mapping[str, str]  # by the names below: YES, a figure, or "no: REASON"

# Names of abilities. Of queueing disciplines, filters and actions: what the kernel of the agent's namespace makes on a
# throw-away device.
HTB, TBF, BFIFO, HEAD_DROP, RED, FQ_CODEL = "htb", "tbf", "bfifo", "head_drop", "red", "fq_codel"
ECN = "ecn"  # marks of RED or fq_codel, in the place of loss
U32, POLICE = "u32", "police"
# Of Open vSwitch: which meters its datapath takes; QoS types of DPDK ports; its version; packets looked at by the NIC.
METERS, PACKET_METERS = "meters", "packet_meters"
EGRESS_POLICER, TRTCM_POLICER = "egress_policer", "trtcm_policer"
OVS_VERSION, OFFLOAD = "ovs_version", "offload"
# Figures. What all frames that vswitchd has on their way to Linux devices may take together (bytes of a socket's
# buffer); processor time a packet, in ns, and of how many packets that was measured ("0": it is assumed).
SEND_BUFFER, PACKET_COST, PACKET_COST_OF = "send_buffer_bytes", "packet_cost_ns", "packet_cost_packets"
UPLINK_SPEED = "uplink_mbps/"  # and the name of an uplink: what its NIC says, in Mbit/s
DATAPATH, KERNEL = "datapath", "system"  # of the bridge: its type, and which of them is the kernel's own


class Feature(str, enum.Enum):
    """What a policy can promise to one interface, in the words that people read."""

    EGRESS_LIMIT = "egress limit"
    EGRESS_SHARE = "egress guarantee and weight"
    EGRESS_CLASSES = "egress classes"
    EGRESS_PACKETS = "egress packets"
    INGRESS_LIMIT = "ingress limit"
    INGRESS_CLASSES = "ingress classes"
    INGRESS_PACKETS = "ingress packets"
    CPU = "cpu"
    BUFFER = "buffer"
    QUEUES = "queues"
    RED = "congestion red"
    FQ_CODEL = "congestion fq_codel"
    ECN = "congestion ecn"


@dataclass(frozen=True, slots=True)
class Port:
    """What decides beside the host. has_representor: of a virtual function, whether one stands for it on the bridge."""

    kind: str
    has_representor: bool = True


@dataclass(frozen=True, slots=True)
class Keeping:
    """how: what keeps it, in a few words; None: nothing can, see `why_not` and `remedy`. No text ends in a stop.

    note: what one should know of how it is kept: "drops, which TCP pays for". untried: abilities that it takes and of
    which the host has said nothing.
    """

    how: str | None
    why_not: str | None = None
    remedy: str | None = None
    note: str | None = None
    untried: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Asked:
    """A promise to one interface. whose: "policy 'acme/web'", or "its own numbers". steps: of the field below that
    node. best_effort: of the leaf: it goes on without what cannot be kept."""

    feature: Feature
    whose: str
    node: str | None
    steps: tuple[str, ...]
    best_effort: bool


VETH, TAP, PORT, VHOST_USER, VF = "veth", "tap", "port", "vhost-user", "vf"
KINDS = (VETH, TAP, PORT, VHOST_USER, VF)
_NO = "no"  # how the word of what is not there begins


def lack(abilities: Abilities, *names: str) -> str | None:
    """Why the host lacks one of them, without full stop; None: it has them all, as far as is known."""
    for name in names:
        word, _, reason = abilities.get(name, YES).partition(": ")
        if word == _NO:
            return reason or f"the host has no {name}"
    return None


def keeping(feature: Feature, port: Port, abilities: Abilities) -> Keeping:
    """How this host keeps it for such a port."""
    if port.kind == VF and not port.has_representor:
        return _not("without a representor its packets never pass the bridge", "Use a NIC in switchdev mode")
    if port.kind == VF and abilities.get(OFFLOAD) == YES and feature in _PAST_QUEUES:
        return _not(_PAST_QUEUES[feature], _NOT_IN_NIC)
    way = _BY_FEATURE[feature](port.kind)
    if isinstance(way, Keeping):
        return way
    on_kernel = abilities.get(DATAPATH) == KERNEL
    needs = (*way.needs, TBF) if on_kernel and feature in _CUT else way.needs
    for name in needs:
        if (reason := lack(abilities, name)) is not None:
            return _not(reason, _REMEDIES.get(name, _ANOTHER_KERNEL))
    note = f"{way.note}; {JOINED}" if feature in PACKETS and on_kernel else way.note
    return Keeping(way.how, note=note, untried=tuple(name for name in needs if name not in abilities))


@dataclass(frozen=True, slots=True)
class _Way:
    """What keeps it, where the host has these abilities."""

    how: str
    needs: tuple[str, ...] = ()
    note: str | None = None


def _not(why_not: str, remedy: str) -> Keeping:
    return Keeping(None, why_not, remedy)


_DROPS = "what exceeds it is dropped, which TCP pays for"
JOINED = "what the kernel has joined or not cut yet, up to 64 KB, counts as one packet"
_REMEDIES = {  # of abilities, for who lacks them
    METERS: "Use the userspace datapath, or a newer kernel",
    PACKET_METERS: "Use the userspace datapath, or a newer kernel",
    PACKET_COST: "Bound packets in its place, or use the userspace datapath",
    EGRESS_POLICER: "Use kind tap or veth for it, or start the system with weir up --datapath dpdk",
    TRTCM_POLICER: "Use kind tap or veth for it, or start the system with weir up --datapath dpdk",
}
_ANOTHER_KERNEL = "Use a kernel that has it, as a stock Debian has, or do without"


def _egress_limit(kind: str) -> _Way:
    if kind == VETH:
        return _Way("shaper inside its namespace, meter behind it", (TBF, METERS))
    return _Way("meter", (METERS,), note=_DROPS)


def _egress_share(kind: str) -> _Way:
    return _Way("HTB classes on the uplink", (HTB, U32))


def _egress_classes(kind: str) -> _Way:
    note = "divides what waits at the uplink, not where the interface's own egress limit is narrower"
    return _Way("HTB classes on the uplink, found by code point", (HTB, U32, HEAD_DROP), note=note)


def _ingress_limit(kind: str) -> _Way:
    if kind == VHOST_USER:
        return _Way("egress-policer on its port", (EGRESS_POLICER,), note=_DROPS)
    return _Way("HTB class on its port", (HTB, BFIFO))


def _ingress_classes(kind: str) -> _Way:
    if kind == VHOST_USER:
        note = "each class has its share; none can use what others leave"
        return _Way("trtcm-policer queues on its port", (TRTCM_POLICER,), note=note)
    return _Way("HTB classes on its port, found by code point", (HTB, U32, HEAD_DROP))


def _packets(kind: str) -> _Way:
    return _Way("meter that counts packets", (PACKET_METERS,), note=_DROPS)


def _cpu(kind: str) -> _Way:
    note = "a budget of packets, at what a packet costs on this host"
    return _Way("meter that counts packets", (PACKET_METERS, PACKET_COST), note=note)


def _queue(how: str, *needs: str) -> Callable[[str], _Way | Keeping]:
    """Of features that a queue of the kernel keeps, which is where Linux devices are."""

    def way(kind: str) -> _Way | Keeping:
        if kind == VHOST_USER:
            return _not("its queue is the guest's ring, which only the guest can choose", _OTHER_KIND)
        return _Way(how, needs)

    return way


def _queues(kind: str) -> _Way | Keeping:
    if kind == VHOST_USER:
        return _Way("queue pairs of its device", note="as many as the guest takes")
    return _not("Open vSwitch has one receive queue for such a port", "Use kind vhost-user, or one queue")


_OTHER_KIND = "Use kind tap or veth for it, or a policy without"
_NOT_IN_NIC = (
    "Run ovs-vsctl set Open_vSwitch . other_config:hw-offload=false and restart Open vSwitch, or use a policy without"
)
# On the kernel's datapath each queue of a tree cuts joined packets: it is a TBF.
_CUT = {Feature.EGRESS_SHARE, Feature.EGRESS_CLASSES, Feature.INGRESS_LIMIT, Feature.INGRESS_CLASSES}
_PAST_QUEUES: Mapping[Feature, str] = {  # by packets that the NIC passes by itself
    **dict.fromkeys((Feature.EGRESS_SHARE, Feature.EGRESS_CLASSES), "what the NIC passes meets no queue of the uplink"),
    **dict.fromkeys((Feature.INGRESS_LIMIT, Feature.INGRESS_CLASSES), "no queue of the host holds what the NIC passes"),
    **dict.fromkeys((Feature.BUFFER, Feature.RED, Feature.FQ_CODEL, Feature.ECN), "its queues are the NIC's"),
}
_BY_FEATURE: Mapping[Feature, Callable[[str], _Way | Keeping]] = {
    Feature.EGRESS_LIMIT: _egress_limit,
    Feature.EGRESS_SHARE: _egress_share,
    Feature.EGRESS_CLASSES: _egress_classes,
    Feature.EGRESS_PACKETS: _packets,
    Feature.INGRESS_LIMIT: _ingress_limit,
    Feature.INGRESS_CLASSES: _ingress_classes,
    Feature.INGRESS_PACKETS: _packets,
    Feature.CPU: _cpu,
    Feature.BUFFER: _queue("byte limit of its queues", BFIFO),
    Feature.QUEUES: _queues,
    Feature.RED: _queue("RED at the end of its queues", RED),
    Feature.FQ_CODEL: _queue("fq_codel at the end of its queues", FQ_CODEL),
    Feature.ECN: _queue("marks of RED or fq_codel", ECN),
}


def asked(policies: PolicySet, path: str, own_egress: Own, own_ingress: Own) -> Iterator[Asked]:
    """What the policy at `path`, with the interface's own numbers, promises to an interface; nothing where no leaf is.

    What inner nodes bound together is promised to each interface below: it is there that it is kept.
    """
    nodes = ancestry(policies, path) if path in policies.nodes else ()
    if not nodes or not nodes[-1].is_leaf:
        return
    leaf = nodes[-1]
    for direction, own in ((Direction.EGRESS, own_egress), (Direction.INGRESS, own_ingress)):
        for feature, key in _of_own(direction, own):
            yield Asked(feature, "its own numbers", None, (direction.value, key), leaf.best_effort)
        for node in nodes:
            for feature, key in _of_bandwidth(direction, node.bandwidth(direction)):
                yield _of_node(feature, node, (direction.value, key), leaf)
    if uses_classes(policies, path):
        for feature in (Feature.EGRESS_CLASSES, Feature.INGRESS_CLASSES):
            if feature is Feature.EGRESS_CLASSES or limits_ingress(policies, path, own_ingress):
                yield _of_node(feature, leaf, (), leaf)
    for attribute, key, found in _inherited(leaf):
        for feature in found:
            yield _of_node(feature, origin(policies, leaf, attribute), (key,), leaf)


def limits_ingress(policies: PolicySet, path: str, own_ingress: Own) -> bool:
    """Whether something bounds what reaches an interface. A bound of an inner node is kept at the interfaces below."""
    if own_ingress.limit_kbps is not None:
        return True
    nodes = ancestry(policies, path) if path in policies.nodes else ()
    return any(node.ingress.limit_kbps is not None for node in nodes)


def _of_node(feature: Feature, node: Node, steps: tuple[str, ...], leaf: Node) -> Asked:
    return Asked(feature, f"policy '{node.path}'", node.path, steps, leaf.best_effort)


def _of_own(direction: Direction, own: Own) -> Iterator[tuple[Feature, str]]:
    if own.limit_kbps is not None:
        yield _LIMIT[direction], "limit"
    if direction is Direction.EGRESS and own.guarantee_kbps:
        yield Feature.EGRESS_SHARE, "guarantee"


def _of_bandwidth(direction: Direction, bandwidth: Bandwidth) -> Iterator[tuple[Feature, str]]:
    if bandwidth.limit_kbps is not None:
        yield _LIMIT[direction], "limit"
    if bandwidth.packets_pps is not None:
        yield _PACKETS[direction], "packets"
    if direction is Direction.EGRESS and bandwidth.guarantee_kbps:
        yield Feature.EGRESS_SHARE, "guarantee"
    elif direction is Direction.EGRESS and bandwidth.weight != 1:
        yield Feature.EGRESS_SHARE, "weight"


def _inherited(leaf: Node) -> Iterator[tuple[str, str, tuple[Feature, ...]]]:
    """Attribute, key and what it asks for. One queue is what every device has."""
    if leaf.buffer_bytes is not None:
        yield "buffer_bytes", "buffer", (Feature.BUFFER,)
    if leaf.cpu is not None:
        yield "cpu", "cpu", (Feature.CPU,)
    if leaf.queues is not None and leaf.queues.most > 1:
        yield "queues", "queues", (Feature.QUEUES,)
    congestion = leaf.congestion or Congestion()
    sort = {LeafQueue.FIFO: (), LeafQueue.RED: (Feature.RED,), LeafQueue.FQ_CODEL: (Feature.FQ_CODEL,)}
    yield "congestion", "congestion", (*sort[congestion.queue], *((Feature.ECN,) if congestion.ecn else ()))


_LIMIT = {Direction.EGRESS: Feature.EGRESS_LIMIT, Direction.INGRESS: Feature.INGRESS_LIMIT}
_PACKETS = {Direction.EGRESS: Feature.EGRESS_PACKETS, Direction.INGRESS: Feature.INGRESS_PACKETS}
PACKETS = frozenset(_PACKETS.values())
