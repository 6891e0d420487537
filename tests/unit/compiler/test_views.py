"""In which ways the packets of a rule show, and by which fields."""

from __future__ import annotations

from collections.abc import Sequence
from ipaddress import ip_network
from typing import Any

import pytest

from controller.compiler.selector import Own
from controller.compiler.views import Clauses, Fields, Traffic, View, clauses
from controller.dataplane.protocols import ETH_IPV4, ETH_IPV6
from policies.model import Action, Direction, ServiceMatch

EXACT = 0xFFFF
NO_FRAGMENT, NOT_LATER = (0, 3), (0, 2)
NETS = (ip_network("10.0.0.0/8"), ip_network("fd00::1"))
TEN, FD = (10 << 24, 0xFF << 24), (0xFD << 120 | 1, (1 << 128) - 1)


def shown(
    *services: ServiceMatch, views: Sequence[View] = tuple(View), **changes: Any
) -> dict[tuple[View, int | None], Clauses]:
    known = {"action": Action.ALLOW, "direction": Direction.EGRESS, "own": None, "remote": None, **changes}
    found = list(clauses(Traffic(services=services or (ServiceMatch(),), **known), views, "reg0"))
    assert len({(one.view, one.version) for one in found}) == len(found)
    return {(one.view, one.version): one for one in found}


def services(found: dict[tuple[View, int | None], Clauses], view: View, version: int) -> list[Fields] | None:
    one = found.get((view, version))
    return None if one is None else list(one.clauses[2])


def tcp(first: int, last: int, **more: Any) -> ServiceMatch:
    return ServiceMatch(6, ports=(first, last), **more)


def test_what_matches_everything_shows_once_each_way_whatever_the_family() -> None:
    found = shown()
    assert {key: (one.common, one.clauses) for key, one in found.items()} == {
        (View.HEADER, None): ({"ct_state": (0, 0x0C)}, (({},),)),
        (View.REPLY, None): ({"ct_state": (0x28, 0x28)}, (({},),)),
        (View.ERROR, None): ({"ct_state": (0x24, 0x3C)}, (({},),)),
    }
    of_vifs = shown(own=(Own((1, 2), None),))
    assert of_vifs[View.HEADER, None].clauses == ([{"reg0": 1}, {"reg0": 2}],)
    assert set(shown(own=(Own(None, NETS),))) >= {(View.HEADER, 4), (View.HEADER, 6)}


def test_ends_are_in_the_header_of_originals_and_in_the_tuple_of_the_rest() -> None:
    found = shown(tcp(80, 80), own=(Own((7,), NETS), Own((8,), None)), remote=NETS)
    header, reply, first = found[View.HEADER, 4], found[View.REPLY, 6], found[View.FIRST_FRAGMENT, 4]
    assert found[View.ERROR, 4].clauses[:2] == first.clauses[:2]
    assert header.clauses[:2] == ([{"reg0": 7, "ipv4_src": TEN}, {"reg0": 8}], [{"ipv4_dst": TEN}])
    assert reply.clauses[:2] == ([{"reg0": 7, "ct_ipv6_src": FD}, {"reg0": 8}], [{"ct_ipv6_dst": FD}])
    assert first.clauses[:2] == ([{"reg0": 7, "ct_nw_src": TEN}, {"reg0": 8}], [{"ct_nw_dst": TEN}])
    inwards = shown(tcp(80, 80), own=(Own(None, NETS),), remote=NETS[:1], direction=Direction.INGRESS)
    assert inwards[View.HEADER, 4].clauses[:2] == ([{"ipv4_dst": TEN}], [{"ipv4_src": TEN}])
    assert (View.HEADER, 6) not in inwards  # nobody of that family


def test_vifs_and_their_networks_need_not_be_combined_where_they_are_given_once() -> None:
    found = shown(tcp(80, 80), own=(Own((7, 8), NETS),))[View.HEADER, 4]
    assert found.clauses[:3] == ([{"reg0": 7}, {"reg0": 8}], [{"ipv4_src": TEN}], ({},))
    twice = shown(tcp(80, 80), own=(Own((7, 8), NETS), Own((9,), None)))[View.HEADER, 4]
    assert list(twice.clauses[0]) == [{"reg0": 7, "ipv4_src": TEN}, {"reg0": 8, "ipv4_src": TEN}, {"reg0": 9}]


def test_nobody_shows_in_no_way() -> None:
    for nothing in ({"own": ()}, {"remote": ()}, {"own": (Own((), None),)}, {"own": (Own(None, ()),)}):
        assert not [one for one in shown(tcp(80, 80), **nothing).values() if all(one.clauses)]


def test_everywhere_is_of_one_family_and_needs_no_field() -> None:
    found = shown(remote=(ip_network("0.0.0.0/0"),), views=[View.HEADER])
    assert found[View.HEADER, 4].clauses[1] == [{}] and (View.HEADER, 6) not in found
    assert found[View.HEADER, 4].common == {"ct_state": (0, 0x0C), "eth_type": ETH_IPV4}


@pytest.mark.parametrize("version", [4, 6])
def test_a_port_shows_in_headers_tuples_and_not_in_later_fragments(version: int) -> None:
    found = shown(tcp(80, 80))
    of_tuple = [{"ct_nw_proto": 6, "ct_tp_dst": (80, EXACT)}]
    assert services(found, View.HEADER, version) == [{"ip_proto": 6, "tcp_dst": (80, EXACT)}]
    for view in (View.FIRST_FRAGMENT, View.REPLY, View.ERROR):
        assert services(found, view, version) == of_tuple
    later = services(found, View.LATER_FRAGMENT, version), services(found, View.LATER_FRAGMENT_OF_REPLY, version)
    assert later == ([{"ct_nw_proto": 6}], [{"ct_nw_proto": 6}])
    assert found[View.LATER_FRAGMENT, version].common["ip_frag"] == (2, 2)
    assert found[View.HEADER, version].common["eth_type"] == (ETH_IPV4 if version == 4 else ETH_IPV6)


@pytest.mark.parametrize("action", [Action.DENY, Action.REJECT])
def test_later_fragments_are_stopped_only_where_their_whole_packet_surely_is(action: Action) -> None:
    found = shown(tcp(80, 80), ServiceMatch(17), action=action)
    assert services(found, View.LATER_FRAGMENT, 4) is None
    assert services(found, View.LATER_FRAGMENT_OF_REPLY, 4) is services(found, View.LATER_FRAGMENT_OF_REPLY, 6) is None
    assert services(found, View.LATER_FRAGMENT, 6) == [{"ct_nw_proto": 17}]  # whose header hides the protocol
    assert services(found, View.FIRST_FRAGMENT, 4) == [{"ct_nw_proto": 6, "ct_tp_dst": (80, EXACT)}]


def test_a_protocol_without_ports_shows_in_every_header_but_that_of_later_fragments_in_ipv6() -> None:
    found = shown(ServiceMatch(17))
    assert services(found, View.HEADER, 4) == services(found, View.HEADER, 6) == [{"ip_proto": 17}]
    assert (View.FIRST_FRAGMENT, 4) not in found and (View.LATER_FRAGMENT, 4) not in found
    assert services(found, View.LATER_FRAGMENT, 6) == [{"ct_nw_proto": 17}]


def test_numbers_that_may_be_zero_leave_out_fragments_that_only_seem_to_have_them() -> None:
    found = shown(tcp(0, 1), tcp(8, 8, source_ports=(0, 3)))
    assert services(found, View.HEADER, 4) == [
        {"ip_proto": 6, "tcp_dst": (0, 0xFFFE), "ip_frag": NO_FRAGMENT},
        {"ip_proto": 6, "tcp_src": (0, 0xFFFC), "tcp_dst": (8, EXACT)},
    ]
    assert services(found, View.REPLY, 4) == [
        {"ct_nw_proto": 6, "ct_tp_dst": (0, 0xFFFE), "ip_frag": NOT_LATER},
        {"ct_nw_proto": 6, "ct_tp_src": (0, 0xFFFC), "ct_tp_dst": (8, EXACT)},
    ]


def test_ranges_are_masks() -> None:
    found = services(shown(tcp(8000, 8099)), View.HEADER, 4)
    assert found is not None and len(found) == 3
    both = services(shown(tcp(1, 2, source_ports=(1, 2))), View.HEADER, 4)
    assert both is not None and len(both) == 4


@pytest.mark.parametrize(("protocol", "version", "name"), [(1, 4, "icmpv4"), (58, 6, "icmpv6")])
def test_icmp_is_of_one_family_and_its_type_and_code_stand_for_ports_in_the_tuple(
    protocol: int, version: int, name: str
) -> None:
    found = shown(ServiceMatch(protocol, icmp_type=8, icmp_code=0), ServiceMatch(protocol))
    assert {at for _, at in found} == {version}
    typed = {"ip_proto": protocol, f"{name}_type": (8, 0xFF), f"{name}_code": (0, 0xFF)}
    assert services(found, View.HEADER, version) == [typed, {"ip_proto": protocol}]
    in_tuple = {"ct_nw_proto": protocol, "ct_tp_src": (8, EXACT), "ct_tp_dst": (0, EXACT)}
    assert services(found, View.REPLY, version) == [in_tuple, {"ct_nw_proto": protocol}]


def test_sctp_with_a_port_is_matched_by_the_ports_of_the_reply() -> None:
    """Connection tracking knows it by addresses alone."""
    found = shown(ServiceMatch(132, ports=(5, 5), source_ports=(9, 9)))
    assert services(found, View.HEADER, 4) == [{"ip_proto": 132, "sctp_src": (9, EXACT), "sctp_dst": (5, EXACT)}]
    assert services(found, View.REPLY, 4) == [
        {"ct_nw_proto": 132, "ip_proto": 132, "sctp_dst": (9, EXACT), "sctp_src": (5, EXACT)}
    ]
    assert (View.FIRST_FRAGMENT, 4) not in found
    assert services(shown(ServiceMatch(132)), View.REPLY, 4) == [{"ct_nw_proto": 132}]
    assert services(found, View.ERROR, 4) == [{"ct_nw_proto": 132}]
    assert (View.ERROR, 4) not in shown(ServiceMatch(132, ports=(5, 5)), action=Action.DENY)


def test_extension_headers_are_no_protocol_of_ipv6() -> None:
    assert {version for _, version in shown(ServiceMatch(60))} == {4}
    assert {version for _, version in shown(ServiceMatch(47))} == {4, 6}
