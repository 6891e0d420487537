"""How long the way is beyond this host's uplinks: to the next router, or to another host's agent, and back. Pure.

Every frame waits in this host's own queues, too, but that is not counted: the kernel says when it left. Nor is counted
how long an agent took to answer: it says that of each answer in the next.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv6Address

from controller.host.latency.frames import BROADCAST, MOST_NUMBER, Note, question, tagged, to_peer
from controller.host.latency.stamps import Heard, Moment, Stamp, is_possible

PATIENCE_S = 2.0  # what takes longer is lost
FRAMES_PER_S = 40  # of this host, to all its neighbours; what it answers comes on top
OFTEN_PER_S, SELDOM_PER_S = 5.0, 1.0  # to one neighbour: where somebody has objectives, and elsewhere
MOST_GUESTS = 64  # agents whose last question is remembered
GONE = 5  # so many questions in a row that a router does not answer: it cannot be reached
FRESH_S = GONE * (PATIENCE_S + 1)  # so long an answer says how it is: until it is known that none comes any more

_UNSURE_NS = 1_000_000  # so much may what two hosts have measured differ


@dataclass(frozen=True, slots=True)
class Neighbour:
    """Whom to ask behind a device of an uplink: a router by its address, or an agent by its host's MAC."""

    device: str
    who: IPv4Address | IPv6Address | int
    vlan: int | None = None

    @property
    def is_router(self) -> bool:
        return not isinstance(self.who, int)


@dataclass(slots=True)
class _Asked:
    sent_s: float
    times_ns: dict[Moment, int] = field(default_factory=dict)
    kept_ns: int | None = None

    def time_ns(self) -> int | None:
        if self.kept_ns is None or not {Moment.SENT, Moment.ANSWERED} <= self.times_ns.keys():
            return None
        time_ns = self.times_ns[Moment.ANSWERED] - self.times_ns[Moment.SENT] - self.kept_ns
        return 0 if -_UNSURE_NS < time_ns < 0 else time_ns


@dataclass(slots=True)
class _Known:
    """Of one neighbour. missed: in a row, after it has answered before. mac: of a router that has; 0: not known."""

    is_router: bool
    due_s: float
    asked: dict[int, _Asked] = field(default_factory=dict)
    last: tuple[float, int] | None = None  # when it came, and how long it took in ns
    missed: int = 0
    mac: int = 0


@dataclass(slots=True)
class _Guest:
    """An agent that has asked: the last answer to it, and when the question had come and the answer left."""

    number: int
    wire: int
    came_ns: int
    left_ns: int | None = None


class Neighbours:
    """mac: of this host, by which it asks and is asked."""

    def __init__(self) -> None:
        self.mac = 0
        self._known: dict[Neighbour, _Known] = {}
        self._often: frozenset[str] = frozenset()
        self._vlans: Mapping[str, int | None] = {}
        self._guests: dict[tuple[str, int], _Guest] = {}

    @property
    def due_s(self) -> float | None:
        return min((known.due_s for known in self._known.values()), default=None)

    def aim(
        self,
        neighbours: Iterable[Neighbour],
        often: Iterable[str],
        vlans: Mapping[str, int | None],
        mac: int,
        now_s: float,
    ) -> None:
        """often: devices behind which somebody with objectives sends. vlans: in which agents speak, by device of all
        this host's uplinks."""
        self._often, self._vlans, self.mac = frozenset(often), vlans, mac
        self._known = {one: self._known.get(one) or _Known(one.is_router, now_s) for one in neighbours}

    def due(self, now_s: float, numbers: Iterable[int]) -> list[tuple[str, bytes]]:
        """The questions to send now, with the device. numbers: of those, one each."""
        found, rates = [], [self._rate(one) for one in self._known]
        stretch = max(1.0, sum(rates) / FRAMES_PER_S)
        given = iter(numbers)
        for one, known in self._known.items():
            if known.due_s > now_s:
                continue
            known.due_s = now_s + stretch / self._rate(one)
            if isinstance(one.who, int):
                number = next(given)
                frame = to_peer(number, Note(False, number), self.mac, one.who)
            elif known.asked:
                continue  # its answers have no number
            else:
                number = next(given)
                is_known = known.mac and not known.missed  # then nobody else need hear it
                frame = question(number, one.who, known.mac if is_known else BROADCAST, self.mac)
            known.asked[number] = _Asked(now_s, kept_ns=0 if one.is_router else None)
            found.append((one.device, tagged(frame, one.vlan)))
        return found

    def take(self, stamp: Stamp) -> None:
        is_answer = stamp.moment is Moment.ANSWERED
        if is_answer and stamp.number != self.mac & MOST_NUMBER:
            return  # to a probe of a VIF, or to another host
        for one, known in self._known.items():
            if is_answer and one.is_router and one.device == stamp.device:
                for asked in known.asked.values():
                    asked.times_ns.setdefault(stamp.moment, stamp.time_ns)
                    known.mac = stamp.sender
            elif stamp.number in known.asked and not is_answer:
                known.asked[stamp.number].times_ns.setdefault(stamp.moment, stamp.time_ns)
        for guest in self._guests.values():
            if guest.wire == stamp.number and stamp.moment is Moment.SENT:
                guest.left_ns = stamp.time_ns

    def hear(self, heard: Heard, number: int) -> tuple[str, bytes] | None:
        """The answer to send, with its device, if it was a question for this host. number: of that frame."""
        if heard.receiver != self.mac or heard.device not in self._vlans:
            return None  # for another host, or passing through one whose devices we see as well
        note = heard.note
        if not note.is_answer:
            key = heard.device, heard.peer
            before = self._guests.pop(key, None)
            if len(self._guests) >= MOST_GUESTS:
                del self._guests[next(iter(self._guests))]  # who was silent longest
            self._guests[key] = _Guest(note.number, number, heard.time_ns)
            if before is None or before.left_ns is None or before.left_ns < before.came_ns:
                answer = Note(True, note.number)
            else:
                answer = Note(True, note.number, before.number, before.left_ns - before.came_ns)
            frame = to_peer(number, answer, self.mac, heard.peer)
            return heard.device, tagged(frame, self._vlans.get(heard.device))
        for one, known in self._known.items():
            if one.device == heard.device and one.who == heard.peer:
                if note.number in known.asked:
                    known.asked[note.number].times_ns.setdefault(Moment.ANSWERED, heard.time_ns)
                if note.before in known.asked:
                    known.asked[note.before].kept_ns = note.kept_ns
        return None

    def settle(self, now_s: float, lost_s: float) -> None:
        """lost_s: answers may have come until then that were not read."""
        for known in self._known.values():
            for number, asked in list(known.asked.items()):
                time_ns, passed_s = asked.time_ns(), now_s - asked.sent_s
                if time_ns is not None:
                    known.missed = 0
                    if is_possible(time_ns, passed_s):
                        known.last = now_s, time_ns
                elif passed_s < PATIENCE_S:
                    continue
                elif Moment.SENT in asked.times_ns and Moment.ANSWERED not in asked.times_ns:
                    known.missed += known.last is not None and asked.sent_s > lost_s
                del known.asked[number]

    def beyond_ns(self, devices: Iterable[str], now_s: float) -> int | None:
        """How long the way is beyond these devices of an uplink, the least of what is known; None: nothing is."""
        lasts = [known.last for known in self._telling(devices) if known.last is not None]
        return min((time_ns for came_s, time_ns in lasts if now_s - came_s <= FRESH_S), default=None)

    def is_cut(self, devices: Iterable[str]) -> bool:
        """Whether a router there that has answered before does not any more, behind none of these devices."""
        telling = self._telling(devices)
        return any(known.is_router for known in telling) and all(known.missed >= GONE for known in telling)

    def _telling(self, devices: Iterable[str]) -> list[_Known]:
        """Of those that have ever answered there: routers, other hosts only where there are none. These may be on this
        side of a line that is slow, or down."""
        wanted = set(devices)
        found = [known for one, known in self._known.items() if one.device in wanted and known.last is not None]
        return [known for known in found if known.is_router] or found

    def _rate(self, one: Neighbour) -> float:
        return OFTEN_PER_S if one.device in self._often else SELDOM_PER_S
