"""The way beyond an uplink: two agents that ask each other over a wire of values, and a router."""

from __future__ import annotations

import itertools
from dataclasses import replace
from ipaddress import IPv4Address, IPv6Address, ip_address

import pytest

from controller.host.latency.frames import BROADCAST, from_peer, host_macs, number_sent
from controller.host.latency.neighbours import FRAMES_PER_S, FRESH_S, GONE, PATIENCE_S, Neighbour, Neighbours
from controller.host.latency.stamps import Heard, Moment, Stamp

MS = 1_000_000
VIA, VIA6 = ip_address("192.0.2.1"), ip_address("2001:db8::1")
MACS = host_macs("5a1e37", ["h1", "h2", "h3"])
NEVER = float("-inf")
ROUTER = 0x0200_5E00_0001


class Wire:
    """Between h1 and h2. Every frame waits at its sender and is then under way, in ms; h2 answers after a while."""

    def __init__(self, vlan: int | None = None) -> None:
        self.one, self.other = Neighbours(), Neighbours()
        self.one.aim([Neighbour("up0", MACS["h2"], vlan)], [], {"up0": vlan}, MACS["h1"], 0.0)
        self.other.aim([], [], {"eth1": vlan}, MACS["h2"], 0.0)
        self.now_s, self._number = 0.0, 0
        self.waits_ms, self.under_way_ms, self.kept_ms = 40.0, 3.0, 500.0
        self.set_ms = 0.0  # by how much h2's clock is set between a question and its answer

    def number(self) -> int:
        self._number += 1
        return self._number

    def cross(self, sender: Neighbours, receiver: Neighbours, frame: bytes, at_ms: float, device: str) -> Heard:
        """Returns what arrives."""
        number = number_sent(frame)
        assert number is not None
        left_ms = at_ms + self.waits_ms
        sender.take(Stamp(Moment.QUEUED, number, round(at_ms * MS)))
        set_ms = self.set_ms if sender is self.other else 0.0
        sender.take(Stamp(Moment.SENT, number, round((left_ms + set_ms) * MS)))
        bare = frame if frame[12:14] != b"\x81\0" else frame[:12] + frame[16:]
        told = from_peer(bare)
        assert told is not None
        return Heard(*told, int.from_bytes(bare[:6], "big"), round((left_ms + self.under_way_ms) * MS), device)

    def turn(self, is_answered: bool = True) -> None:
        """A second goes by."""
        self.now_s += 1
        for _, frame in self.one.due(self.now_s, iter(self.number, 0)):
            question = self.cross(self.one, self.other, frame, self.now_s * 1000, "eth1")
            answer = self.other.hear(question, self.number())
            assert answer is not None and answer[0] == "eth1"
            if is_answered:
                came = self.cross(self.other, self.one, answer[1], question.time_ns / MS + self.kept_ms, "up0")
                assert self.one.hear(came, self.number()) is None
        self.one.settle(self.now_s, NEVER)


@pytest.mark.parametrize("vlan", [None, 30])
def test_what_waits_at_either_host_is_not_part_of_the_way(vlan: int | None) -> None:
    wire = Wire(vlan)
    wire.turn()
    assert wire.one.beyond_ns(["up0"], wire.now_s) is None  # how long the first answer was kept comes with the next
    wire.turn()
    assert wire.one.beyond_ns(["up0"], wire.now_s) == pytest.approx(2 * wire.under_way_ms * MS, abs=1000)
    wire.under_way_ms = 25.0
    wire.turn()
    wire.turn()
    assert wire.one.beyond_ns(["up0"], wire.now_s) == pytest.approx(50 * MS, abs=1000)


def test_another_host_that_says_nothing_any_more_is_nobodys_loss() -> None:
    wire = Wire()
    for is_answered in (True, True, *[False] * round(FRESH_S + 1)):
        wire.turn(is_answered)
    assert wire.one.beyond_ns(["up0"], wire.now_s) is None
    assert not wire.one.is_cut(["up0"])


def test_what_is_for_another_host_is_not_answered() -> None:
    third = Neighbours()
    third.aim([], [], {"eth1": None}, MACS["h3"], 0.0)
    wire = Wire()
    ((_, frame),) = wire.one.due(1.0, iter(wire.number, 0))
    asked = wire.cross(wire.one, third, frame, 0, "eth1")
    assert third.hear(asked, 1) is None
    assert wire.other.hear(replace(asked, device="eth7"), 1) is None  # it passes through somebody else's device


def asks(*whom: Neighbour) -> Neighbours:
    asking = Neighbours()
    asking.aim(whom, [], {"up0": None}, MACS["h1"], 0.0)
    return asking


def ask_router(
    asking: Neighbours, now_s: float, answer_ms: float | None, host: str = "h1", lost_s: float = NEVER
) -> list[bytes]:
    """Whom the questions are for. host: whose question the router answers."""
    asked = list[bytes]()
    for device, frame in asking.due(now_s, itertools.count(round(now_s) * 100)):
        number = number_sent(frame)
        assert number is not None and device == "up0"
        if frame[12:14] == b"\x88\xb5":
            continue  # for another host, which stays silent or is heard by `hear`
        asked.append(frame[:6])
        asking.take(Stamp(Moment.SENT, number, 0))
        if answer_ms is not None:
            own = MACS[host] & 0xFFFF
            asking.take(Stamp(Moment.ANSWERED, own, round(answer_ms * MS), "up0", ROUTER))
    asking.settle(now_s, lost_s)
    return asked


def test_a_router_that_stops_answering_cuts_the_way() -> None:
    asking = asks(Neighbour("up0", VIA))
    ask_router(asking, 1.0, 4.0)
    assert asking.beyond_ns(["up0"], 1.0) == 4 * MS
    assert asking.beyond_ns(["up1"], 1.0) is None
    assert asking.beyond_ns(["up0"], 1.5 + FRESH_S) is None
    now_s = 2.0
    while now_s < 2.0 + (GONE + 1) * (PATIENCE_S + 1):
        ask_router(asking, now_s, None)
        now_s += 1
    assert asking.is_cut(["up0"])
    assert not asking.is_cut(["up1"])
    ask_router(asking, now_s, 4.0)
    ask_router(asking, now_s + PATIENCE_S, 4.0)
    ask_router(asking, now_s + 2 * PATIENCE_S, 4.0)
    assert not asking.is_cut(["up0"])


@pytest.mark.parametrize("is_lost", [True, False])
def test_answers_that_may_have_come_unread_cut_nothing(is_lost: bool) -> None:
    """That some were lost is seen half a second after the question, long before that is given up."""
    asking = asks(Neighbour("up0", VIA))
    ask_router(asking, 1.0, 4.0)
    for turn in range(4, 4 * GONE * round(PATIENCE_S + 1)):
        now_s = turn / 2
        ask_router(asking, now_s, None, lost_s=now_s - PATIENCE_S + 0.5 if is_lost else NEVER)
    assert asking.is_cut(["up0"]) is not is_lost


def test_a_router_that_never_answered_cuts_nothing() -> None:
    asking = asks(Neighbour("up0", VIA))
    for now_s in range(1, 20):
        ask_router(asking, float(now_s), None)
    assert not asking.is_cut(["up0"])


class Beside(Wire):
    """A router on the wire, too: h2 stands on this side of its line."""

    def __init__(self) -> None:
        super().__init__()
        whom = Neighbour("up0", MACS["h2"]), Neighbour("up0", VIA)
        self.one.aim(whom, [], {"up0": None}, MACS["h1"], 0.0)

    def turn_with_router(self, answer_ms: float | None) -> None:
        self.now_s += 1
        for _, frame in self.one.due(self.now_s, iter(self.number, 0)):
            if frame[12:14] == b"\x08\x06":
                number = number_sent(frame)
                assert number is not None
                self.one.take(Stamp(Moment.SENT, number, 0))
                if answer_ms is not None:
                    own = MACS["h1"] & 0xFFFF
                    self.one.take(Stamp(Moment.ANSWERED, own, round(answer_ms * MS), "up0", ROUTER))
                continue
            question = self.cross(self.one, self.other, frame, self.now_s * 1000, "eth1")
            answer = self.other.hear(question, self.number())
            assert answer is not None
            came = self.cross(self.other, self.one, answer[1], question.time_ns / MS + self.kept_ms, "up0")
            self.one.hear(came, self.number())
        self.one.settle(self.now_s, NEVER)


def test_another_host_on_this_side_of_a_slow_line_does_not_hide_it() -> None:
    wire = Beside()
    wire.turn_with_router(None)
    wire.turn_with_router(None)
    assert wire.one.beyond_ns(["up0"], wire.now_s) == pytest.approx(2 * wire.under_way_ms * MS, abs=1000)  # all we know
    wire.now_s += PATIENCE_S
    wire.turn_with_router(200.0)
    wire.turn_with_router(200.0)
    assert wire.one.beyond_ns(["up0"], wire.now_s) == 200 * MS


def test_another_host_on_this_side_of_a_line_that_is_down_does_not_hide_it() -> None:
    wire = Beside()
    wire.turn_with_router(200.0)
    for _ in range(round((GONE + 1) * (PATIENCE_S + 1))):
        wire.turn_with_router(None)
    assert wire.one.is_cut(["up0"])
    assert wire.one.beyond_ns(["up0"], wire.now_s + 1) is None


def test_until_a_silent_router_is_known_to_be_gone_its_last_answer_counts() -> None:
    asking = asks(Neighbour("up0", VIA))
    ask_router(asking, 1.0, 200.0)
    now_s = 2.0
    while not asking.is_cut(["up0"]):
        assert asking.beyond_ns(["up0"], now_s) == 200 * MS
        ask_router(asking, now_s, None)
        now_s += 1
    assert now_s > 3 * (PATIENCE_S + 1)  # two questions that go lost are no failure


@pytest.mark.parametrize("via", [VIA, VIA6])
def test_everybody_is_asked_once_and_then_the_router_itself_until_it_is_silent(via: IPv4Address | IPv6Address) -> None:
    everybody = BROADCAST.to_bytes(6, "big") if via.version == 4 else bytes.fromhex("3333ff000001")
    asking = asks(Neighbour("up0", via))
    assert ask_router(asking, 1.0, 4.0) == [everybody]
    assert ask_router(asking, 2.0, 4.0) == [ROUTER.to_bytes(6, "big")]
    assert ask_router(asking, 3.0, None) == [ROUTER.to_bytes(6, "big")]
    assert ask_router(asking, 3.0 + PATIENCE_S, None) == []
    assert ask_router(asking, 4.0 + PATIENCE_S, 4.0) == [everybody]
    assert ask_router(asking, 5.0 + PATIENCE_S, 4.0) == [ROUTER.to_bytes(6, "big")]


def test_what_a_router_answers_another_host_is_no_answer() -> None:
    asking = asks(Neighbour("up0", VIA))
    ask_router(asking, 1.0, 4.0, host="h2")
    assert asking.beyond_ns(["up0"], 1.0) is None


@pytest.mark.parametrize("set_ms", [-3_600_000.0, 3_600_000.0, -500.0, 1500.0])
def test_a_clock_that_was_set_tells_nothing_of_the_way(set_ms: float) -> None:
    asking = asks(Neighbour("up0", VIA))
    ask_router(asking, 1.0, 4.0)
    ask_router(asking, 2.0, 4.0 + set_ms)
    assert asking.beyond_ns(["up0"], 2.0) == 4 * MS
    assert not asking.is_cut(["up0"])


def test_what_two_hosts_measure_may_differ_by_a_little() -> None:
    wire = Wire()
    wire.under_way_ms, wire.set_ms = 0.0, 0.5
    wire.turn()
    wire.turn()
    assert wire.one.beyond_ns(["up0"], wire.now_s) == 0


@pytest.mark.parametrize("set_ms", [-3_600_000.0, 3_600_000.0])
def test_a_clock_that_was_set_where_the_answer_lay_tells_nothing(set_ms: float) -> None:
    wire = Wire()
    for _ in range(3):
        wire.turn()
    right = wire.one.beyond_ns(["up0"], wire.now_s)
    wire.set_ms = set_ms
    wire.turn()
    wire.set_ms = 0.0
    for _ in range(3):
        wire.turn()
        assert wire.one.beyond_ns(["up0"], wire.now_s) == right


def test_many_neighbours_are_asked_less_often() -> None:
    asking = Neighbours()
    macs = host_macs("5a1e37", (f"h{number}" for number in range(1, 200)))
    peers = [Neighbour("up0", macs[f"h{number}"]) for number in range(2, 200)]
    asking.aim(peers, ["up0"], {}, macs["h1"], 0.0)
    sent = sum(len(asking.due(turn * 0.05, iter(range(1, 1000)))) for turn in range(1, 401))
    assert sent == pytest.approx(20 * FRAMES_PER_S, rel=0.3)
