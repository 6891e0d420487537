"""Segments and links as written, and what must hold among them. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

from policies import addresses, units
from policies.errors import Place, Problems
from policies.grammar import LINK, SEGMENT, SEGMENT_TYPE
from policies.model import IPNetwork, Link, Segment, SegmentType
from policies.reader import Reader, whole_number
from policies.routers import read_router
from policies.source import Entry, Tree

Networks = list[tuple[IPNetwork, Place, str]]  # with the name of the segment

_ROUTER_KEYS = ("gateway", "address", "via")


def read_segments(reader: Reader, entries: Iterable[Entry]) -> Mapping[str, Segment]:
    """The `segments` of all files; overlaps among them are errors."""
    segments: dict[str, Segment] = {}
    networks: Networks = []
    on_wire: dict[tuple[str, int | None], str] = {}
    for entry in entries:
        segment = _segment(reader, entry, networks)
        segments[entry.key] = segment
        if segment.uplink is None:
            continue
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
