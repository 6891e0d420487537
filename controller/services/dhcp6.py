"""The DHCPv6 server of an instance: what it may have is decided already, so it keeps no book (RFC 8415). Pure.

All addresses of the VIF come in the first IA_NA that asks; no temporary ones, no prefixes. Its identifier (DUID-LL)
follows from the router's MAC, which is the same on every host and at all times.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from ipaddress import IPv6Address

from controller.dataplane.macs import link_local
from controller.services import ip
from controller.services.dhcp6_message import (
    CLIENT_PORT,
    SERVER_PORT,
    Association,
    Kind,
    Message,
    Option,
    Options,
    Status,
    of,
    read,
    read_association,
    status,
    write,
    write_association,
)
from controller.services.terms import Terms

PREFERRED_S, VALID_S = 3600, 7200
_RENEW_S, _REBIND_S = PREFERRED_S // 2, PREFERRED_S * 4 // 5
_LINK_LAYER_DUID = b"\0\3\0\1"  # and Ethernet
_MOST_DUID = 130
_MOST_ASSOCIATIONS = 8  # that are answered for: each of them costs bytes of one frame

_Found = list[tuple[int, bytes]]


def answer(terms: Terms, frame: bytes) -> bytes | None:
    """The frame for the instance that sent this one. None: none is due.

    That is so for what is malformed, comes through a relay, is for another server, or lacks what RFC 8415, 16 asks for.
    """
    datagram = ip.read_datagram(frame)
    if datagram is None or datagram.ports[1] != SERVER_PORT or len(datagram.ends[0]) != 16:
        return None
    asked = read(datagram.data)
    if asked is None or not _is_valid(terms, asked):
        return None
    kind = Kind.REPLY
    if asked.kind == Kind.SOLICIT and asked.first(Option.RAPID_COMMIT) is None:
        kind = Kind.ADVERTISE
    told = _ANSWERS[Kind(asked.kind)](terms, asked)
    if told is None:
        return None
    client = asked.first(Option.CLIENT_ID)
    heads: _Found = [] if client is None else [(Option.CLIENT_ID, client)]
    reply = Message(kind, asked.transaction, [*heads, (Option.SERVER_ID, server_id(terms)), *told])
    ends = link_local(terms.router_mac).to_bytes(16, "big"), link_local(terms.mac).to_bytes(16, "big")
    packet = ip.datagram_of(ends, (SERVER_PORT, CLIENT_PORT), write(reply))
    return ip.frame_of(terms.router_mac, terms.mac, packet)


def server_id(terms: Terms) -> bytes:
    return _LINK_LAYER_DUID + terms.router_mac.to_bytes(6, "big")


_TO_ONE_SERVER = frozenset({Kind.REQUEST, Kind.RENEW, Kind.RELEASE, Kind.DECLINE})


def _is_valid(terms: Terms, asked: Message) -> bool:
    client, server = asked.first(Option.CLIENT_ID), asked.first(Option.SERVER_ID)
    if asked.kind not in _ANSWERS or (client is not None and not 0 < len(client) <= _MOST_DUID):
        return False
    if asked.kind == Kind.INFORMATION_REQUEST:
        has_association = any(asked.first(option) for option in (Option.IA_NA, Option.IA_TA, Option.IA_PD))
        return server in (None, server_id(terms)) and not has_association
    return client is not None and server == (server_id(terms) if asked.kind in _TO_ONE_SERVER else None)


def _leased(terms: Terms, asked: Message) -> Options:
    found: _Found = []
    own = tuple((one.ip, PREFERRED_S, VALID_S) for one in terms.addresses6)
    for value in list(of(asked.options, Option.IA_NA))[:_MOST_ASSOCIATIONS]:
        wanted = read_association(value)
        if wanted is None:
            continue
        if own:
            given = Association(wanted.id, own + _ended(terms, asked, wanted), None, _RENEW_S, _REBIND_S)
        else:
            given = Association(wanted.id, status=Status.NO_ADDRESSES)
        found.append((Option.IA_NA, write_association(given)))
        own = ()
    for option, refusal in ((Option.IA_TA, Status.NO_ADDRESSES), (Option.IA_PD, Status.NO_PREFIX)):
        for value in list(of(asked.options, option))[:_MOST_ASSOCIATIONS]:
            found.append((option, _refused(option, value, refusal)))
    if asked.kind == Kind.SOLICIT and asked.first(Option.RAPID_COMMIT) is not None:
        found.append((Option.RAPID_COMMIT, b""))
    return [*found, *_network(terms)]


def _ended(terms: Terms, asked: Message, wanted: Association) -> tuple[tuple[IPv6Address, int, int], ...]:
    """What a client wants to keep and may not: it is told that its time is over."""
    if asked.kind not in (Kind.RENEW, Kind.REBIND):
        return ()
    own = {one.ip for one in terms.addresses6}
    return tuple((address, 0, 0) for address, *_ in wanted.addresses[:_MOST_ASSOCIATIONS] if address not in own)


def _refused(option: Option, value: bytes, refusal: Status) -> bytes:
    """An association with its id, times of 0 where it has any, and nothing but the status."""
    head = value[:4].ljust(4, b"\0") + (b"" if option == Option.IA_TA else bytes(8))
    content = status(refusal)
    return head + Option.STATUS.to_bytes(2, "big") + len(content).to_bytes(2, "big") + content


def _confirmed(terms: Terms, asked: Message) -> Options | None:
    """Whether all that the client has is right for where it is. None: it has not said what it has."""
    associations = [read_association(value) for value in of(asked.options, Option.IA_NA)]
    claimed = {address for one in associations if one is not None for address, *_ in one.addresses}
    if not claimed:
        return None
    own: set[IPv6Address] = {one.ip for one in terms.addresses6}
    verdict = Status.SUCCESS if claimed <= own else Status.NOT_ON_LINK
    return [(Option.STATUS, status(verdict)), *_network(terms)]


def _taken_note(terms: Terms, asked: Message) -> Options:
    """Of what is released or declined. The address stays the VIF's."""
    return [(Option.STATUS, status(Status.SUCCESS))]


def _informed(terms: Terms, asked: Message) -> Options:
    return _network(terms)


def _network(terms: Terms) -> _Found:
    return [(Option.DNS, b"".join(one.packed for one in terms.dns6))] if terms.dns6 else []


_ANSWERS: Mapping[Kind, Callable[[Terms, Message], Options | None]] = {
    Kind.SOLICIT: _leased,
    Kind.REQUEST: _leased,
    Kind.RENEW: _leased,
    Kind.REBIND: _leased,
    Kind.CONFIRM: _confirmed,
    Kind.RELEASE: _taken_note,
    Kind.DECLINE: _taken_note,
    Kind.INFORMATION_REQUEST: _informed,
}
