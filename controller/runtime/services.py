"""Serves what VIFs ask of Weir (DHCP, router advertisements, ICMP errors, neighbours outside): see controller.services.

Packets come from switches, frames go to them; addresses that VIFs learn from outside go to the Weir DB.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Collection, Mapping
from typing import Protocol

import eventlet
from eventlet import tpool

from controller.dataplane.asks import Ask as AskedFor
from controller.dataplane.cookies import decode
from controller.dataplane.macs import gateway_mac, mac_number
from controller.dataplane.registers import ASK
from controller.runtime.clocks import Clocks
from controller.runtime.each_second import FairSecond
from controller.runtime.switch import Switch, SwitchGone
from controller.services import learning
from controller.services.desk import Desk, Said
from controller.services.leases import LeaseBook
from controller.services.place import Place
from controller.services.questions import OUTSIDE, question
from controller.services.reports import ReportBook
from controller.world.desired import Unnumbered, World, bridge_of

MOST_A_SECOND = 1000  # of all VIFs of all switches together; each is dealt with in 50 to 200 microseconds
MOST_COPIES_A_SECOND = 1000  # likewise of what VIFs are told from outside; one packet may be for all of them
MOST_EARLY = 256  # packets of VIFs that the tick has not looked at yet
_TICK_S = 0.25  # the least time that matters to neighbours is a second
_EXPIRY_S = 1.0

log = logging.getLogger("weir.services")


class Ask(Protocol):
    """A packet as a switch sent it up; in_port: where it came in."""

    @property
    def cookie(self) -> int: ...

    @property
    def registers(self) -> Mapping[str, int]: ...

    @property
    def in_port(self) -> int: ...

    @property
    def frame(self) -> bytes: ...


class Services:
    """report_learned: takes by VIF name the addresses, with prefix length, that it has from outside now."""

    def __init__(
        self,
        world: Callable[[], World],
        switches: Callable[[], Mapping[str, Switch]],
        report_learned: Callable[[Mapping[str, tuple[str, ...]]], None],
        clocks: Clocks,
    ) -> None:
        self._world, self._switches, self._report, self._clocks = world, switches, report_learned, clocks
        self._desks: dict[str, Desk] = {}  # by chassis
        self._places: dict[str, tuple[World, Place | None]] = {}  # None: it cannot be told
        self._leases = LeaseBook()
        self._reports = ReportBook()
        self._early: list[tuple[Ask, str, Switch]] = []
        self._names: dict[int, str] = {}  # of all VIFs, by number
        self._followed: World | None = None
        self._expiry_s = 0.0
        self._bound = FairSecond(MOST_A_SECOND, clocks.monotonic)
        self._copies_bound = FairSecond(MOST_COPIES_A_SECOND, clocks.monotonic)
        self._gone: Counter[str] = Counter()  # what desks that there are no more have counted

    @property
    def counts(self) -> Mapping[str, int]:
        """asked, answered, ignored since the start; held: packets that wait now; passed_over: there were too many."""
        total: Counter[str] = Counter({"asked": 0, "answered": 0, "ignored": 0, "held": 0})
        for counts in (self._gone, *(desk.counts for desk in self._desks.values())):
            total.update(counts)
        return {**total, "passed_over": self._bound.passed_over + self._copies_bound.passed_over}

    def take(self, asked: Ask, chassis: str, switch: Switch) -> None:
        """Returns at once and never raises: what cannot be understood is noted in the log."""
        bound = self._copies_bound if asked.registers.get(ASK) == AskedFor.LEASE else self._bound
        if bound.takes((chassis, _vif_of(asked))):
            self._try(asked, chassis, switch)

    def run(self) -> None:
        """For ever, in a green thread of its own."""
        while True:
            eventlet.sleep(_TICK_S)
            try:
                self.tick()
            except Exception:
                log.exception("what is due to VIFs cannot be sent")

    def tick(self) -> None:
        self._follow()
        switches = self._switches()
        for chassis in (self._desks.keys() | self._places.keys()) - switches.keys():
            if (desk := self._desks.pop(chassis, None)) is not None:
                self._gone.update({**desk.counts, "held": 0})
            self._places.pop(chassis, None)
        for chassis, switch in switches.items():
            self._prepare(chassis)
            place = self._places[chassis][1]
            if place is not None:
                self._say(self._desk(chassis).due(place, self._clocks.monotonic()), switch)
        early, self._early = self._early, []
        for one in early:
            self._try(*one)
        now_s = self._clocks.wall()
        if abs(now_s - self._expiry_s) >= _EXPIRY_S:
            self._expiry_s = now_s
            self._tell(self._leases.expire(now_s))
        self._tell()

    def _try(self, asked: Ask, chassis: str, switch: Switch) -> None:
        try:
            self._take(asked, chassis, switch)
        except Exception:
            log.exception("%s: a packet that asks for a service cannot be dealt with", chassis)

    def _take(self, asked: Ask, chassis: str, switch: Switch) -> None:
        """Answers from what the last tick saw. What a VIF sends that came after it waits for the next."""
        if self._followed is None:
            self._follow()
        if chassis not in self._places:
            self._places[chassis] = self._world(), _place_of(self._world(), chassis)
        world, place = self._places[chassis]
        is_new = place is None or (_vif_of(asked) != OUTSIDE and _vif_of(asked) not in place.vifs)
        if is_new and world is not self._world():
            if len(self._early) < MOST_EARLY:
                self._early.append((asked, chassis, switch))
            return
        if place is None:
            return
        what = question(asked.cookie, asked.registers, asked.in_port, asked.frame)
        said = self._desk(chassis).asked(what, place, self._clocks.monotonic())
        self._say(said, switch)
        for number, told in said.told:
            self._tell(self._leases.told(number, told, self._clocks.wall()))

    def _say(self, said: Said, switch: Switch) -> None:
        try:
            for port, frame in said.frames:
                switch.packet_out(port, frame)
            for ports, frame in said.floods:
                switch.flood(ports, frame)
        except SwitchGone as fault:
            log.warning("nothing is said: %s", fault)

    def _desk(self, chassis: str) -> Desk:
        if chassis not in self._desks:
            self._desks[chassis] = Desk(self._clocks.monotonic())
        return self._desks[chassis]

    def _prepare(self, chassis: str) -> None:
        """In a native thread: of a thousand VIFs it takes 50 ms, in which others may go on."""
        world = self._world()
        if chassis not in self._places or self._places[chassis][0] is not world:
            self._places[chassis] = world, tpool.execute(_place_of, world, chassis)

    def _follow(self) -> None:
        world = self._world()
        if world is self._followed or not world.is_known:
            return
        self._followed = world
        interfaces, policies = world.snapshot.interfaces, world.policies
        learners = learning.learners_of(interfaces, policies)
        self._leases.follow(learners, learning.reserved_of(interfaces, policies) if learners else ())
        self._names = {vif.number: name for name, vif in interfaces.items()}
        self._tell([interfaces[name].number for name in self._differing(self._names)])

    def _tell(self, changed: Collection[int] = ()) -> None:
        """Reports what is due; changed: VIFs that have other addresses now."""
        now_s = self._clocks.monotonic()
        self._reports.changed(changed, now_s)
        differing = self._differing(self._reports.due(now_s))
        if differing:
            self._report(differing)

    def _differing(self, numbers: Collection[int]) -> dict[str, tuple[str, ...]]:
        """By name, what those have of which the database says something else."""
        interfaces = self._world().snapshot.interfaces
        vifs = [vif for number in numbers if (vif := interfaces.get(self._names.get(number, ""))) is not None]
        return learning.changes(vifs, self._leases.addresses({vif.number for vif in vifs}))


def _vif_of(asked: Ask) -> int:
    origin = decode(asked.cookie)
    return OUTSIDE if origin is None else origin.number


def _place_of(world: World, chassis: str) -> Place | None:
    """None: the keeper of the chassis says why, or the row of the chassis is not there yet."""
    if not world.is_known or chassis not in world.snapshot.chassis:
        return None
    try:
        place = Place(bridge_of(world, chassis, {}), mac_number(gateway_mac(world.snapshot.system_id)))
    except (Unnumbered, ValueError):
        return None
    place.look()
    return place
