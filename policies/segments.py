"""Segments and links as written, and what must hold among them. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from ipaddress import IPv4Address

from policies import addresses, units
from policies.errors import Place, Problems
from policies.grammar import LINK, SEGMENT, SEGMENT_TYPE
from policies.model import IPAddress, IPNetwork, Link, Segment, SegmentType
from policies.reader import Reader, whole_number
from policies.routers import read_router
from policies.source import Entry, Tree

Networks = list[tuple[IPNetwork, Place, str]]  # with the name of the segment

_ROUTER_KEYS = ("gateway", "address", "via")
LEAST_MTU, MOST_MTU = 1280, 9216  # bytes of an IP packet: what IPv6 needs (RFC 8200), what Ethernet devices take
MOST_NAME_SERVERS = 16  # that fit into an answer with all the rest


def read_segments(reader: Reader, entries: Iterable[Entry]) -> Mapping[str, Segment]:
    """The `segments` of all files; overlaps among them are errors."""
    segments: dict[str, Segment] = {}
    networks: Networks = []
    on_wire: dict[tuple[str, int | None], str] = {}
    next_routers: dict[int, Segment] = {}
    for entry in entries:
        segment = _segment(reader, entry, networks)
        segments[entry.key] = segment
        if segment.uplink is None:
            continue
        _refuse_second_way(reader.problems, entry, segment, next_routers)
        other = on_wire.setdefault((segment.uplink, segment.vlan), segment.name)
        if other != segment.name:
            vlan = "untagged" if segment.vlan is None else f"VLAN {segment.vlan}"
            problem = f"is {vlan} on uplink '{segment.uplink}', as is '{other}' at {segments[other].at}"
            reader.problems.add(entry.key_place, problem, "Give each segment of an uplink a 'vlan' of its own")
    _refuse_overlaps(reader.problems, networks)
    return segments


def read_links(reader: Reader, entries: Iterable[Entry]) -> Mapping[str, Link]:
    links: dict[str, Link] = {}
    for entry in entries:
        fields = reader.fields(entry.value, LINK)
        capacity = reader.value(fields["capacity"], units.rate_kbps) if "capacity" in fields else None
        if capacity == 0:
            reader.problems.add(
                fields["capacity"].place, "a link without capacity carries nothing", "Write its capacity"
            )
        hosts = None
        if "hosts" in fields:
            hosts = tuple(host for item in reader.items(fields["hosts"]) if (host := reader.name(item, "host")))
        links[entry.key] = Link(entry.key, capacity or 1, entry.key_place.at, hosts)
    return links


def _segment(reader: Reader, entry: Entry, networks: Networks) -> Segment:
    fields = reader.fields(entry.value, SEGMENT)
    word = reader.word(fields["type"], SEGMENT_TYPE) if "type" in fields else None
    if word is not None:
        _refuse_what_does_not_fit(reader.problems, SegmentType(word), fields, entry.value.place)
    subnets = _subnets(reader, fields["subnets"]) if "subnets" in fields else []
    networks += [(network, place, entry.key) for network, place in subnets]
    segment = Segment(
        name=entry.key,
        type=SegmentType(word) if word else SegmentType.INTERNAL,
        at=entry.key_place.at,
        subnets=tuple(network for network, _ in subnets),
        uplink=reader.name(fields["uplink"], "uplink") if "uplink" in fields else None,
        vlan=reader.value(fields["vlan"], whole_number(1, 4094)) if "vlan" in fields else None,
        dns=tuple(_name_servers(reader, fields["dns"])) if "dns" in fields else (),
        mtu=reader.value(fields["mtu"], whole_number(LEAST_MTU, MOST_MTU)) if "mtu" in fields else None,
    )
    if segment.type is not SegmentType.ROUTED:
        return segment
    router = read_router(reader, fields, dict(subnets))
    networks += [(network, place, entry.key) for network, place in router.networks.items()]
    return replace(segment, gateways=router.gateways, addresses=router.addresses, via=router.via)


def _refuse_what_does_not_fit(
    problems: Problems, segment_type: SegmentType, fields: Mapping[str, Tree], whole: Place
) -> None:
    """Keys that a type of segment has no use for, and those that it lacks."""
    name = f"{'an' if segment_type is SegmentType.INTERNAL else 'a'} {segment_type.value} segment"
    missing = {
        SegmentType.BRIDGED: ("uplink", "a bridged segment reaches the outside through it", "uplink: NAME"),
        SegmentType.ROUTED: ("subnets", "a router must know whom it finds in a segment", "subnets: [10.0.0.0/24]"),
    }.get(segment_type)
    if missing is not None and missing[0] not in fields:
        problem, remedy = f"is missing; {missing[1]}", f"Add '{missing[2]}', or make the segment internal"
        problems.add(Place(whole.at, whole, missing[0]), problem, remedy)
    no_use: dict[str, str] = {}  # key -> the types that have one
    if segment_type is not SegmentType.ROUTED:
        no_use = dict.fromkeys(_ROUTER_KEYS, "routed")
    if segment_type is SegmentType.INTERNAL:
        no_use |= dict.fromkeys(("uplink", "vlan"), "bridged")
    for key in [key for key in no_use if key in fields]:
        remedy = f"Remove it, or make the segment {no_use[key]}"
        problems.add(fields[key].place, f"{name} has no {key}", remedy)


def _refuse_second_way(problems: Problems, entry: Entry, segment: Segment, known: dict[int, Segment]) -> None:
    """All routed segments share one router, and it has one next router of each IP version. known: by version."""
    for router in segment.via:
        other = known.setdefault(router.version, segment)
        if other is not segment:
            first = next(via for via in other.via if via.version == router.version)
            problem = f"{router} is a second next router for IPv{router.version}, after {first} of segment"
            remedy = "All routed segments share one router: write one 'via' of each IP version among them"
            problems.add(Place(segment.at, entry.key_place, "via"), f"{problem} '{other.name}' at {other.at}", remedy)


def _name_servers(reader: Reader, tree: Tree) -> Iterator[IPAddress]:
    items = reader.items(tree)
    if len(items) > MOST_NAME_SERVERS:
        problem = f"{len(items)} name servers are more than the {MOST_NAME_SERVERS} that an instance can be told"
        reader.problems.add(tree.place, problem, "Write fewer")
        return
    found: set[IPAddress] = set()
    for item in items:
        server = reader.value(item, addresses.address)
        if server is None:
            continue
        if server.is_multicast or server.is_unspecified or server == IPv4Address("255.255.255.255"):
            reader.problems.add(item.place, f"{server} is not the address of a host", "Write that of a name server")
        elif server.is_loopback or (server.version == 6 and server.is_link_local):
            problem = f"{server} is another host on each link"
            reader.problems.add(item.place, problem, "Write an address of the name server that all can reach")
        elif server in found:
            reader.problems.add(item.place, f"{server} is given twice", "Remove one of them")
        else:
            found.add(server)
            yield server


def _subnets(reader: Reader, tree: Tree) -> list[tuple[IPNetwork, Place]]:
    read = ((reader.value(item, addresses.subnet), item.place) for item in reader.items(tree))
    return [(network, place) for network, place in read if network is not None]


def _refuse_overlaps(problems: Problems, networks: Networks) -> None:
    """Prefixes nest or are apart, so in order of address each can only lie in the last one that began before it."""
    around: tuple[IPNetwork, Place, str] | None = None
    order = sorted(networks, key=lambda s: (s[0].version, int(s[0].network_address), s[0].prefixlen, s[1].at))
    for network, place, segment in order:
        outer = around[0] if around else None
        if around is None or outer is None or outer.version != network.version or network[0] not in outer:
            around = (network, place, segment)
            continue
        problem = f"overlaps with {outer} of segment '{around[2]}' at {around[1].at}"
        problems.add(place, f"{network} {problem}", "Choose subnets that are apart")
