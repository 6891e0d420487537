"""What of its policy a VIF would not get on its host, as far as the host's agent has said what that can. Pure."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping

from controller.intent.kind_options import NO_REPRESENTOR, REPRESENTOR
from controller.intent.naming import vifs_named
from controller.world.members import member
from ovsdb.rows import DATAPATH, KERNEL, Snapshot, VirtualInterface
from policies.buffers import REMEDY, needed_bytes, shortage
from policies.enforcement import SEND_BUFFER, Port
from policies.joined_packets import kept_of_joined
from policies.kept_otherwise import of_interface
from policies.model import PolicySet
from policies.own_numbers import Own, own_of
from policies.shortcomings import Interface, Shortcoming, shortcomings


def port_of(kind: str, options: Mapping[str, str]) -> Port:
    return Port(kind, options.get(REPRESENTOR) != NO_REPRESENTOR)


def interface_of(vif: VirtualInterface) -> Interface:
    return Interface(port_of(vif.kind, vif.options), vif.policy, own_of(vif.egress), own_of(vif.ingress))


def send_buffers(snapshot: Snapshot) -> dict[str, int]:
    """In bytes, by host, of those whose switch sends through a socket and whose agent has looked at it."""
    said = {name: host.capabilities.get(SEND_BUFFER, "") for name, host in snapshot.chassis.items()}
    return {name: int(word) for name, word in said.items() if word.isdecimal()}


def devices_of(snapshot: Snapshot) -> Counter[tuple[str, str]]:
    """Of how many an uplink of a host is made, by both their names, as far as they are there."""
    hosts = snapshot.chassis.items()
    return Counter((name, key.partition("#")[0]) for name, host in hosts for key in host.uplink_ports)


class Promises:
    """What VIFs would lack under a policy set, on the hosts of a snapshot. VIFs that are alike are looked at once."""

    def __init__(self, policies: PolicySet, snapshot: Snapshot) -> None:
        self._policies, self._hosts = policies, snapshot.chassis
        self._known: dict[tuple[Interface, str | None], tuple[Shortcoming, ...]] = {}

    def lacking(self, interface: Interface, chassis: str | None) -> tuple[Shortcoming, ...]:
        """chassis: its host; None: the one that lacks least, of all."""
        key = interface, chassis
        if key not in self._known:
            self._known[key] = self._lacking(interface, chassis)
        return self._known[key]

    def of_vif(self, vif: VirtualInterface) -> tuple[Shortcoming, ...]:
        return self.lacking(interface_of(vif), vif.chassis)

    def _lacking(self, interface: Interface, chassis: str | None) -> tuple[Shortcoming, ...]:
        named = self._hosts.get(chassis or "")
        hosts = [named] if named is not None else list(self._hosts.values())
        abilities = [host.capabilities for host in hosts] or [{}]
        found = [tuple(dict.fromkeys(shortcomings(self._policies, interface, one))) for one in abilities]
        return min(found, key=lambda lacks: (sum(lack.is_refusal for lack in lacks), len(lacks)))


def refusals(found: Iterable[Shortcoming]) -> list[str]:
    return [str(one) for one in found if one.is_refusal]


def warnings(vifs: Collection[VirtualInterface], policies: PolicySet, snapshot: Snapshot) -> list[str]:
    """What is to be said of VIFs that may be, a line each: what they go without, knowingly, and what is kept otherwise
    than one might think.
    """
    promises = Promises(policies, snapshot)
    found: dict[str, list[str]] = defaultdict(list)
    of_leaves: dict[tuple[str, Own], tuple[tuple[str, bool], ...]] = {}
    for vif in vifs:
        for one in promises.of_vif(vif):
            if not one.is_refusal:
                found[str(one)].append(vif.name)
        leaf = vif.policy, own_of(vif.egress)
        if leaf not in of_leaves:
            of_leaves[leaf] = tuple(of_interface(policies, *leaf))
        for line, is_of_leaf in of_leaves[leaf]:
            found[line] += [] if is_of_leaf else [vif.name]
    said = [f"{vifs_named(names)}: {line}" if names else line for line, names in found.items()]
    said += on_kernel(policies, vifs, snapshot)
    concerned = {vif.chassis for vif in vifs if (node := policies.nodes.get(vif.policy)) and node.buffer_bytes}
    if not concerned:
        return said
    there = {**snapshot.interfaces, **{vif.name: vif for vif in vifs}}
    return [*said, *short_of_buffers(policies, there.values(), snapshot, concerned)]


def on_kernel(policies: PolicySet, vifs: Collection[VirtualInterface], snapshot: Snapshot) -> list[str]:
    """A line for each number of theirs that a queue on the kernel's datapath keeps slower or larger."""
    hosts = {name for name, host in snapshot.chassis.items() if host.capabilities.get(DATAPATH) == KERNEL}
    return kept_of_joined(policies, [member(vif, policies) for vif in vifs], hosts)


def short_of_buffers(
    policies: PolicySet,
    vifs: Collection[VirtualInterface],
    snapshot: Snapshot,
    hosts: Collection[str | None] | None = None,
) -> Iterator[str]:
    """A line for each host whose switch has less than the buffers of all VIFs may take. hosts: None: all."""
    members = [member(vif, policies) for vif in vifs]
    for name, size_bytes in send_buffers(snapshot).items():
        if hosts is None or name in hosts:
            problem = shortage(needed_bytes(policies, members, name, devices_of(snapshot)), size_bytes)
            if problem is not None:
                yield f"host '{name}': {problem}. {REMEDY}."
