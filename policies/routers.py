"""What a routed segment says of its router: its addresses inside, and its way out. Pure."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Network

from policies.addresses import address as parse_address
from policies.addresses import first_host, is_of_host
from policies.addresses import interface as parse_interface
from policies.errors import Place
from policies.model import IPAddress, IPInterface, IPNetwork
from policies.reader import Reader
from policies.source import Listing, Tree

MOST_ADDRESSES = 64  # of a router on its uplink
_NEVER_ROUTED = tuple(
    (int(network[0]), int(network[-1]))
    for network in map(IPv4Network, ("0.0.0.0/8", "127.0.0.0/8", "169.254.0.0/16", "224.0.0.0/3"))
)
_FAMILY = {4: "IPv4", 6: "IPv6"}


@dataclass(frozen=True, slots=True)
class Router:
    """gateways: one of each subnet, in the order of the subnets. addresses: on the uplink.

    networks: what it reaches there directly, with where the first address of each stands; not fe80::, as on any link.
    """

    gateways: tuple[IPAddress, ...]
    addresses: tuple[IPInterface, ...]
    via: tuple[IPAddress, ...]
    networks: Mapping[IPNetwork, Place]


def read_router(reader: Reader, fields: Mapping[str, Tree], subnets: Mapping[IPNetwork, Place]) -> Router:
    """From the fields of a routed segment, and its subnets that could be read, in their order."""
    _refuse_missing_way(reader, fields)
    gateways = _gateways(reader, fields, subnets)
    own = _addresses(reader, fields["address"]) if "address" in fields else []
    networks: dict[IPNetwork, Place] = {}
    for address, place in own:
        if address.version == 4 or not address.is_link_local:
            networks.setdefault(address.network, place)
    addresses = tuple(address for address, _ in own)
    neighbours = addresses if len(addresses) == _length(fields.get("address")) else None
    via = _via(reader, fields["via"], neighbours) if "via" in fields else ()
    return Router(gateways, addresses, via, networks)


def _refuse_missing_way(reader: Reader, fields: Mapping[str, Tree]) -> None:
    """The way out needs an uplink, an address on it, and only then a next router."""
    for key in ("vlan", "address", "via"):
        if key in fields and "uplink" not in fields:
            problem = f"a routed segment has no use for '{key}' without an uplink"
            reader.problems.add(fields[key].place, problem, f"Add 'uplink: NAME', or remove '{key}'")
    if "uplink" in fields and "address" not in fields:
        problem = "the router has no address on its uplink"
        reader.problems.add(fields["uplink"].place, problem, "Add 'address: [192.0.2.2/24]', or remove 'uplink'")


def _gateways(reader: Reader, fields: Mapping[str, Tree], subnets: Mapping[IPNetwork, Place]) -> tuple[IPAddress, ...]:
    """The one given for each subnet, else its first address."""
    for subnet, place in subnets.items():
        if subnet.num_addresses < 2:
            problem = f"{subnet} has no address for an instance beside the gateway's"
            reader.problems.add(place, problem, "Write a shorter prefix length")
        elif subnet.version == 4 and _overlaps(subnet, _NEVER_ROUTED):
            problem = f"{subnet} holds addresses that no router forwards"
            reader.problems.add(place, problem, "Write another subnet, or make the segment internal")
    order = sorted(subnets, key=_start)
    starts = [_start(subnet) for subnet in order]
    all_read = len(subnets) == _length(fields.get("subnets"))
    found: dict[IPNetwork, IPAddress] = {}
    for item in reader.items(fields["gateway"]) if "gateway" in fields else ():
        given = reader.value(item, parse_address)
        if given is None:
            continue
        before = bisect_right(starts, (given.version, int(given)))
        home = order[before - 1] if before else None
        if home is None or given.version != home.version or given not in home:
            if all_read:
                problem = f"{given} is in no subnet of this segment"
                reader.problems.add(item.place, problem, "Write an address of one of its subnets")
        elif not is_of_host(home, given):
            problem = f"{given} is not the address of a host in {home}"
            reader.problems.add(item.place, problem, f"Write another, such as {first_host(home)}")
        elif found.setdefault(home, given) is not given:
            problem = f"subnet {home} has the gateway {found[home]} already"
            reader.problems.add(item.place, problem, "Write at most one gateway for each subnet")
    return tuple(found.get(subnet) or first_host(subnet) for subnet in subnets)


def _overlaps(subnet: IPNetwork, ranges: Sequence[tuple[int, int]]) -> bool:
    first, last = int(subnet.network_address), int(subnet.broadcast_address)
    return any(first <= end and start <= last for start, end in ranges)


def _start(subnet: IPNetwork) -> tuple[int, int]:
    return subnet.version, int(subnet.network_address)


def _length(tree: Tree | None) -> int | None:
    return len(tree.items) if isinstance(tree, Listing) else None


def _addresses(reader: Reader, tree: Tree) -> list[tuple[IPInterface, Place]]:
    items = reader.items(tree)
    if len(items) > MOST_ADDRESSES:
        problem = f"{len(items)} addresses are more than the {MOST_ADDRESSES} that a router has on its uplink"
        reader.problems.add(tree.place, problem, "Write fewer")
        return []
    found: dict[IPAddress, tuple[IPInterface, Place]] = {}
    for item in items:
        own = reader.value(item, parse_interface)
        if own is not None and own.ip in found:
            reader.problems.add(item.place, f"{own.ip} is given twice", "Remove one of them")
        elif own is not None:
            found[own.ip] = (own, item.place)
    return list(found.values())


def _via(reader: Reader, tree: Tree, own: Sequence[IPInterface] | None) -> tuple[IPAddress, ...]:
    """The next routers, which must be neighbours: in a network of one of the router's own addresses.

    own None: these could not all be read.
    """
    found: dict[int, IPAddress] = {}
    for item in reader.items(tree):
        router = reader.value(item, parse_address)
        if router is None:
            continue
        family = _FAMILY[router.version]
        if router.version in found:
            problem = f"{found[router.version]} is the next {family} router already"
            reader.problems.add(item.place, problem, "Write at most one of each IP version")
        elif any(router == address.ip for address in own or ()):
            problem = f"{router} is the router's own 'address'"
            reader.problems.add(item.place, problem, "Write the address of the next router")
        elif own is not None and not any(is_of_host(address.network, router) for address in own):
            problem = f"{router} is not the address of a host in a network of 'address'"
            reader.problems.add(item.place, problem, "Write a neighbour, or add an address in its network to 'address'")
        else:
            found[router.version] = router
    return tuple(found.values())
