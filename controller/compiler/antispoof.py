"""Tables antispoof and host_protocols: a VIF speaks only for itself, and what every host needs is always served.

antispoof holds Ethernet, ARP and the source address of IP. host_protocols then looks into neighbour discovery, and lets
ND, DHCP, IGMP and MLD past the policy. A packet from the unspecified address passes only as what may come from it.
No VIF is a DHCP server: what it sends to a client's port is dropped, from whatever port: clients look at theirs alone.

No switch can match the link-layer address that a router solicitation carries, and hosts need theirs answered. They send
them from their link-local address, or from none, and from no other they pass: a false one then tells routers nothing of
the addresses that traffic goes to, only of the sender's own link-local one.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from controller.compiler.bridge import Bridge, BridgeVif
from controller.compiler.flow import Flow, flow, goto, of_table
from controller.compiler.parts import Part
from controller.dataplane.actions import DROP
from controller.dataplane.cookies import CookieKind
from controller.dataplane.macs import PROBES, link_local
from controller.dataplane.match import FieldValue
from controller.dataplane.pipeline import ANTISPOOF, EGRESS_CONNTRACK, EGRESS_METER, HOST_PROTOCOLS
from controller.dataplane.protocols import ETH_ARP, ETH_IPV4, ETH_IPV6, ICMP6, IGMP, UDP

ROUTER_SOLICIT, NEIGHBOUR_SOLICIT, NEIGHBOUR_ADVERT = 133, 135, 136
NEIGHBOUR_DISCOVERY = (133, 134, 135, 136, 137)
MULTICAST_LISTENER = (130, 131, 132, 143)
DHCP4_CLIENT: dict[str, FieldValue] = {"eth_type": ETH_IPV4, "ip_proto": UDP, "udp_src": 68, "udp_dst": 67}
DHCP6_CLIENT: dict[str, FieldValue] = {"eth_type": ETH_IPV6, "ip_proto": UDP, "udp_src": 546, "udp_dst": 547}
DHCP_CLIENT_PORTS = {4: 68, 6: 546}  # of UDP, by IP version; no VIF sends there
DHCP_PORTS = {4: (67, 68), 6: (546, 547)}  # likewise, with those of servers

_UNSPECIFIED = 0
_ABSENT = 0  # what the switch holds for a link-layer address option that the packet does not have
_BROADCAST4 = 0xFFFFFFFF
_LINK_LOCAL_NET = (0xFE80 << 112, 0xFFC0 << 112)
_REQUEST = 1


def addresses(vif: BridgeVif, version: int) -> list[int]:
    """Addresses of the VIF in one family, the link-local one with them."""
    own = [int(address.ip) for address in vif.addresses if address.version == version]
    if version == 6:
        own.append(link_local(vif.mac))
    return sorted(set(own))


def parts(bridge: Bridge) -> Iterator[Part]:
    yield Part("host protocols", None, _common)
    yield Part("answered probes", None, _answered)
    for vif in bridge.vifs:
        learns = bridge.segments[vif.segment].learns
        yield Part(("antispoof", vif.number), (vif.mac, vif.addresses, learns), partial(_of_vif, vif, learns))


def _answered() -> Iterator[Flow]:
    """What answers a probe of the host is seen where it arrives, and goes nowhere."""
    yield flow(ANTISPOOF, 200, {"eth_dst": PROBES}, of_table(ANTISPOOF), DROP)


def _of_vif(vif: BridgeVif, learns: bool) -> Iterator[Flow]:
    yield from _sources(vif)
    if learns:  # what its server tells it may have been missed: it asks again from an address that is not known here
        asks: dict[str, FieldValue] = {"reg0": vif.number, "eth_src": vif.mac, **DHCP4_CLIENT}
        yield flow(ANTISPOOF, 90, asks, (CookieKind.VIF, vif.number), goto(HOST_PROTOCOLS))
    yield from _neighbour_discovery(vif)


def _sources(vif: BridgeVif) -> Iterator[Flow]:
    origin, own = (CookieKind.VIF, vif.number), {"reg0": vif.number, "eth_src": vif.mac}
    arp = {**own, "eth_type": ETH_ARP, "arp_sha": vif.mac}
    yield flow(ANTISPOOF, 100, {**arp, "arp_spa": _UNSPECIFIED, "arp_op": _REQUEST}, origin, goto(EGRESS_METER))
    for address in addresses(vif, 4):
        yield flow(ANTISPOOF, 100, {**arp, "arp_spa": address}, origin, goto(EGRESS_METER))
    for eth_type, field, version in ((ETH_IPV4, "ipv4_src", 4), (ETH_IPV6, "ipv6_src", 6)):
        for address in (_UNSPECIFIED, *addresses(vif, version)):
            fields = {**own, "eth_type": eth_type, field: address}
            yield flow(ANTISPOOF, 100, {**fields}, origin, goto(HOST_PROTOCOLS))


def _neighbour_discovery(vif: BridgeVif) -> Iterator[Flow]:
    """What the VIF says of itself: solicitations with its own MAC, or none; claims to its own addresses only."""
    origin, own = (CookieKind.VIF, vif.number), {"reg0": vif.number}
    solicit, advert = _icmp6(NEIGHBOUR_SOLICIT, icmpv6_code=0), _icmp6(NEIGHBOUR_ADVERT, icmpv6_code=0)
    yield flow(HOST_PROTOCOLS, 200, {**own, **solicit, "ipv6_nd_sll": vif.mac}, origin, goto(EGRESS_METER))
    for target in addresses(vif, 6):
        probe = {**own, **solicit, "ipv6_src": _UNSPECIFIED, "ipv6_nd_target": target, "ipv6_nd_sll": _ABSENT}
        yield flow(HOST_PROTOCOLS, 300, probe, origin, goto(EGRESS_METER))
        for mac in (vif.mac, _ABSENT):
            claim = {**own, **advert, "ipv6_nd_target": target, "ipv6_nd_tll": mac}
            yield flow(HOST_PROTOCOLS, 200, claim, origin, goto(EGRESS_METER))


def _common() -> Iterator[Flow]:
    def passes(priority: int, fields: dict[str, FieldValue]) -> Flow:
        return flow(HOST_PROTOCOLS, priority, fields, of_table(HOST_PROTOCOLS), goto(EGRESS_METER))

    def drops(priority: int, fields: dict[str, FieldValue]) -> Flow:
        return flow(HOST_PROTOCOLS, priority, fields, of_table(HOST_PROTOCOLS), DROP)

    unspecified4: dict[str, FieldValue] = {"eth_type": ETH_IPV4, "ipv4_src": _UNSPECIFIED}
    unspecified6: dict[str, FieldValue] = {"eth_type": ETH_IPV6, "ipv6_src": _UNSPECIFIED}
    yield passes(300, {**DHCP4_CLIENT, **unspecified4, "ipv4_dst": _BROADCAST4})
    yield passes(300, {**unspecified4, "ip_proto": IGMP})
    yield drops(290, unspecified4)
    for kind in (ROUTER_SOLICIT, *MULTICAST_LISTENER):
        yield passes(300, {**_icmp6(kind), **unspecified6})
    yield drops(290, unspecified6)
    # The switch shows options that it cannot read, such as two of a kind, by hiding the target with them.
    yield drops(210, {**_icmp6(NEIGHBOUR_SOLICIT, icmpv6_code=0), "ipv6_nd_target": 0})
    yield passes(200, {**_icmp6(NEIGHBOUR_SOLICIT, icmpv6_code=0), "ipv6_nd_sll": _ABSENT})
    yield passes(200, {**_icmp6(ROUTER_SOLICIT), "ipv6_src": _LINK_LOCAL_NET})
    for kind in MULTICAST_LISTENER:
        yield passes(200, _icmp6(kind))
    yield passes(200, DHCP4_CLIENT)
    yield passes(200, {**DHCP6_CLIENT, "ipv6_src": _LINK_LOCAL_NET})
    yield passes(200, {"eth_type": ETH_IPV4, "ip_proto": IGMP})
    for kind in NEIGHBOUR_DISCOVERY:
        yield drops(190, _icmp6(kind))
    for eth_type, version in ((ETH_IPV4, 4), (ETH_IPV6, 6)):
        yield drops(190, {"eth_type": eth_type, "ip_proto": UDP, "udp_dst": DHCP_CLIENT_PORTS[version]})
    for eth_type in (ETH_IPV4, ETH_IPV6):
        yield flow(HOST_PROTOCOLS, 10, {"eth_type": eth_type}, of_table(HOST_PROTOCOLS), goto(EGRESS_CONNTRACK))


def _icmp6(kind: int, **more: FieldValue) -> dict[str, FieldValue]:
    return {"eth_type": ETH_IPV6, "ip_proto": ICMP6, "icmpv6_type": kind, **more}
