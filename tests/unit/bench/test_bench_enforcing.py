"""The table of what keeps its promises, and the guard against Weir keeping less than what was made by hand."""

from __future__ import annotations

from dataclasses import replace
from math import inf

from bench.enforcing import FLOWS, LIMIT, WEIR, Kept, faults, furthest, table
from lab.latency import RoundTrips
from lab.tcp import TcpFlow
from lab.tenant_floods import Outcome

FULL_KBPS = 19_000.0


def kept(name: str, part: float = 1.0, echo_ms: float = 2.0, goodput_kbps: float = FULL_KBPS, again: int = 7) -> Kept:
    """Every flow got this part of what the law gives it."""
    kbps = {one.port: part * one.share_kbps for one in FLOWS}
    windows = {port: [rate] * 10 for port, rate in kbps.items()}
    outcome = Outcome(FLOWS, kbps, windows, RoundTrips((echo_ms,) * 100, 0))
    return Kept(name, [outcome] * 3, {"cubic": TcpFlow(goodput_kbps, again)})


def test_each_contender_stands_beside_the_limit() -> None:
    found = table([kept(LIMIT), kept(WEIR, echo_ms=3.0)])
    assert f"| {LIMIT} | 0.0% | 0% | 1.000 | 100.0% | 2.0 ms | 2.0 ms | 1.00 | 99.3%, 0.11% |" in found
    assert f"| {WEIR} | 0.0% | 0% | 1.000 | 100.0% | 3.0 ms | 3.0 ms | 1.50 | 99.3%, 0.11% |" in found


def test_echoes_that_do_not_come_back_are_lost() -> None:
    found = table([kept("neither", echo_ms=inf), kept(LIMIT)])
    assert "| neither | 0.0% | 0% | 1.000 | 100.0% | lost | lost | - |" in found


def test_as_good_as_by_hand_is_no_fault() -> None:
    assert faults([kept(LIMIT), kept(WEIR)]) == []
    assert faults([]) == []


def test_windows_below_the_guarantee_are_one() -> None:
    wrong = faults([kept(LIMIT), kept(WEIR, part=0.8)])
    assert any("of the windows fall short" in one for one in wrong)
    assert any("of it used" in one for one in wrong)


def test_a_quiet_vif_that_waits_is_one() -> None:
    [wrong] = faults([kept(LIMIT), kept(WEIR, echo_ms=2.5)])
    assert "2.5 ms, by hand 2.0 ms" in wrong
    assert faults([kept(LIMIT), kept(WEIR, echo_ms=2.35)]) == []  # a tenth, and a frame


def test_a_connection_that_is_slower_is_one() -> None:
    [wrong] = faults([kept(LIMIT), kept(WEIR, goodput_kbps=0.9 * FULL_KBPS)])
    assert "TCP cubic" in wrong


def test_a_connection_that_sends_much_more_again_is_one() -> None:
    [wrong] = faults([kept(LIMIT), kept(WEIR, again=60)])
    assert wrong.endswith("TCP cubic: 0.91% of the segments sent again, by hand 0.11%.")
    assert faults([kept(LIMIT), kept(WEIR, again=38)]) == []  # half a percent more
    assert faults([kept(LIMIT, again=0), kept(WEIR, again=38)]) == []
    assert faults([kept(LIMIT, again=60), kept(WEIR, again=90)]) == []
    assert faults([kept(LIMIT, again=60), kept(WEIR, again=7)]) == []


def unlike(name: str, first: float, second: float) -> Kept:
    """The two VIFs of a tenant get these parts of what the law gives them."""
    whole = kept(name)
    [one, *_] = whole.outcomes
    part = {"green1": first, "green2": second}
    kbps = {flow.port: part.get(flow.vif, 1.0) * flow.share_kbps for flow in FLOWS}
    return replace(whole, outcomes=[replace(one, kbps=kbps)] * 3)


def test_equals_that_get_unlike_parts_are_one() -> None:
    wrong = faults([kept(LIMIT), unlike(WEIR, 1.3, 0.7)])
    assert any("Jain's index 0.917 among those" in one for one in wrong)
    assert faults([unlike(LIMIT, 1.04, 0.96), unlike(WEIR, 0.96, 1.04)]) == []


def test_a_flow_far_from_the_law_is_one() -> None:
    [wrong] = faults([kept(LIMIT), unlike(WEIR, 1.12, 1.12)])
    assert "a flow is 12% from what it gives, by hand 0%" in wrong
    assert faults([unlike(LIMIT, 1.12, 1.12), unlike(WEIR, 1.12, 1.12)]) == []


def test_the_flow_that_is_furthest_counts() -> None:
    [one, *_] = kept(WEIR).outcomes
    port = FLOWS[3].port
    assert round(furthest(replace(one, kbps={**one.kbps, port: 0.5 * one.kbps[port]})), 3) == 0.5
