"""The table of what looking takes, and the guard against its taking more."""

from __future__ import annotations

from dataclasses import replace

from bench.sampling import MOST_CONTROLLER, VIFS, Share, faults, table

CONTROLLER, AGENT = Share("controller", VIFS, 0.012, 0.02), Share("agent", 100, 0.03, 0.06)


def test_each_stands_beside_what_the_tool_takes() -> None:
    found = table([CONTROLLER, AGENT])
    assert "| controller | 1,000 | 1.20% | 2.00% | 0.6 | `ovs-ofctl" in found
    assert "| agent | 100 | 3.00% | 6.00% | 0.5 | `tc" in found
    assert table([]) == "" and faults([]) == [] and faults([CONTROLLER, AGENT]) == []


def test_more_than_it_may_is_a_fault() -> None:
    (fault,) = faults([replace(CONTROLLER, share=MOST_CONTROLLER * 1.01), AGENT])
    assert fault == "The loop takes 2.0% of a core with 1,000 VIFs that send, not 2 %."
    (fault,) = faults([replace(AGENT, share=0.08)])
    assert "8.0% of a core with 100 VIFs" in fault and "1.2 times what tc takes (6.0%)" in fault
