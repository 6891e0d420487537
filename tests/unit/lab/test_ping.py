from __future__ import annotations

import pytest

from lab.children import LabError
from lab.ping import Echoes, read


def said(sent: int, *answered: int) -> list[str]:
    """By ping. answered: sequence numbers."""
    answers = [f"64 bytes from 10.1.0.100: icmp_seq={one} ttl=64 time=0.210 ms" for one in answered]
    return ["PING 10.1.0.100", *answers, f"{sent} packets transmitted, {len(answered)} received, 0% packet loss"]


def test_what_is_between_answers_is_lost() -> None:
    assert read(said(5, 1, 2, 4, 5), under_way=2) == Echoes(5, 4)


def test_the_last_ones_may_be_under_way() -> None:
    assert read(said(5, 1, 2, 3), under_way=2) == Echoes(3, 3)


def test_more_of_the_last_ones_than_can_be_under_way_are_lost() -> None:
    assert read(said(5, 1, 2), under_way=2) == Echoes(5, 2)
    assert read(said(5), under_way=2) == Echoes(5, 0)


def test_an_answer_that_comes_twice_is_one() -> None:
    twice = [*said(2, 1, 2), "64 bytes from 10.1.0.100: icmp_seq=2 ttl=64 time=0.3 ms (DUP!)"]
    assert read(twice) == Echoes(2, 2)


def test_a_ping_that_sent_nothing_is_no_figure() -> None:
    with pytest.raises(LabError, match="unreachable"):
        read(["ping: connect: Network is unreachable"])
