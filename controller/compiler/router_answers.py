"""What the router answers by flow entries alone: ARP, neighbour discovery, echo requests; as actions and entries.

An answer is the question turned round in place. Neighbour discovery takes two entries: what a packet is now decides
which of its fields can be set, so the solicitation first becomes an advertisement, and that gets its option.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from ipaddress import IPv4Address, IPv6Address

from controller.compiler.antispoof import NEIGHBOUR_ADVERT, NEIGHBOUR_SOLICIT
from controller.compiler.flow import Flow, Origin, flow, goto
from controller.dataplane.actions import (
    DROP,
    Action,
    Conntrack,
    Instructions,
    Move,
    Output,
    Resubmit,
    SetField,
)
from controller.dataplane.match import FieldValue
from controller.dataplane.pipeline import FORWARD, MARKING, ROUTE, ROUTER
from controller.dataplane.protocols import (
    CT_INVALID,
    CT_TRACKED,
    ETH_ARP,
    ETH_IPV4,
    ETH_IPV6,
    FIRST_FRAGMENT,
    ICMP,
    ICMP6,
    LATER_FRAGMENT,
    NO_FRAGMENT,
)
from controller.dataplane.registers import ANSWERED, FLOOD_CHUNK, MARK, SOURCE_VIF

Fields = dict[str, FieldValue]

ON_LINK_HOPS = 255  # of neighbour discovery: what crossed a router has less, and is not believed
GATEWAY_FLAGS, ROUTER_FLAGS, PROXY_FLAGS = 0xE000_0000, 0xE000_0000, 0x4000_0000  # router, solicited, override
_REQUEST, _REPLY = 1, 2
_TARGET_OPTION = 2
_TTL = 64
_FRAGMENT = (1, 1)
_SENT_BACK = SetField("came_in_by", 0)  # else the switch would not send a packet out where it came in
_ECHO = {4: (ICMP, 8, 0), 6: (ICMP6, 128, 129)}  # protocol, request, reply


def solicit(target: int) -> Fields:
    return {
        "eth_type": ETH_IPV6,
        "ip_proto": ICMP6,
        "icmpv6_type": NEIGHBOUR_SOLICIT,
        "icmpv6_code": 0,
        "ip_ttl": ON_LINK_HOPS,
        "ipv6_nd_target": target,
    }


def arp_request(target: int) -> Fields:
    return {"eth_type": ETH_ARP, "arp_op": _REQUEST, "arp_tpa": target}


def arp_answer(address: int, mac: int) -> tuple[Action, ...]:
    return (
        *_to_sender(mac),
        SetField("arp_op", _REPLY),
        Move("arp_sha", "arp_tha"),
        Move("arp_spa", "arp_tpa"),
        SetField("arp_sha", mac),
        SetField("arp_spa", address),
    )


def advertise(target: int, mac: int, flags: int, has_option: bool) -> tuple[Action, ...]:
    """has_option: whether the solicitation has room for a link-layer address."""
    option = (SetField("nd_options_type", _TARGET_OPTION),) if has_option else ()
    return (
        *_to_sender(mac),
        *option,
        SetField("nd_reserved", flags),
        Move("ipv6_src", "ipv6_dst"),
        SetField("ipv6_src", target),
        SetField("icmpv6_type", NEIGHBOUR_ADVERT),
    )


def to_instance(answer: Sequence[Action]) -> Instructions:
    """Out of the port where the question came in."""
    return Instructions(apply=(*answer, Output(None)))


def to_outside(*answer: Action) -> Instructions:
    """Out of the uplink, also where the question came in, with its tag."""
    return goto(MARKING, _SENT_BACK, *answer)


def with_option(answer: Sequence[Action]) -> Instructions:
    """Goes on in an entry of `second_step`."""
    return Instructions(apply=(*answer, SetField(FLOOD_CHUNK, ANSWERED), Resubmit(ROUTER.id)))


def second_step(mac: int, origin: Origin, onwards: Instructions | None = None, **where: FieldValue) -> Flow:
    """onwards: what takes the answer outside, for what is asked there (`where`); None: to an instance."""
    fields: Fields = {
        FLOOD_CHUNK: ANSWERED, "eth_type": ETH_IPV6, "ip_proto": ICMP6, "icmpv6_type": NEIGHBOUR_ADVERT,
        "icmpv6_code": 0, **where,
    }  # fmt: skip
    option = SetField("ipv6_nd_tll", mac)
    if onwards is None:
        return flow(ROUTER, 410, fields, origin, to_instance([option]))
    return flow(ROUTER, 420, fields, origin, replace(onwards, apply=(option, *onwards.apply)))


def echo(
    address: IPv4Address | IPv6Address, mac: int, origin: Origin, outwards: Instructions | None = None
) -> Iterator[Flow]:
    """Entries of table route that answer pings of one of the router's addresses; what else is sent to it is dropped.

    outwards: what takes an answer outside, for pings from there; None: for those of instances.
    Of a first fragment the switch hides the type, and of later ones everything: so fragments are looked up in the
    connection table once more, which tells what the whole packet is. Each goes back as it came.
    """
    version = address.version
    protocol, request, reply = _ECHO[version]
    base: Fields = {"eth_type": ETH_IPV4 if version == 4 else ETH_IPV6, f"ipv{version}_dst": int(address)}
    named, extra = f"icmpv{version}", 0
    if outwards is not None:
        base[SOURCE_VIF], extra = 0, 1
    whole: Fields = {"ip_proto": protocol, f"{named}_type": request, f"{named}_code": 0, "ip_frag": NO_FRAGMENT}
    tracked: Fields = {"ct_state": (CT_TRACKED, CT_TRACKED | CT_INVALID), "ct_nw_proto": protocol}
    first: Fields = {"ip_proto": protocol, **tracked, "ct_tp_src": request, "ct_tp_dst": 0, "ip_frag": FIRST_FRAGMENT}
    later: Fields = {**tracked, "ip_frag": LATER_FRAGMENT}
    turned = (
        *_to_sender(mac),
        Move(f"ipv{version}_src", f"ipv{version}_dst"),
        SetField(f"ipv{version}_src", int(address)),
        SetField("ip_ttl", _TTL),
    )
    answer = (*turned, SetField(f"{named}_type", reply))
    look_up = Instructions(apply=(Conntrack(SOURCE_VIF, ROUTE.id),))
    fragment: Fields = {"ip_frag": _FRAGMENT, "ct_state": (0, CT_TRACKED)}
    yield flow(ROUTE, 950 + extra, {**base, **fragment}, origin, look_up)
    for fields, actions in ((whole, answer), (first, answer), (later, turned)):
        yield flow(ROUTE, 910 + extra, {**base, **fields}, origin, _reply(actions, outwards))
    if outwards is None:
        yield flow(ROUTE, 900, base, origin, DROP)


def _reply(answer: Sequence[Action], outwards: Instructions | None) -> Instructions:
    """To an instance as a reply from outside, which the instance's policy judges as one."""
    if outwards is not None:
        return replace(outwards, apply=(*answer, *outwards.apply))
    return goto(FORWARD, *answer, SetField(SOURCE_VIF, 0), SetField(MARK, 0), _SENT_BACK)


def _to_sender(mac: int) -> tuple[Action, ...]:
    return Move("eth_src", "eth_dst"), SetField("eth_src", mac)
