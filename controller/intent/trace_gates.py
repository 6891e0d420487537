"""What becomes of a packet at a VIF whatever its rules say: what is dropped before they are asked, what skips them.

As the tables antispoof, host_protocols and those of connection tracking have it. Pure.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from ipaddress import IPv4Address

from controller.compiler.antispoof import (
    DHCP_CLIENT_PORTS,
    MULTICAST_LISTENER,
    NEIGHBOUR_ADVERT,
    NEIGHBOUR_DISCOVERY,
    NEIGHBOUR_SOLICIT,
    ROUTER_SOLICIT,
)
from controller.compiler.conntrack import ICMP6_ERRORS, ICMP6_QUERIES, ICMP_ERRORS, ICMP_QUERIES
from controller.dataplane.protocols import ICMP, ICMP6, IGMP, TCP, UDP
from policies.identity import Party
from policies.semantics import Packet

_TRACKED_ICMP = {  # (of any code, of code 0 only) that connection tracking follows
    ICMP: (ICMP_ERRORS, ICMP_QUERIES),
    ICMP6: (ICMP6_ERRORS, ICMP6_QUERIES),
}
_OPENS = {(ICMP, 8), (ICMP, 13), (ICMP, 15), (ICMP6, 128)}  # queries; type 17 is none to Open vSwitch
_DHCP_ASKS = {
    4: (68, 67),
    6: (546, 547),
}  # ports of a client's packets by IP version; a server's are the other way round
_BROADCAST = IPv4Address("255.255.255.255")


class Fate(Enum):
    JUDGED = "judged"  # by the rules
    SERVED = "served"
    DROPPED = "dropped"
    UNTOLD = "not told"  # it depends on what the question does not say


@dataclass(frozen=True, slots=True)
class Gate:
    """why: a sentence without full stop; "" for what is judged."""

    fate: Fate
    why: str = ""


def at_sender(packet: Packet, sender: Party, learns: bool = False) -> Gate:
    """learns: its addresses come from outside: it may renew one there that Weir does not know."""
    is_own, is_nobodys = packet.source in sender.addresses, packet.source.is_unspecified
    if learns and packet.source.version == 4 and not is_nobodys and _is_dhcp_request(packet):
        return _dhcp()
    if not (is_own or (is_nobodys and _needs_no_address(packet))):
        return Gate(Fate.DROPPED, f"anti-spoofing drops it: {packet.source} is no address of VIF {sender.name}")
    if _is_icmp6(packet, NEIGHBOUR_DISCOVERY):
        return _neighbour_discovery(packet)
    if packet.protocol == UDP and packet.destination_port == DHCP_CLIENT_PORTS[packet.source.version]:
        return Gate(Fate.DROPPED, "no VIF is a DHCP server, and this is the port of a client")
    return _served_both_ways(packet) or (_dhcp() if _is_dhcp_request(packet) else _tracked(packet))


def at_receiver(packet: Packet, is_from_outside: bool) -> Gate:
    """is_from_outside: whether it comes to the receiver's switch through an uplink."""
    if _is_icmp6(packet, NEIGHBOUR_DISCOVERY):
        return _discovery()
    answers = _DHCP_ASKS[packet.source.version][::-1]
    if is_from_outside and packet.protocol == UDP and (packet.source_port, packet.destination_port) == answers:
        return _dhcp()
    return _served_both_ways(packet) or _tracked(packet)


def is_asked_of_weir(packet: Packet) -> bool:
    """Whether Weir itself answers it, for a VIF whose addresses it chose, and it goes to nobody else."""
    ports = packet.source_port, packet.destination_port
    is_dhcp = packet.protocol == UDP and ports == _DHCP_ASKS[packet.source.version]
    return is_dhcp or _is_icmp6(packet, (ROUTER_SOLICIT,))


def is_valid(packet: Packet) -> bool:
    """Whether connection tracking takes it for the first packet of a connection."""
    if packet.protocol in (TCP, UDP):
        return 0 not in (packet.source_port, packet.destination_port)
    if packet.protocol in _TRACKED_ICMP:
        return packet.icmp_code == 0 and (packet.protocol, packet.icmp_type) in _OPENS
    return True


def _tracked(packet: Packet) -> Gate:
    """What it cannot follow is invalid to it too, and judged all the same."""
    if is_valid(packet) or _is_untracked(packet):
        return Gate(Fate.JUDGED)
    reason = "it opens no connection" if packet.protocol in _TRACKED_ICMP else "no connection has port 0"
    return Gate(Fate.DROPPED, f"connection tracking calls it invalid as a first packet: {reason}")


def _is_untracked(packet: Packet) -> bool:
    if packet.protocol not in _TRACKED_ICMP:
        return False
    errors, queries = _TRACKED_ICMP[packet.protocol]
    return not (packet.icmp_type in errors or (packet.icmp_type in queries and packet.icmp_code == 0))


def _neighbour_discovery(packet: Packet) -> Gate:
    """Of a sender. The link-layer address that it may tell is taken to be true."""
    kind = packet.icmp_type
    if kind == ROUTER_SOLICIT:
        if packet.source.is_link_local or packet.source.is_unspecified:
            return _discovery()
        return Gate(Fate.DROPPED, "anti-spoofing drops it: routers are solicited from a link-local address, or none")
    if kind not in (NEIGHBOUR_SOLICIT, NEIGHBOUR_ADVERT) or packet.icmp_code != 0:
        text = f"anti-spoofing drops it: no VIF sends neighbour discovery {kind}/{packet.icmp_code}"
        return Gate(Fate.DROPPED, text)
    if kind == NEIGHBOUR_SOLICIT and not packet.source.is_unspecified:
        return _discovery()
    return Gate(Fate.UNTOLD, "it passes if its ND target is an address of the VIF, which the question does not tell")


def _needs_no_address(packet: Packet) -> bool:
    """Whether it may come from the unspecified address."""
    if packet.source.version == 4:
        return packet.protocol == IGMP or (_is_dhcp_request(packet) and packet.destination == _BROADCAST)
    if _is_icmp6(packet, (NEIGHBOUR_SOLICIT,)):
        return packet.icmp_code == 0
    return _is_icmp6(packet, (ROUTER_SOLICIT, *MULTICAST_LISTENER))


def _is_dhcp_request(packet: Packet) -> bool:
    asks = _DHCP_ASKS[packet.source.version]
    is_of_a_client = packet.protocol == UDP and (packet.source_port, packet.destination_port) == asks
    return is_of_a_client and (packet.source.version == 4 or packet.source.is_link_local)


def _is_icmp6(packet: Packet, kinds: tuple[int, ...]) -> bool:
    return packet.source.version == 6 and packet.protocol == ICMP6 and packet.icmp_type in kinds


def _served_both_ways(packet: Packet) -> Gate | None:
    if packet.protocol == IGMP and packet.source.version == 4:
        return Gate(Fate.SERVED, "IGMP is no matter of the policy")
    if _is_icmp6(packet, MULTICAST_LISTENER):
        return Gate(Fate.SERVED, "MLD is no matter of the policy")
    return None


def _discovery() -> Gate:
    return Gate(Fate.SERVED, "neighbour discovery is no matter of the policy")


def _dhcp() -> Gate:
    return Gate(Fate.SERVED, "DHCP is no matter of the policy")
