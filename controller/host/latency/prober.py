"""Probes the VIFs of this host. Nothing here waits: the kernel notes the times, so they may be read later."""

from __future__ import annotations

import random
from functools import partial

from controller.host.latency.frames import passer_by_inwards, passer_by_outwards, question
from controller.host.latency.neighbours import Neighbours
from controller.host.latency.pace import Pace
from controller.host.latency.rounds import Leg, Round, Rounds
from controller.host.latency.stamps import Heard
from controller.host.latency.surroundings import Aims
from controller.host.latency.targets import Target
from controller.host.latency.wire import Sent, Wire
from controller.stream.messages import PathSample
from policies.model import NORMAL

DOWN_EVERY_S = 10.0


class Prober:
    """Times are of the monotonic clock."""

    def __init__(self, wire: Wire) -> None:
        self._wire, self._rounds, self._pace = wire, Rounds(), Pace(random.random)
        self._neighbours = Neighbours()
        self._aims = Aims()
        self._down: dict[int, float] = {}  # when it was last told of VIFs whose link is down
        self._read_s = float("-inf")
        self._lost_s = float("-inf")  # when it was last seen that answers had come that were not read

    @property
    def due_s(self) -> float | None:
        """When `step` has something to do."""
        due = [due_s for due_s in (self._pace.due_s, self._neighbours.due_s) if due_s is not None]
        return max(min(due), self._read_s + self._pace.step_s) if due else None

    def close(self) -> None:
        self._wire.close()

    def aim(self, aims: Aims, now_s: float) -> None:
        """From now on these are probed, and no others."""
        if aims == self._aims:
            return
        self._aims = aims
        self._wire.spare(aims.vlans)
        often = {device for target in aims.targets.values() if target.has_objectives for device in target.leaves_by}
        probed = {number: target for number, target in aims.targets.items() if target.device not in aims.down}
        self._down = {number: self._down.get(number, float("-inf")) for number in aims.targets.keys() - probed.keys()}
        self._pace.aim(probed, now_s)
        self._rounds.keep(probed)
        self._neighbours.aim(aims.neighbours, often, aims.vlans, aims.mac, now_s)

    def step(self, now_s: float) -> None:
        due_s = self.due_s
        if due_s is None or now_s < due_s:
            return
        self._read(now_s)
        numbers = iter(self._rounds.number, 0)  # there is no end of them
        for device, frame in self._neighbours.due(now_s, numbers):
            self._wire.send(device, frame)
        for target, class_name, code_point in self._pace.due(now_s):
            self._send(target, class_name, code_point, now_s)

    def hear(self, now_s: float) -> None:
        """Answers other hosts' agents, at least once a second: how long that takes us they do not count."""
        if self._wire.has_heard():
            self._read(now_s)

    def samples(self, now_s: float) -> dict[int, dict[str, PathSample]]:
        """By VIF number and class: what ended since the last call; of VIFs whose link is down that, now and then."""
        self._read(now_s)
        found = self._rounds.samples(self._pace.every_s)
        for number in [number for number, told_s in self._down.items() if now_s - told_s >= DOWN_EVERY_S]:
            self._down[number] = now_s
            found[number] = {NORMAL: PathSample(0, 0, every_s=DOWN_EVERY_S)}
        return found

    def _read(self, now_s: float) -> None:
        self._read_s = now_s
        for one in self._wire.heard():
            if isinstance(one, Heard):
                answer = self._neighbours.hear(one, self._rounds.number())
                if answer is not None:
                    self._wire.send(*answer)
            else:
                self._rounds.take(one)
                self._neighbours.take(one)
        if self._wire.has_lost():
            self._lost_s = now_s
        self._neighbours.settle(now_s, self._lost_s)
        self._rounds.settle(now_s, self._lost_s, partial(self._beyond_ns, now_s))

    def _beyond_ns(self, now_s: float, own: Round) -> int | None:
        if self._neighbours.is_cut(own.leaves_by):
            return None
        return self._neighbours.beyond_ns(own.leaves_by, now_s) or 0

    def _send(self, target: Target, class_name: str, code_point: int, now_s: float) -> None:
        """What cannot be sent at all tells nothing, so the round is given up. In IPv6 answers have no number: there no
        question follows another that is under way."""
        if target.address.version == 6 and self._rounds.is_asking(target.device):
            return
        numbers = [self._rounds.number() for _ in range(2 + len(target.uplinks))]
        asked, passing, *outwards = numbers
        own = Round(target.vif, class_name, now_s, Leg(target.device), leaves_by=target.leaves_by)
        legs = {asked: own.question}
        frames = [(target.device, question(asked, target.address, target.mac))]
        if target.divides_port:
            own.inwards = legs[passing] = Leg(target.device)
            frames.append((target.device, passer_by_inwards(passing, code_point)))
        for number, device in zip(outwards, target.uplinks, strict=True):
            leg = legs[number] = Leg(device)
            own.outwards.append(leg)
            frames.append((device, passer_by_outwards(number, target.sender_mac, target.address, code_point)))
        self._rounds.add(own, legs)
        sent = [self._wire.send(device, frame) for device, frame in frames]
        own.is_refused = Sent.REFUSED in sent
        if Sent.NOT in sent:
            self._rounds.drop(own)
