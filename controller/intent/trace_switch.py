"""How a switch is asked about a packet, and whether it says what the policy says. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass

from controller.compiler.antispoof import NEIGHBOUR_SOLICIT
from controller.dataplane.cookies import CookieKind, decode, with_vif
from controller.dataplane.meter_ids import RULE_METERS
from controller.dataplane.pipeline import EGRESS_VERDICT, INGRESS_BOUNDS, INGRESS_VERDICT, OUTPUT
from controller.dataplane.protocols import ETH_IPV4, ETH_IPV6, ICMP, ICMP6, SCTP, TCP, UDP, VLAN_PRESENT
from controller.dataplane.trace_output import Trace
from controller.intent.trace import Answer, SideAnswer, Stage, receives
from controller.intent.trace_gates import is_valid
from controller.intent.trace_route import between_routers, is_routed, to_router, ways_here
from controller.world.desired import World
from ovsdb.rows import Chassis, VirtualInterface
from policies.model import Direction, IPAddress, Rule, Segment
from policies.semantics import Packet

VERDICT_TABLES = {Direction.EGRESS: EGRESS_VERDICT, Direction.INGRESS: INGRESS_VERDICT}
_LAST = (OUTPUT.id, INGRESS_BOUNDS.id)  # tables from which packets leave
_DECIDES = (CookieKind.VERDICT, CookieKind.UNMATCHED)
_PORTS = {TCP: "tcp", UDP: "udp", SCTP: "sctp"}
_FIRST_MAC = 0x0200_0000_0000  # of somebody outside: one that no VIF has
_BROADCAST = 0xFFFF_FFFF_FFFF

Arrival = tuple[Stage, bool]


class CannotAsk(Exception):
    """No switch can be asked about this packet; says why."""


@dataclass(frozen=True, slots=True)
class Probe:
    """The packet as it comes to a bridge; fields by the names of `dataplane.fields`.

    connection: the ct_state that each look-up finds, as `ofproto/trace` takes it; it tracks no packet itself.
    """

    chassis: str
    bridge: str
    in_port: int
    fields: Mapping[str, int]
    connection: str


def probe_of(answer: Answer, world: World) -> Probe:
    """At the bridge of the VIF that was asked about. Raises CannotAsk."""
    vifs = world.snapshot.interfaces
    asked = vifs[answer.question.vif]
    host = world.snapshot.chassis.get(asked.chassis or "")
    if host is None or asked.ofport is None:
        raise CannotAsk(f"VIF {asked.name} has no port on a switch yet")
    sender = vifs[answer.sender] if answer.sender is not None else None
    receiver = vifs[answer.receiver] if answer.receiver is not None else None
    packet = answer.question.packet
    outside = _mac_outside({_mac(vif) for vif in vifs.values()})
    fields = {"eth_src": _mac(sender) if sender is not None else outside}
    elsewhere = _group_mac(packet.destination) if answer.is_to_many else outside
    fields["eth_dst"] = _mac(receiver) if receiver is not None else elsewhere
    if sender is not None and sender.chassis == host.name:
        if sender.ofport is None:
            raise CannotAsk(f"VIF {sender.name} has no port on a switch yet")
        for untold in (stage for stage in answer.unjudged if stage.passes is None):
            raise CannotAsk(untold.gate.why)
        in_port = sender.ofport
        fields |= to_router(world) if answer.way.is_routed else {}
    else:
        segment, ports = _way_in(answer, host, world)
        in_port = ports[0]
        fields["vlan_vid"] = VLAN_PRESENT | segment.vlan if segment.vlan is not None else 0
        fields |= between_routers(world, host, sender) if answer.way.is_routed else {}
    connection = "trk,new" if is_valid(packet) else "trk,inv"
    return Probe(host.name, host.bridge, in_port, {**fields, **_ip_fields(packet)}, connection)


def _way_in(answer: Answer, host: Chassis, world: World) -> tuple[Segment, tuple[int, ...]]:
    """The segment, and the ports of its uplink, through which it comes to the host. Raises CannotAsk."""
    name = world.snapshot.interfaces[answer.question.vif].segment
    segment = world.policies.segments.get(name)
    ports = host.ports_of(segment.uplink or "") if segment is not None else ()
    if answer.way.is_routed:
        segment, ports = next(ways_here(world, host), (None, ()))
    if segment is None or not ports:
        raise CannotAsk(f"nothing comes into segment {name} on {host.name} from outside: it has no uplink")
    return segment, ports


def disagreements(answer: Answer, trace: Trace, probe: Probe, world: World) -> list[str]:
    """A line for each thing of which policy and switch say different things."""
    here = list(_here(answer, probe, world))
    found = [line for stage, is_reached in here for line in _of_stage(stage, is_reached, trace, world)]
    found += _of_meters(answer, here, trace)
    return found + list(_of_way_out(answer, here, trace, probe, world))


def _here(answer: Answer, probe: Probe, world: World) -> Iterator[Arrival]:
    """What VIFs of this bridge make of the packet, and whether it comes so far: what another host does is not asked."""
    is_reached = True
    for stage in answer.stages:
        is_reached = is_reached and (stage.direction is Direction.EGRESS or answer.way.lost is None)
        if world.snapshot.interfaces[stage.vif].chassis == probe.chassis:
            yield stage, is_reached
            is_reached = is_reached and stage.passes is not False


def ports_out(trace: Trace) -> list[int]:
    """OpenFlow ports that the packet is sent to, each once."""
    words = [word for step in trace.steps if step.table in _LAST for word in step.actions]
    return list(dict.fromkeys(int(word.removeprefix("output:")) for word in words if word.startswith("output:")))


def _of_stage(stage: Stage, is_reached: bool, trace: Trace, world: World) -> Iterator[str]:
    vif = world.snapshot.interfaces[stage.vif]
    where = f"{stage.direction.value} of VIF {stage.vif}"
    met = {origin for cookie in trace.cookies(VERDICT_TABLES[stage.direction].id) if (origin := decode(cookie))}
    own = [origin for origin in met if origin.vif == vif.number]
    decided = {(origin.kind, origin.number) for origin in own if origin.kind in _DECIDES}
    audited = {origin.number for origin in own if origin.kind is CookieKind.AUDIT}
    side = stage if is_reached and isinstance(stage, SideAnswer) else None
    wanted = {_deciding(side, vif, world)} if side is not None else set()
    if decided != wanted:
        said = " and ".join(_named(kind, number, world) for kind, number in sorted(decided)) or "nothing"
        expected = " and ".join(_named(kind, number, world) for kind, number in wanted) or "nothing"
        yield f"{where}: the policy says {expected} decides, the switch says {said}"
    counting = side.verdict.audited if side is not None else ()
    counted = {with_vif(_number(rule, world), vif.number) for rule in counting}
    for number in sorted(counted ^ audited):
        who, other = ("policy", "switch") if number in counted else ("switch", "policy")
        yield f"{where}: audited {_named(CookieKind.AUDIT, number, world)} counts by the {who}, not by the {other}"


def _of_meters(answer: Answer, here: Collection[Arrival], trace: Trace) -> Iterator[str]:
    """A VIF's meter that the policy does not ask for may be one of the loop's; that of a rule, one of the many's."""
    sides = [stage for stage, is_reached in here if is_reached and isinstance(stage, SideAnswer)]
    wanted = {number for side in sides for number in side.meters}
    used = {number for number in trace.meters if number in wanted or (number in RULE_METERS and not answer.is_to_many)}
    if used != wanted:
        shown = [", ".join(map(str, sorted(numbers))) or "none" for numbers in (wanted, used)]
        yield f"meters: the policy says {shown[0]}, the switch says {shown[1]}"


def _of_way_out(answer: Answer, here: Collection[Arrival], trace: Trace, probe: Probe, world: World) -> Iterator[str]:
    passes = all(stage.passes for stage, _ in here)
    wanted = set(_ways_out(answer, probe, world)) if passes else set()
    out = set(ports_out(trace)) - {probe.in_port}  # what one output of the switch never does
    if out <= wanted and _are_of_one_uplink(wanted, probe, world):
        out = wanted if out else out  # it knows behind which of the ports the receiver is
    if answer.way.is_routed and not out and answer.receiver is None:
        return  # the switch does not know the MAC of the next hop yet: it asks for it
    if out != wanted:
        yield f"way out: the policy says port {_listed(wanted)}, the switch says {_listed(out)}"
        return
    marks = [stage.mark for stage, _ in here if stage.mark is not None]
    dscps = {departure.dscp for departure in trace.outputs}
    if wanted and not answer.is_to_many and dscps and dscps != {marks[-1] if marks else 0}:
        yield f"DSCP: the policy says {marks[-1] if marks else 0}, the switch says {_listed(dscps)}"


def _listed(numbers: Collection[int]) -> str:
    return ", ".join(map(str, sorted(numbers))) or "none"


def _ways_out(answer: Answer, probe: Probe, world: World) -> Iterator[int]:
    """Of what the VIFs here let pass: to the receiver on this bridge, or the uplink behind which it is; to all that let
    it in where it is for many."""
    if answer.is_asked or answer.way.lost is not None:
        return
    vifs = world.snapshot.interfaces
    receiver = vifs[answer.receiver] if answer.receiver is not None else None
    if receiver is not None and receiver.chassis == probe.chassis:
        yield from () if receiver.ofport is None else (receiver.ofport,)
        return
    own = vifs[answer.question.vif].segment
    if answer.way.is_routed:
        yield from (port for _, ports in ways_here(world, world.snapshot.chassis[probe.chassis]) for port in ports)
        return
    if answer.is_to_many:
        for vif in world.members.get(probe.chassis, ()):
            is_other = vif.segment == own and vif.name != answer.sender
            if is_other and vif.ofport is not None and receives(answer.question.packet, vif.name, world):
                yield vif.ofport
    segment = world.policies.segments.get(own)
    is_beyond = segment is not None and not is_routed(own, world)
    ports = world.snapshot.chassis[probe.chassis].ports_of(segment.uplink or "") if segment and is_beyond else ()
    yield from (port for port in ports if port != probe.in_port)


def _are_of_one_uplink(ports: Collection[int], probe: Probe, world: World) -> bool:
    host = world.snapshot.chassis[probe.chassis]
    return any(set(ports) <= set(host.ports_of(uplink)) for uplink in host.uplink_ports)


def _deciding(side: SideAnswer, vif: VirtualInterface, world: World) -> tuple[CookieKind, int]:
    rule = side.verdict.rule
    if rule is None:
        return CookieKind.UNMATCHED, with_vif(world.numbers["node", vif.policy], vif.number)
    return CookieKind.VERDICT, with_vif(_number(rule, world), vif.number)


def _number(rule: Rule, world: World) -> int:
    return world.numbers["rule", rule.identity]


def _named(kind: CookieKind, number: int, world: World) -> str:
    of = number >> 16
    what = "node" if kind is CookieKind.UNMATCHED else "rule"
    name = next((key for (one, key), other in world.numbers.items() if (one, other) == (what, of)), f"number {of}")
    return f"'unmatched' of {name}" if kind is CookieKind.UNMATCHED else f"rule {name}"


def _mac(vif: VirtualInterface) -> int:
    return int(vif.mac.replace(":", ""), 16)


def _mac_outside(taken: Collection[int]) -> int:
    mac = _FIRST_MAC
    while mac in taken:
        mac += 1
    return mac


def _group_mac(address: IPAddress) -> int:
    """Of an address that stands for many."""
    if not address.is_multicast:
        return _BROADCAST
    return (
        0x01005E000000 | int(address) & 0x7FFFFF if address.version == 4 else 0x333300000000 | int(address) & 0xFFFFFFFF
    )


def _ip_fields(packet: Packet) -> dict[str, int]:
    version = packet.source.version
    fields = {
        "eth_type": ETH_IPV4 if version == 4 else ETH_IPV6,
        "ip_proto": packet.protocol,
        "ip_ttl": packet.ttl,
        f"ipv{version}_src": int(packet.source),
        f"ipv{version}_dst": int(packet.destination),
    }
    name = _PORTS.get(packet.protocol)
    if name is not None:
        fields |= {f"{name}_src": packet.source_port or 0, f"{name}_dst": packet.destination_port or 0}
    if packet.protocol in (ICMP, ICMP6):
        name = "icmpv4" if packet.protocol == ICMP else "icmpv6"
        fields |= {f"{name}_type": packet.icmp_type or 0, f"{name}_code": packet.icmp_code or 0}
    if (packet.protocol, packet.icmp_type, packet.icmp_code) == (ICMP6, NEIGHBOUR_SOLICIT, 0):
        fields["ipv6_nd_target"] = int(packet.destination)  # any that is not 0, which would be one that cannot be read
    return fields
