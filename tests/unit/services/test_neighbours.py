"""Neighbours that are asked for: virtual time, no packets."""

from __future__ import annotations

from ipaddress import ip_address

from controller.services import neighbours
from controller.services.neighbours import KEEP_S, MOST_ASKED, MOST_ASKED_BY_VIF, MOST_HELD, Answer, Held, NeighbourBook

HOST, ROUTER = (1, ip_address("192.0.2.9")), (1, ip_address("192.0.2.1"))
PACKET, THERE = Held(5, b"frame"), Answer(0xA, 9)


def test_a_packet_goes_when_its_neighbour_answers() -> None:
    book = NeighbourBook()
    assert book.hold(HOST, PACKET, 0.0) and book.due((), 0.0).ask == (HOST,)
    assert book.held == 1
    assert book.answered(HOST, THERE, 0.5) == [PACKET]
    assert book.held == 0 and book.due((), 9.0).ask == ()


def test_what_was_on_its_way_when_the_answer_came_need_not_wait_but_later_it_must() -> None:
    book = NeighbourBook()
    book.hold(HOST, PACKET, 0.0)
    book.answered(HOST, THERE, 0.5)
    assert book.known(HOST, 1.0) == THERE and book.known(HOST, 60.0) is None


def test_a_neighbour_is_asked_three_times_and_then_given_up() -> None:
    book = NeighbourBook()
    book.hold(HOST, PACKET, 0.0)
    asked = [book.due((), turn / 4).ask for turn in range(12)]
    assert [turn / 4 for turn, ask in enumerate(asked) if ask] == [0.0, 1.0, 2.0]
    assert book.due((), 3.0).failed == (PACKET,)
    assert book.answered(HOST, THERE, 3.1) == [] and book.known(HOST, 3.2) is None
    assert book.hold(HOST, PACKET, 4.0) and book.due((), 4.0).ask == (HOST,)


def test_few_packets_wait_for_a_neighbour() -> None:
    book = NeighbourBook()
    assert [book.hold(HOST, PACKET, 0.0) for _ in range(MOST_HELD + 2)] == [True] * MOST_HELD + [False] * 2


def test_who_tries_a_whole_network_takes_no_place_from_others() -> None:
    book = NeighbourBook()
    tried = [book.hold((1, HOST[1] + number), Held(5, b""), 0.0) for number in range(100)]
    assert sum(tried) == MOST_ASKED_BY_VIF
    assert book.hold((1, HOST[1] + 200), Held(6, b""), 0.0)
    book = NeighbourBook()
    assert sum(book.hold((1, HOST[1] + vif), Held(vif, b""), 0.0) for vif in range(2000)) == MOST_ASKED


def test_routers_are_asked_from_the_start_and_again_and_again() -> None:
    book = NeighbourBook()
    times = [turn for turn in range(101) if book.due((ROUTER,), float(turn)).ask]
    assert times == [0, 25, 50, 75, 100] and KEEP_S == 25.0
    book.answered(ROUTER, THERE, 100.0)
    assert book.known(ROUTER, 101.0) == THERE
    assert book.due((), 200.0).ask == ()


def test_nobody_is_believed_who_was_not_asked() -> None:
    book = NeighbourBook()
    book.answered(HOST, THERE, 0.0)
    assert book.known(HOST, 0.0) is None


def test_what_is_known_is_bounded() -> None:
    book = NeighbourBook()
    for number in range(neighbours._MOST_KNOWN + 10):
        key = (1, ip_address("10.0.0.0") + number)
        book.hold(key, PACKET, 0.0)
        book.answered(key, THERE, 0.0)
    assert len(book._known) == neighbours._MOST_KNOWN
