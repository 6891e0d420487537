"""A real switch in the middle of three links: frames pass from one to the others, and find who was heard behind one."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest

from controller.compiler.bridge import Bridge
from controller.compiler.compile import compile_bridge
from controller.dataplane.cookies import LEARNED
from tests.support import frames
from tests.support.bridges import Vif, bridge
from tests.support.dummy_switch import BRIDGE, DummySwitch
from tests.support.frames import BROADCAST
from tests.support.ovs_sandbox import wait_until

POLICY = """
weir: 1
segments:
  here: {type: bridged, uplink: core, vlan: 120}
  elsewhere: {type: bridged, uplink: core, vlan: 130}
  plain: {type: bridged, uplink: core}
policies:
  open: {unmatched: allow}
"""
A, B = (Vif(number, "open", (f"10.0.0.{number}/24",), "here") for number in (1, 2))
LINKS = FIRST, SECOND, THIRD = (6, 7, 8)
MAC_A, MAC_B = "02:00:00:00:00:01", "02:00:00:00:00:02"
X, Y, Z = ("02:aa:00:00:00:0" + digit for digit in "123")  # somebody outside
ADDRESS = {MAC_A: "10.0.0.1", MAC_B: "10.0.0.2", X: "10.0.0.101", Y: "10.0.0.102", Z: "10.0.0.103"}
HERE, ELSEWHERE, PLAIN = 2, 1, 3  # numbers of the segments

Arrived = list[tuple[int, int | None]]


def transit() -> Bridge:
    made = bridge(POLICY, A, B)
    segments = {name: replace(segment, uplink_ofports=LINKS) for name, segment in made.segments.items()}
    return replace(made, segments=segments)


@pytest.fixture(scope="module")
def running() -> Iterator[DummySwitch]:
    with DummySwitch((A.number, B.number, *LINKS)) as one:
        yield one


@pytest.fixture
def switch(running: DummySwitch) -> DummySwitch:
    """It has learned nothing yet."""
    running.hold(compile_bridge(transit()))
    return running


def sent(switch: DummySwitch, port: int, source: str, target: str, vlan: int | None = 120) -> Arrived:
    """Ports where a datagram leaves, with the VLAN that it then has."""
    payload = frames.ipv4(ADDRESS[source], ADDRESS.get(target, "10.0.0.255"), 17, frames.udp(1, 2))
    frame = frames.ether(source, target, 0x0800, payload, vlan)
    return sorted(((out, _vlan(data)) for out, data in switch.send(port, frame)), key=lambda one: one[0])


def _vlan(frame: bytes) -> int | None:
    return int.from_bytes(frame[14:16], "big") & 0xFFF if frame[12:14] == b"\x81\x00" else None


def tagged(*ports: int, vlan: int | None = 120) -> Arrived:
    return [(port, vlan) for port in ports]


def learned(switch: DummySwitch, segment: int) -> list[str]:
    dumped = switch.ovs.ofctl("dump-flows", BRIDGE, f"cookie={LEARNED | segment:#x}/-1")
    return [line for line in dumped.splitlines() if "cookie=" in line]


def test_a_broadcast_goes_to_all_but_where_it_came_from(switch: DummySwitch) -> None:
    assert sent(switch, SECOND, X, BROADCAST) == [(1, None), (2, None), *tagged(FIRST, THIRD)]
    assert sent(switch, A.number, MAC_A, BROADCAST, None) == [(2, None), *tagged(*LINKS)]
    assert sent(switch, SECOND, X, BROADCAST, 130) == tagged(FIRST, THIRD, vlan=130)
    assert sent(switch, SECOND, X, BROADCAST, None) == tagged(FIRST, THIRD, vlan=None)
    assert sent(switch, SECOND, X, BROADCAST, 140) == []


def test_unknown_receivers_are_looked_for_behind_all_other_links(switch: DummySwitch) -> None:
    assert sent(switch, FIRST, X, Y) == tagged(SECOND, THIRD)
    assert sent(switch, A.number, MAC_A, Y, None) == tagged(*LINKS)


def test_who_was_heard_gets_frames_by_one_link(switch: DummySwitch) -> None:
    sent(switch, FIRST, Y, X)  # remembered by the datapath as unknown
    sent(switch, SECOND, X, BROADCAST)
    wait_until(lambda: sent(switch, FIRST, Y, X) == tagged(SECOND), "the other host is found behind its link")
    assert sent(switch, B.number, MAC_B, X, None) == tagged(SECOND)
    assert sent(switch, SECOND, Z, X) == []
    assert sent(switch, FIRST, Y, X, 130) == tagged(SECOND, THIRD, vlan=130)
    assert sent(switch, FIRST, Y, X, None) == tagged(SECOND, THIRD, vlan=None)


def test_who_moves_is_found_behind_the_other_link(switch: DummySwitch) -> None:
    sent(switch, SECOND, X, BROADCAST)
    wait_until(lambda: sent(switch, FIRST, Y, X) == tagged(SECOND), "it is found behind its link")
    sent(switch, THIRD, X, BROADCAST)
    wait_until(lambda: sent(switch, FIRST, Y, X) == tagged(THIRD), "it is found behind the other one")
    assert len([line for line in learned(switch, HERE) if X in line]) == 1


def test_nobody_outside_takes_the_place_of_a_vif(switch: DummySwitch) -> None:
    sent(switch, SECOND, MAC_A, BROADCAST)
    assert sent(switch, FIRST, X, MAC_A) == [(A.number, None)]
    assert sent(switch, B.number, MAC_B, MAC_A, None) == [(A.number, None)]
    assert not [line for line in learned(switch, HERE) if MAC_A in line]


def test_what_is_learned_is_of_one_segment_and_ends_when_it_is_idle(switch: DummySwitch) -> None:
    for segment, vlan in ((HERE, 120), (ELSEWHERE, 130), (PLAIN, None)):
        sent(switch, THIRD, Z, BROADCAST, vlan)
        (line,) = wait_until(lambda: learned(switch, segment), "it is learned")  # noqa: B023
        assert f"reg2={segment:#x},dl_dst={Z}" in line and "idle_timeout=300" in line
