"""The driver of services: whose switch sends what, what is learned goes to the database, and nothing raises."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from ipaddress import IPv4Address
from typing import Any

import pytest

from controller.dataplane.asks import Ask
from controller.dataplane.cookies import CookieKind, encode
from controller.runtime import services as module
from controller.runtime.clocks import Clocks
from controller.runtime.each_second import EachSecond, FairSecond
from controller.runtime.services import Services
from controller.runtime.switch import SwitchGone
from controller.services import ip
from controller.services.dhcp4_message import Message, write
from controller.services.leases import GRACE_S, HOLD_S
from controller.services.place import Place
from controller.services.questions import is_question, question
from controller.world.desired import World, read_world
from ovsdb.rows import Snapshot, VirtualInterface
from tests.support.controller_process import numbers_of
from tests.unit.runtime.runtime_worlds import H1, snapshot
from tests.unit.services import test_dhcp4, test_snoop

POLICY = """
weir: 1
segments:
  inside: {type: internal, subnets: [10.2.0.0/24, fd02::/64]}
  outside: {type: bridged, uplink: up0}
policies:
  acme: {}
"""
MAC = "02:aa:bb:cc:00:01"  # of VIF 1 in the frames of those tests
LEASED, LEASE_S = str(test_snoop.OWN), 3600


@dataclass(frozen=True)
class Sent:
    """An Ask."""

    ask: Ask
    frame: bytes
    vif: int = 1
    is_own: bool = True
    in_port: int = 1

    @property
    def cookie(self) -> int:
        return encode(CookieKind.SERVICE, self.vif)

    @property
    def registers(self) -> dict[str, int]:
        return {"reg7": self.ask, "reg2": 1, **({"reg0": self.vif} if self.is_own else {})}


@dataclass
class Desk:
    """Services, a switch, a clock and what is reported."""

    world: World
    now_s: float = 100.0
    gone: bool = False
    sent: list[tuple[int, bytes]] = field(default_factory=list)
    reports: list[dict[str, tuple[str, ...]]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.here: dict[str, Any] = {"h1": self}
        clocks = Clocks(lambda: self.now_s, lambda: 1e9 + self.now_s)
        self.services = Services(lambda: self.world, lambda: self.here, self._report, clocks)

    def _report(self, learned: Any) -> None:
        self.reports.append(dict(learned))

    def packet_out(self, port: int, frame: bytes) -> None:
        if self.gone:
            raise SwitchGone("it has gone")
        self.sent.append((port, frame))

    def flood(self, ports: Sequence[int], frame: bytes) -> None:
        for port in ports:
            self.packet_out(port, frame)

    def take(self, sent: Sent) -> None:
        self.services.take(sent, "h1", self)  # type: ignore[arg-type]

    def shows(self, *vifs: VirtualInterface) -> None:
        self.world = read_world(database(*vifs), self.world, 0.0)


def database(*vifs: VirtualInterface) -> Snapshot:
    return snapshot(*vifs, chassis=(H1,), files={"p.yaml": POLICY}, numbers=numbers_of(POLICY))


def vif(segment: str, *addresses: str, number: int = 1, **more: Any) -> VirtualInterface:
    mac = f"02:aa:bb:cc:00:{number:02x}"
    base = VirtualInterface(f"v{number}", number, "acme", segment, "veth", mac, addresses, "h1", ofport=100 + number)
    return replace(base, state="ready", **more)


INSIDE = vif("inside", "10.2.0.5/24", "fd02::5/64")
LEARNING = vif("outside")
DISCOVER = Sent(Ask.DHCP4, test_dhcp4.asks(1))
LEASE = Sent(Ask.LEASE, test_snoop.answer4(3, o50=test_snoop.OWN.ip.packed), is_own=False)
RELEASE = Sent(Ask.LEASE, test_dhcp4.asks(7, ciaddr="10.1.0.5"))


def acknowledged(address: str) -> bytes:
    """A server outside gives VIF 1 this address."""
    ack = Message(2, 1, 0x02AA_BBCC_0001, 5, {51: LEASE_S.to_bytes(4, "big")}, yours=IPv4Address(address))
    ends = IPv4Address("10.1.0.1").packed, IPv4Address(address).packed
    return ip.frame_of(0x02, ack.mac, ip.datagram_of(ends, (67, 68), write(ack)))


def desk(*vifs: VirtualInterface) -> Desk:
    return Desk(read_world(database(*vifs), World(), 0.0))


def test_a_question_is_answered_out_of_the_port_of_its_vif() -> None:
    one = desk(INSIDE)
    one.take(DISCOVER)
    assert [port for port, _ in one.sent] == [101]
    assert one.services.counts == {"asked": 1, "answered": 1, "ignored": 0, "held": 0, "passed_over": 0}


def test_vifs_are_told_of_the_router_without_asking() -> None:
    one = desk(INSIDE, vif("outside", number=2))
    for _ in range(40):
        one.now_s += 1
        one.services.tick()
    assert [port for port, _ in one.sent] == [101]


def test_what_a_vif_is_given_outside_is_reported_once() -> None:
    one = desk(LEARNING)
    one.take(LEASE)
    assert one.reports == [{"v1": (LEASED,)}]
    one.shows(replace(LEARNING, learned=(LEASED,)))
    one.take(LEASE)
    one.services.tick()
    assert len(one.reports) == 1


def test_what_has_ended_is_taken_away() -> None:
    one = desk(LEARNING)
    one.take(LEASE)
    one.shows(replace(LEARNING, learned=(LEASED,)))
    one.now_s += LEASE_S + GRACE_S - 10
    one.services.tick()
    assert len(one.reports) == 1
    one.now_s += 11
    one.services.tick()
    assert one.reports[1:] == [{"v1": ()}]


def test_what_is_released_is_taken_away() -> None:
    one = desk(LEARNING)
    one.take(LEASE)
    one.shows(replace(LEARNING, learned=(LEASED,)))
    one.take(RELEASE)
    one.services.tick()
    assert len(one.reports) == 1
    one.now_s += HOLD_S
    one.services.tick()
    assert one.reports[1:] == [{"v1": ()}]


def test_whoever_gets_and_gives_up_addresses_without_end_is_reported_seldom() -> None:
    one = desk(LEARNING)
    for number in range(200):
        one.take(Sent(Ask.LEASE, acknowledged(f"10.1.0.{number + 2}"), is_own=False))
        one.take(RELEASE)
        one.now_s += 0.05
        one.services.tick()
    assert 5 <= len(one.reports) <= 11


def test_a_new_controller_keeps_what_the_one_before_learned() -> None:
    one = desk(replace(LEARNING, learned=(LEASED,)))
    one.now_s += 1e6
    one.services.tick()
    assert not one.reports
    one.take(LEASE)
    one.now_s += LEASE_S + GRACE_S + 10
    one.services.tick()
    assert one.reports == [{"v1": ()}]


def test_a_vif_that_learns_no_more_has_nothing_from_outside() -> None:
    one = desk(replace(INSIDE, learned=(LEASED,)))
    one.services.tick()
    assert one.reports == [{"v1": ()}]


def test_nobody_is_given_what_another_vif_was_assigned() -> None:
    one = desk(LEARNING, vif("outside", LEASED, number=2))
    one.take(LEASE)
    assert not one.reports


@pytest.mark.parametrize("world", [World(), World(is_known=True)])
def test_before_anything_is_known_nothing_is_done(world: World) -> None:
    one = Desk(world)
    one.take(DISCOVER)
    one.services.tick()
    assert not one.sent and not one.reports


def test_a_switch_that_has_gone_is_no_harm_and_its_counts_stay() -> None:
    one = desk(INSIDE)
    one.gone = True
    one.take(DISCOVER)
    one.here.clear()
    one.services.tick()
    assert one.services.counts["asked"] == 1


def test_nothing_is_raised_whatever_comes(caplog: pytest.LogCaptureFixture) -> None:
    one = desk(INSIDE)

    def fails(*_: object) -> Any:
        raise ZeroDivisionError("nobody thought of this")

    one.packet_out = fails  # type: ignore[method-assign]
    one.take(DISCOVER)
    assert "h1: a packet that asks for a service cannot be dealt with" in caplog.text


def test_more_than_can_be_dealt_with_are_passed_over(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_A_SECOND", 3)
    one = desk(INSIDE)
    for _ in range(5):
        one.take(DISCOVER)
    assert (len(one.sent), one.services.counts["passed_over"]) == (2, 3)


def test_one_that_asks_without_end_takes_nothing_from_the_others() -> None:
    now = [0.0]
    bound = FairSecond(1000, lambda: now[0])
    for busy in (1, 50, 100, 1000):
        now[0] += 1.0
        taken = [bound.takes(number) for _ in range(5000 // busy) for number in range(busy)]
        assert sum(taken) <= 1000
        if busy <= 100:
            assert [bound.takes("victim") for _ in range(4)] == [True] * 4, busy
        else:
            assert all(taken[:1000])  # one of each
    now[0] += 1.0
    assert bound.takes(0)


def test_copies_of_what_is_told_outside_have_a_bound_of_their_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_COPIES_A_SECOND", 2)
    one = desk(INSIDE, vif("outside", number=2))
    for _ in range(50):
        one.take(replace(LEASE, vif=2))
    one.take(DISCOVER)
    assert one.sent and one.services.counts["passed_over"] == 49


def test_a_packet_is_answered_from_what_was_there_at_the_last_tick(monkeypatch: pytest.MonkeyPatch) -> None:
    one, built = desk(INSIDE), list[World]()
    place_of = module._place_of

    def counted(world: World, chassis: str) -> Place | None:
        built.append(world)
        return place_of(world, chassis)

    monkeypatch.setattr(module, "_place_of", counted)
    one.services.tick()
    one.shows(INSIDE, vif("inside", "10.2.0.6/24", number=2))
    one.take(DISCOVER)
    assert [port for port, _ in one.sent] == [101] and len(built) == 1
    one.take(Sent(Ask.DHCP4, test_dhcp4.asks(1, mac="02:aa:bb:cc:00:02"), vif=2))
    assert len(one.sent) == 1 and len(built) == 1
    one.services.tick()
    assert 102 in [port for port, _ in one.sent[1:]] and len(built) == 2


def test_a_bound_begins_anew_each_second() -> None:
    now = [0.5]
    bound = EachSecond(2, lambda: now[0])
    assert [bound.takes() for _ in range(3)] == [True, True, False]
    now[0] = 1.1
    assert bound.takes() and bound.passed_over == 1


def test_a_question_is_read_from_cookie_and_registers() -> None:
    frame = bytes(12) + b"\x08\x00" + bytes(20)
    cookie = encode(CookieKind.SERVICE, 7)
    asked = question(cookie, {"reg7": Ask.NEIGHBOUR, "reg0": 7, "reg2": 3, "reg4": 47, "reg15": 0xC0000209}, 5, frame)
    assert asked is not None and str(asked.next_hop) == "192.0.2.9"
    assert (asked.vif, asked.segment, asked.dscp, asked.is_own, asked.in_port) == (7, 3, 46, True, 5)
    frame6 = bytes(12) + b"\x86\xdd" + bytes(40)
    registers = {"reg7": Ask.NEIGHBOUR, "reg12": 0x20010DB8, "reg15": 9}
    asked = question(cookie, registers, 5, frame6)
    assert asked is not None and str(asked.next_hop) == "2001:db8::9" and not asked.is_own and asked.dscp is None
    assert question(cookie, {"reg7": 200}, 5, frame) is None and question(cookie, {}, 5, frame) is None
    assert is_question(cookie) and not is_question(encode(CookieKind.VIF, 7)) and not is_question(7)
