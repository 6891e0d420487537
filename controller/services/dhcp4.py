"""The DHCP server of an instance: what it may have is decided already, so it keeps no book (RFC 2131). Pure.

Its server identifier is the gateway. Where there is none it is the link-local 169.254.169.254, for nothing of the
segment's subnets may stand for it: they belong to instances, or to hosts outside. What is sent to it does not get
anywhere, and need not: there a client is told to ask everybody (to rebind) soon after it should have renewed.
"""

from __future__ import annotations

import struct
from dataclasses import replace
from ipaddress import IPv4Address

from controller.services import ip
from controller.services.dhcp4_message import CLIENT_PORT, SERVER_PORT, Kind, Message, Option, read, write
from controller.services.terms import Terms

LEASE_S = 3600  # what a client has forgotten by then does no harm: the address stays the VIF's
NO_GATEWAY = IPv4Address("169.254.169.254")
_REBIND_AFTER_S = 30  # without gateway, after the time of renewal
_BROADCAST = IPv4Address("255.255.255.255")
_BROADCAST_MAC = (1 << 48) - 1
_UNSPECIFIED = IPv4Address(0)
_REQUEST, _REPLY = 1, 2
_MOST_SERVERS = 255 // 4  # an option holds so many addresses


def answer(terms: Terms, frame: bytes) -> bytes | None:
    """The frame for the instance that sent this one. None: none is due.

    That is so for what is malformed or comes through a relay, speaks for another MAC, is for another server, declines
    or releases (the address is the VIF's all the same), and when the VIF has no IPv4 address.
    """
    datagram = ip.read_datagram(frame)
    if datagram is None or datagram.ports[1] != SERVER_PORT or terms.address4 is None:
        return None
    asked = read(datagram.data)
    if asked is None or (asked.op, asked.mac, asked.relay) != (_REQUEST, terms.mac, _UNSPECIFIED):
        return None
    kind = _verdict(terms, asked, terms.address4.ip)
    return None if kind is None else _framed(terms, asked, _reply(terms, asked, kind))


def server_id(terms: Terms) -> IPv4Address:
    return terms.gateway4 or NO_GATEWAY


def _verdict(terms: Terms, asked: Message, own: IPv4Address) -> Kind | None:
    if asked.kind == Kind.DISCOVER:
        return Kind.ACK if Option.RAPID_COMMIT in asked.options else Kind.OFFER
    if asked.kind == Kind.INFORM:
        return Kind.ACK if asked.client == own else None
    if asked.kind != Kind.REQUEST:
        return None
    if Option.SERVER in asked.options and asked.address(Option.SERVER) != server_id(terms):
        return None
    wanted = asked.client if asked.client != _UNSPECIFIED else asked.address(Option.REQUESTED)
    return Kind.ACK if wanted == own else Kind.NAK


def _reply(terms: Terms, asked: Message, kind: Kind) -> Message:
    assert terms.address4 is not None
    own = {option: value for option, value in asked.options.items() if option == Option.CLIENT_ID}  # RFC 6842
    reply = Message(_REPLY, asked.xid, asked.mac, kind, {Option.SERVER: server_id(terms).packed, **own})
    if kind == Kind.NAK:
        return replace(reply, is_broadcast=True)
    options = {**reply.options, **_network(terms)}
    if asked.kind == Kind.INFORM:
        return replace(reply, options=options, client=asked.client)
    options |= _lease(terms)
    if asked.kind == Kind.DISCOVER and kind == Kind.ACK:
        options[Option.RAPID_COMMIT] = b""
    yours = terms.address4.ip
    return replace(reply, options=options, client=asked.client, yours=yours, is_broadcast=asked.is_broadcast)


def _lease(terms: Terms) -> dict[int, bytes]:
    renewal_s = LEASE_S // 2
    rebinding_s = LEASE_S * 7 // 8 if terms.gateway4 is not None else renewal_s + _REBIND_AFTER_S
    times = {Option.LEASE: LEASE_S, Option.RENEWAL: renewal_s, Option.REBINDING: rebinding_s}
    return {option: struct.pack("!I", seconds) for option, seconds in times.items()}


def _network(terms: Terms) -> dict[int, bytes]:
    """Routes are told both ways: there are clients that know but one of the two options."""
    assert terms.address4 is not None
    network = terms.address4.network
    options: dict[int, bytes] = {Option.MASK: network.netmask.packed}
    if network.prefixlen < 31:
        options[Option.BROADCAST] = network.broadcast_address.packed
    if terms.gateway4 is not None:
        options[Option.ROUTER] = terms.gateway4.packed
        options[Option.ROUTES] = b"\0" + terms.gateway4.packed  # a prefix length of 0 with no address: the default
    if terms.dns4:
        options[Option.DNS] = b"".join(one.packed for one in terms.dns4[:_MOST_SERVERS])
    options[Option.MTU] = struct.pack("!H", terms.mtu)
    return options


def _framed(terms: Terms, asked: Message, reply: Message) -> bytes:
    """To the address that the client has or gets, unless it cannot hear that yet (RFC 2131, 4.1)."""
    to = asked.client if asked.client != _UNSPECIFIED else reply.yours
    is_broadcast = reply.is_broadcast or to == _UNSPECIFIED
    ends = server_id(terms).packed, (_BROADCAST if is_broadcast else to).packed
    packet = ip.datagram_of(ends, (SERVER_PORT, CLIENT_PORT), write(reply))
    return ip.frame_of(terms.router_mac, _BROADCAST_MAC if is_broadcast else terms.mac, packet)
