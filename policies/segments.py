"""Segments and links as written, and what must hold among them. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from policies import addresses, units
from policies.errors import Place, Problems
from policies.grammar import LINK, SEGMENT, SEGMENT_TYPE
from policies.model import IPNetwork, Link, Segment, SegmentType
from policies.reader import Reader, whole_number
from policies.source import Entry, Tree

Subnets = list[tuple[IPNetwork, Place, str]]  # with the name of the segment


def read_segments(reader: Reader, entries: Iterable[Entry]) -> Mapping[str, Segment]:
    """The `segments` of all files; overlaps among them are errors."""
    segments: dict[str, Segment] = {}
    subnets: Subnets = []
    on_wire: dict[tuple[str, int | None], str] = {}
    for entry in entries:
        segment = _segment(reader, entry, subnets)
        segments[entry.key] = segment
        if segment.uplink is None:
            continue
        other = on_wire.setdefault((segment.uplink, segment.vlan), segment.name)
        if other != segment.name:
            vlan = "untagged" if segment.vlan is None else f"VLAN {segment.vlan}"
            problem = f"is {vlan} on uplink '{segment.uplink}', as is '{other}' at {segments[other].at}"
            reader.problems.add(entry.key_place, problem, "Give each segment of an uplink a 'vlan' of its own")
    _refuse_overlaps(reader.problems, subnets)
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


def _segment(reader: Reader, entry: Entry, subnets: Subnets) -> Segment:
    fields = reader.fields(entry.value, SEGMENT)
    word = reader.word(fields["type"], SEGMENT_TYPE) if "type" in fields else None
    own = _subnets(reader, fields["subnets"], entry.key, subnets) if "subnets" in fields else ()
    uplink = reader.name(fields["uplink"], "uplink") if "uplink" in fields else None
    vlan = reader.value(fields["vlan"], whole_number(1, 4094)) if "vlan" in fields else None
    if word == SegmentType.BRIDGED and "uplink" not in fields:
        problem = "is missing; a bridged segment reaches the outside through it"
        place = Place(entry.value.place.at, entry.value.place, "uplink")
        reader.problems.add(place, problem, "Add 'uplink: NAME', or make the segment internal")
    if word == SegmentType.INTERNAL:
        for key in ("uplink", "vlan"):
            if key in fields:
                remedy = "Remove it, or make the segment bridged"
                reader.problems.add(fields[key].place, f"an internal segment has no {key}", remedy)
    segment_type = SegmentType(word) if word else SegmentType.INTERNAL
    return Segment(entry.key, segment_type, entry.key_place.at, own, uplink, vlan)


def _subnets(reader: Reader, tree: Tree, segment: str, subnets: Subnets) -> tuple[IPNetwork, ...]:
    found = []
    for item in reader.items(tree):
        network = reader.value(item, addresses.subnet)
        if network is not None:
            found.append(network)
            subnets.append((network, item.place, segment))
    return tuple(found)


def _refuse_overlaps(problems: Problems, subnets: Subnets) -> None:
    """Prefixes nest or are apart, so in order of address each can only lie in the last one that began before it."""
    around: tuple[IPNetwork, Place, str] | None = None
    order = sorted(subnets, key=lambda s: (s[0].version, int(s[0].network_address), s[0].prefixlen, s[1].at))
    for network, place, segment in order:
        outer = around[0] if around else None
        if around is None or outer is None or outer.version != network.version or network[0] not in outer:
            around = (network, place, segment)
            continue
        problem = f"overlaps with {outer} of segment '{around[2]}' at {around[1].at}"
        problems.add(place, f"{network} {problem}", "Choose subnets that are apart")
