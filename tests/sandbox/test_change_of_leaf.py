"""A VIF moves to another leaf while packets are on their way: each is judged by the old one, or by the new one.

The switch remembers of a packet what it did until it looked the connection up, at the sender's side or the receiver's,
and asks the new tables what comes then.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from controller.compiler.compile import compile_bridge
from controller.dataplane.entries import SwitchState
from tests.support import frames
from tests.support.bridges import Vif, bridge
from tests.support.dummy_switch import DummySwitch
from tests.support.frames import BROADCAST

POLICY = """
weir: 1
segments: {s: {type: internal}}
policies:
  deep:
    children:
      er:
        mandatory: [{deny: {name: nothing, service: udp/10}}]
        children:
          est: {rules: [{allow: {name: both, service: udp/9}}, {allow: {name: of-deep, service: udp/11}}]}
  flat: {rules: [{allow: {name: both, service: udp/9}}, {allow: {name: of-flat, service: udp/10}}]}
"""
DEEP, FLAT = "deep/er/est", "flat"
BOTH, OF_FLAT, OF_DEEP = 9, 10, 11  # ports
MOVES = [
    ((DEEP, FLAT, FLAT), (FLAT, FLAT, FLAT)),
    ((FLAT, FLAT, FLAT), (DEEP, FLAT, FLAT)),
    ((FLAT, DEEP, DEEP), (FLAT, FLAT, FLAT)),
    ((FLAT, FLAT, FLAT), (FLAT, DEEP, DEEP)),
    ((DEEP, FLAT, DEEP), (FLAT, DEEP, FLAT)),
]
TO_ONE, TO_ALL = ("02:00:00:00:00:02", "10.0.0.2"), (BROADCAST, "10.0.0.255")


@pytest.fixture(scope="module")
def running() -> Iterator[DummySwitch]:
    with DummySwitch((1, 2, 3)) as one:
        yield one


@pytest.fixture
def switch(running: DummySwitch) -> DummySwitch:
    running.forget_connections()
    return running


def state(paths: tuple[str, ...]) -> SwitchState:
    vifs = [Vif(number, path, (f"10.0.0.{number}/24",)) for number, path in enumerate(paths, start=1)]
    return compile_bridge(bridge(POLICY, *vifs))


def arrivals(switch: DummySwitch, to: tuple[str, str], port: int) -> list[int]:
    mac, address = to
    packet = frames.ipv4("10.0.0.1", address, 17, frames.udp(1000, port))
    return sorted(out for out, _ in switch.send(1, frames.ether("02:00:00:00:00:01", mac, 0x0800, packet)))


@pytest.mark.parametrize("lookups", [1, 2])
@pytest.mark.parametrize(("to", "everybody"), [(TO_ONE, [2]), (TO_ALL, [2, 3])], ids=["to one", "to all"])
@pytest.mark.parametrize(("before", "after"), MOVES)
def test_nothing_is_lost_that_both_leaves_allow(
    switch: DummySwitch,
    before: tuple[str, ...],
    after: tuple[str, ...],
    to: tuple[str, str],
    everybody: list[int],
    lookups: int,
) -> None:
    switch.hold(state(before))
    for _ in range(3):
        assert arrivals(switch, to, BOTH) == everybody
    with switch.half_remembering(state(after), lookups):
        for _ in range(3):
            assert arrivals(switch, to, BOTH) == everybody
    assert arrivals(switch, to, BOTH) == everybody


@pytest.mark.parametrize("to", [TO_ONE, TO_ALL], ids=["to one", "to all"])
@pytest.mark.parametrize(("sender", "receiver"), [(DEEP, FLAT), (FLAT, DEEP)])
@pytest.mark.parametrize("port", [OF_FLAT, OF_DEEP])
def test_nothing_passes_by_the_sender_of_before_and_the_receiver_of_after(
    switch: DummySwitch, port: int, sender: str, receiver: str, to: tuple[str, str]
) -> None:
    """Sender and receiver change places: of each port one side denies it, before as after."""
    switch.hold(state((sender, receiver, receiver)))
    for _ in range(3):
        assert arrivals(switch, to, port) == []
    with switch.half_remembering(state((receiver, sender, sender)), 1):
        for _ in range(3):
            assert arrivals(switch, to, port) == []


@pytest.mark.parametrize("lookups", [1, 2])
@pytest.mark.parametrize("to", [TO_ONE, TO_ALL], ids=["to one", "to all"])
def test_what_the_new_leaf_denies_stops_and_what_it_allows_passes(
    switch: DummySwitch, to: tuple[str, str], lookups: int
) -> None:
    switch.hold(state((FLAT, FLAT, FLAT)))
    everybody = [2] if to == TO_ONE else [2, 3]
    assert [arrivals(switch, to, port) for port in (OF_FLAT, OF_DEEP)] == [everybody, []]
    with switch.half_remembering(state((DEEP, DEEP, DEEP)), lookups):
        assert arrivals(switch, to, OF_FLAT) == []
        if lookups == 1:  # else the sender's side has been asked by the old leaf
            assert arrivals(switch, to, OF_DEEP) == everybody
