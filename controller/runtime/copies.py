"""Copies of packets that switches send up: those of rules that log are recorded, rejected ones are answered.

How many come is bounded in the switch by a meter for each VIF, and here for all together.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from controller.dataplane.cookies import CookieKind, Origin, decode
from controller.dataplane.macs import gateway_mac
from controller.dataplane.pipeline import BY_ID
from controller.runtime.each_second import EachSecond
from controller.runtime.switch import Switch
from controller.world.desired import World
from policies.model import Action, Rule
from policies.resolve import ancestry

KEPT = 1000  # of the newest records, for the API

MOST_A_SECOND = 500  # of all VIFs of all switches together; each is dealt with in some 10 to 60 microseconds

log = logging.getLogger("weir.copies")


class Copy(Protocol):
    """A packet as a switch sent it up; in_port: where it came in."""

    @property
    def datapath_id(self) -> str: ...

    @property
    def cookie(self) -> int: ...

    @property
    def table(self) -> int: ...

    @property
    def in_port(self) -> int: ...

    @property
    def frame(self) -> bytes: ...


@dataclass(frozen=True, slots=True)
class Reading:
    """What is told of a frame. describe: addresses, protocol, ports. answer: to who sent it, None: none is due."""

    describe: Callable[[bytes], Mapping[str, Any]]
    answer: Callable[[bytes], bytes | None]


class Copies:
    """write: takes each record, one JSON value. switch: the connected one with this datapath id."""

    def __init__(
        self,
        world: Callable[[], World],
        reading: Reading,
        write: Callable[[Mapping[str, Any]], None],
        wall_clock: Callable[[], float],
    ) -> None:
        self._world, self._reading, self._write, self._wall_clock = world, reading, write, wall_clock
        self._rules: tuple[World, Mapping[int, Rule]] | None = None
        self.records: deque[Mapping[str, Any]] = deque(maxlen=KEPT)
        self._bound = EachSecond(MOST_A_SECOND, wall_clock)

    @property
    def passed_over(self) -> int:
        """How many, for there were too many."""
        return self._bound.passed_over

    def take(self, copy: Copy, chassis: str, switch: Switch) -> None:
        """Never raises: what cannot be understood is noted in the log."""
        if not self._bound.takes():
            return
        try:
            self._take(copy, chassis, switch)
        except Exception:
            log.exception("%s: a packet that it sent up cannot be dealt with", chassis)

    def _take(self, copy: Copy, chassis: str, switch: Switch) -> None:
        origin = decode(copy.cookie)
        if origin is None or origin.vif is None:
            return
        rule = self._rule(origin)
        if rule is not None and rule.log:
            record = self._record(copy, chassis, origin.vif, rule)
            self.records.append(record)
            self._write(record)
        if self._rejects(origin, rule):
            answer = self._tagged(copy, origin.vif, self._to_sender(copy, chassis, self._reading.answer(copy.frame)))
            if answer is not None:
                switch.packet_out(copy.in_port, answer)

    def _rejects(self, origin: Origin, rule: Rule | None) -> bool:
        return origin.kind is CookieKind.UNMATCHED or (rule is not None and rule.action is Action.REJECT)

    def _to_sender(self, copy: Copy, chassis: str, answer: bytes | None) -> bytes | None:
        """What the router had passed on before it was rejected has lost its sender's MAC: that is the MAC of the VIF
        at this port. None: it came from another host, whose router is not told."""
        world = self._world()
        router = bytes.fromhex(gateway_mac(world.snapshot.system_id).replace(":", ""))
        if answer is None or copy.frame[6:12] != router:
            return answer
        here = (vif.mac for vif in world.members.get(chassis, ()) if vif.ofport == copy.in_port)
        return next((bytes.fromhex(mac.replace(":", "")) + router + answer[12:] for mac in here if mac), None)

    def _tagged(self, copy: Copy, number: int, frame: bytes | None) -> bytes | None:
        """With the VLAN tag of the VIF's segment where it goes back out of an uplink. None: who knows which that is."""
        world = self._world()
        came_in = (chassis for chassis in world.snapshot.chassis.values() if chassis.datapath_id == copy.datapath_id)
        if frame is None or not any(copy.in_port in chassis.uplink_ports.values() for chassis in came_in):
            return frame
        vif = next((vif for vif in world.snapshot.interfaces.values() if vif.number == number), None)
        segment = world.policies.segments.get(vif.segment) if vif else None
        if segment is None:
            return None
        return (
            frame if segment.vlan is None else frame[:12] + b"\x81\x00" + segment.vlan.to_bytes(2, "big") + frame[12:]
        )

    def _record(self, copy: Copy, chassis: str, number: int, rule: Rule) -> Mapping[str, Any]:
        world = self._world()
        name = next((name for name, vif in world.snapshot.interfaces.items() if vif.number == number), None)
        party = world.identities.parties.get(name or "")
        return {
            "time": round(self._wall_clock(), 3),
            "rule": rule.identity,
            "at": str(rule.at),
            "action": rule.action.value,
            "vif": name,
            "users": sorted(party.users) if party else [],
            "direction": BY_ID[copy.table].name.removesuffix("_verdict"),
            "chassis": chassis,
            **self._reading.describe(copy.frame),
        }

    def _rule(self, origin: Origin) -> Rule | None:
        if origin.kind is CookieKind.UNMATCHED:
            return None
        world = self._world()
        if self._rules is None or self._rules[0] is not world:
            self._rules = (world, _by_number(world))
        return self._rules[1].get(origin.of)


def _by_number(world: World) -> Mapping[int, Rule]:
    leaves = {vif.policy for vifs in world.members.values() for vif in vifs}
    nodes = {node.path: node for leaf in leaves for node in ancestry(world.policies, leaf)}
    rules = (rule for node in nodes.values() for rule in (*node.mandatory, *node.rules, *node.default))
    return {world.numbers["rule", rule.identity]: rule for rule in rules if ("rule", rule.identity) in world.numbers}
