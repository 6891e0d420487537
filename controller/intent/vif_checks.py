"""What a VIF may be asked to be like, as far as one can see without its host. Pure: a check yields complaints."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from controller.dataplane.macs import PROBES, mac_number
from controller.intent import kind_options
from controller.intent.host_limits import host_fault
from controller.intent.kind_options import BESIDE, DEFAULT_IFNAME, IFNAME, KINDS, MADE_HERE, PLACES, VF, has_link_inside
from controller.intent.promises import Promises, port_of, refusals
from controller.intent.uplinks import way_out_fault
from ovsdb.rows import CONTAINER, Snapshot
from policies.model import Direction, PolicySet, Segment
from policies.own_numbers import INHERITED, Own, faults
from policies.scaling import outside
from policies.shortcomings import Interface
from policies.wording import either, nearest, quoted

LONGEST_TEXT = 255
_NAME = re.compile(r"[A-Za-z0-9._-]{1,63}")
_MAC = re.compile(r"[0-9a-f]{2}(:[0-9a-f]{2}){5}")
_PID = re.compile(r"[1-9][0-9]{0,9}")


@dataclass(frozen=True, slots=True)
class VifRequest:
    """What an operator asks for. None, {} and (): let Weir choose.

    binding, options: as in ovsdb.rows and kind_options; chassis: the host, for a port the one that has it. egress,
    ingress: numbers of its own, in place of its leaf's.
    """

    name: str
    policy: str
    segment: str | None = None
    kind: str = "veth"
    binding: Mapping[str, str] = field(default_factory=dict)
    instance: str | None = None
    ifname: str = DEFAULT_IFNAME
    mac: str | None = None
    addresses: tuple[str, ...] = ()
    labels: Mapping[str, str] = field(default_factory=dict)
    chassis: str | None = None
    egress: Own = INHERITED
    ingress: Own = INHERITED
    options: Mapping[str, str] = field(default_factory=dict)

    def own(self, direction: Direction) -> Own:
        return self.egress if direction is Direction.EGRESS else self.ingress


Check = Callable[[VifRequest, PolicySet, Snapshot], Iterator[str]]


def complaints(request: VifRequest, policies: PolicySet, snapshot: Snapshot) -> Iterator[str]:
    """Everything wrong with a request by itself, in view of the policy and the hosts."""
    for check in CHECKS:
        yield from check(request, policies, snapshot)


def canonical_mac(text: str) -> str:
    return text.lower().replace("-", ":")


def _name(request: VifRequest, policies: PolicySet, snapshot: Snapshot) -> Iterator[str]:
    if not _NAME.fullmatch(request.name) or request.name in (".", ".."):
        yield "its name is not one. Use 1 to 63 letters, digits, '.', '_' and '-'."


def _policy(request: VifRequest, policies: PolicySet, snapshot: Snapshot) -> Iterator[str]:
    node = policies.nodes.get(request.policy)
    if not policies.nodes:
        yield "no policy is in force yet. Apply one first: weir policy apply FILE."
    elif node is None:
        leaves = [path for path, node in policies.nodes.items() if node.is_leaf]
        yield f"there is no policy {quoted(request.policy)}. {_instead(request.policy, leaves)}"
    elif not node.is_leaf:
        yield f"policy '{request.policy}' has nodes below it and takes no VIFs. Use one of {_listed(node.children)}."


def _segment(request: VifRequest, policies: PolicySet, snapshot: Snapshot) -> Iterator[str]:
    if request.segment is None and len(policies.segments) != 1:
        if policies.segments:
            yield f"it does not say its segment. Use --segment with one of {_listed(policies.segments)}."
        elif policies.nodes:
            yield "the policy defines no segment for it to be on. Add one below segments: and apply it."
    elif request.segment is not None and request.segment not in policies.segments:
        yield f"there is no segment {quoted(request.segment)}. {_instead(request.segment, policies.segments)}"


def segment_of(request: VifRequest, policies: PolicySet) -> Segment | None:
    """The one that it names, or the only one there is."""
    if request.segment is None and len(policies.segments) == 1:
        return next(iter(policies.segments.values()))
    return policies.segments.get(request.segment or "")


def _addresses(request: VifRequest, policies: PolicySet, snapshot: Snapshot) -> Iterator[str]:
    """Where Weir has none to give, it comes from outside: by DHCP, or made of a router's advertisement."""
    segment = segment_of(request, policies)
    if segment is not None and not segment.subnets and not request.addresses and segment.uplink is None:
        yield (
            f"segment '{segment.name}' has no subnets to give it an address of, and no uplink by which one could come. "
            "Say its address: --ip 192.0.2.5/24."
        )


def _own_numbers(request: VifRequest, policies: PolicySet, snapshot: Snapshot) -> Iterator[str]:
    node = policies.nodes.get(request.policy)
    if node is not None and node.is_leaf:
        for direction in Direction:
            yield from faults(node.bandwidth(direction), node.path, direction, request.own(direction))
            yield from outside(node, direction, request.own(direction))


def _way_out(request: VifRequest, policies: PolicySet, snapshot: Snapshot) -> Iterator[str]:
    """Wrong where no host that it can be on has the uplink. Which host that of a port is turns out later."""
    segment, named = segment_of(request, policies), snapshot.chassis.get(request.chassis or "")
    hosts = [named] if named is not None else list(snapshot.chassis.values())
    faults = [way_out_fault(segment, host) for host in hosts] if segment is not None else []
    if faults and faults[0] is not None and None not in faults:
        yield faults[0]


def _kind(request: VifRequest, policies: PolicySet, snapshot: Snapshot) -> Iterator[str]:
    if request.kind not in KINDS:
        yield f"there is no kind {quoted(request.kind)}. Use {either(KINDS)}."
    else:
        yield from kind_options.complaints(request.kind, request.options, request.binding)


def _kept(request: VifRequest, policies: PolicySet, snapshot: Snapshot) -> Iterator[str]:
    """Nothing where it is not one of the kinds, or its policy is none."""
    if request.policy in policies.nodes and request.kind in KINDS:
        port = port_of(request.kind, request.options)
        interface = Interface(port, request.policy, request.egress, request.ingress)
        yield from refusals(Promises(policies, snapshot).lacking(interface, request.chassis))


def _host(request: VifRequest, policies: PolicySet, snapshot: Snapshot) -> Iterator[str]:
    """Wrong where no host that it can be on has what it takes."""
    named = snapshot.chassis.get(request.chassis or "")
    hosts = [named] if named is not None else list(snapshot.chassis.values())
    faults = [host_fault(request.kind, host) for host in hosts]
    if faults and faults[0] is not None and None not in faults:
        yield faults[0]


def _chassis(request: VifRequest, policies: PolicySet, snapshot: Snapshot) -> Iterator[str]:
    hosts = snapshot.chassis
    if request.chassis is not None and request.chassis not in hosts:
        yield f"there is no host {quoted(request.chassis)}. {_instead(request.chassis, hosts)}"
    elif request.chassis is None and request.kind in MADE_HERE and len(hosts) != 1:
        if hosts:
            yield f"it does not say its host. Use --chassis with one of {_listed(hosts)}."
        else:
            yield "no host agent has reported yet. See weir status."


def _binding(request: VifRequest, policies: PolicySet, snapshot: Snapshot) -> Iterator[str]:
    places = [place for place in PLACES if place in request.binding]
    known = {*places, *(BESIDE.get(place) for place in places), kind_options.PCI}
    if len(places) > 1 or not request.binding.keys() <= known:
        yield "it is bound to several things. Give a namespace, a process or a container: one of them."
    netns, pid = request.binding.get("netns"), request.binding.get("pid")
    if netns is not None and (not _is_text(netns) or ("/" in netns and netns[:1] != "/") or netns in (".", "..")):
        yield f"{quoted(netns)} names no network namespace. Use a name from ip netns list, or an absolute path."
    if pid is not None and not _PID.fullmatch(pid):
        yield f"{quoted(pid)} is not a process id. Give a positive number."
    container = request.binding.get("container")
    if container is not None and not CONTAINER.fullmatch(container):
        yield f"{quoted(container)} is no container. Give its id, or its name, as its runtime shows it."


def _link(request: VifRequest, policies: PolicySet, snapshot: Snapshot) -> Iterator[str]:
    ifname = request.ifname
    if not IFNAME.fullmatch(ifname) or len(ifname.encode()) > 15 or ifname in (".", "..", "lo", "all", "default"):
        yield f"{quoted(ifname)} cannot name an interface. Use at most 15 letters and digits, as in eth0."
    elif ifname != DEFAULT_IFNAME and request.kind in KINDS and not has_link_inside(request.kind, request.binding):
        what = f"kind {request.kind}" if request.kind != VF else "a VF that is handed over as a PCI device"
        yield f"--ifname means nothing to {what}: Weir makes no link inside its instance. Leave it out."
    if request.mac is not None:
        yield from _mac(request.mac)


def _mac(text: str) -> Iterator[str]:
    mac = canonical_mac(text)
    if not _MAC.fullmatch(mac):
        yield f"{quoted(text)} is not a MAC address. Write it as in 02:00:00:00:00:05, or leave it out."
    elif int(mac[:2], 16) & 1 or mac == "00:00:00:00:00:00":
        yield f"{mac} is not the address of one interface. Choose a unicast address (first byte even), or leave it out."
    elif mac_number(mac) & PROBES[1] == PROBES[0]:
        yield f"{mac} is one of those by which Weir's hosts probe. Choose another, or leave it out."


def _texts(request: VifRequest, policies: PolicySet, snapshot: Snapshot) -> Iterator[str]:
    if request.instance is not None and not _is_text(request.instance):
        yield f"its instance {quoted(request.instance)} is no name. Use 1 to {LONGEST_TEXT} printable characters."
    for key, value in request.labels.items():
        if not _NAME.fullmatch(key):
            yield f"{quoted(key)} is no label. Use 1 to 63 letters, digits, '.', '_' and '-' before the '='."
        elif not _is_text(value):
            yield f"the value of label {key} is no text. Use 1 to {LONGEST_TEXT} printable characters."


CHECKS: tuple[Check, ...] = (
    _name, _policy, _segment, _addresses, _own_numbers, _kind, _kept, _chassis, _host, _way_out, _binding,
    _link, _texts,
)  # fmt: skip


def _is_text(text: str) -> bool:
    return 0 < len(text) <= LONGEST_TEXT and text.isprintable()


def _instead(word: str, candidates: Iterable[str]) -> str:
    names = sorted(candidates)
    meant = nearest(word, names)
    if meant is not None:
        return f"Did you mean '{meant}'?"
    return f"Use one of {_listed(names)}." if names else "There is none at all: apply a policy that has one."


def _listed(names: Iterable[str], most: int = 8) -> str:
    shown = sorted(names)
    return ", ".join(shown[:most]) + (f" and {len(shown) - most} more" if len(shown) > most else "")
