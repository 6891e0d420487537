"""Worlds, switches and duties to try keeper, roster and ticker on."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import eventlet

from controller.dataplane.entries import NOTHING, MeterBody, SwitchState
from controller.dataplane.stages import Failure, Stages
from controller.runtime.drift import Drifted
from controller.runtime.follower import FlowStatus
from controller.runtime.keeper import Duty
from controller.runtime.sampling import SwitchSample
from controller.runtime.switch import SwitchGone
from controller.world.desired import World, read_world
from ovsdb.rows import Chassis, Snapshot, VirtualInterface
from tests.support.controller_process import numbers_of
from tests.support.fake_switch import FakeSwitch

POLICY = """
weir: 1
segments:
  office: {type: bridged, uplink: up0}
  lab: {type: internal}
links:
  up0: {capacity: 100 mbit, hosts: [h1]}
policies:
  acme:
    egress: {guarantee: 40 mbit, limit: 60 mbit}
    children:
      web: {egress: {guarantee: 10 mbit, limit: 20 mbit, weight: 3}, ingress: {limit: 30 mbit}}
      free: {unmatched: allow}
  other: {}
"""
FILES = {"p.yaml": POLICY}
SWITCH = "00000000000000aa"
H1 = Chassis("h1", "br0", SWITCH, uplink_ports={"up0": 100}, agent_cfg=3)


def vif(number: int, policy: str = "acme/web", **changes: object) -> VirtualInterface:
    mac = f"02:00:00:00:{number >> 8:02x}:{number & 255:02x}"
    base = VirtualInterface(f"v{number}", number, policy, "office", "veth", mac, (f"10.9.0.{number}/24",), "h1")
    return replace(base, **{"state": "ready", "ofport": number, **changes})


def snapshot(*vifs: VirtualInterface, chassis: tuple[Chassis, ...] = (H1,), **changes: object) -> Snapshot:
    made = Snapshot(
        cfg=3,
        files=FILES,
        numbers=numbers_of(POLICY),
        chassis={row.name: row for row in chassis},
        interfaces={vif.name: vif for vif in vifs},
    )
    return replace(made, **changes)


def world(*vifs: VirtualInterface, **changes: object) -> World:
    return read_world(snapshot(*vifs, **changes), World(), 0.0)


class SwitchPlayed(FakeSwitch):
    """A FakeSwitch that the loop can ask too. gone: it answers nothing. mute: it never answers for its counters."""

    def __init__(self, datapath_id: str = SWITCH, state: SwitchState | None = None) -> None:
        super().__init__(state)
        self.datapath_id = datapath_id
        self.gone = self.mute = False
        self.reads = self.asked = 0
        self.counted = SwitchSample(0.0)
        self.forgotten: list[int] = []  # zones
        self.rates: list[tuple[int, int]] = []  # meter and rate in the order in which they were written

    def read(self, wanted: SwitchState = NOTHING) -> SwitchState:
        self.reads += 1
        if self.gone:
            raise SwitchGone("it has gone")
        return super().read(wanted)

    def look(self, stages: Stages) -> SwitchState:
        if self.gone:
            raise SwitchGone("it has gone")
        return super().look(stages)

    def apply(self, stages: Stages) -> Sequence[Failure]:
        eventlet.sleep(0)
        return super().apply(stages)

    def modify_meters(self, meters: Mapping[int, MeterBody]) -> Sequence[Failure]:
        self.rates += [(number, body.rate_kbps) for number, body in meters.items()]
        self.meters |= {number: body for number, body in meters.items() if number in self.meters}
        return [Failure(number, "unknown meter") for number in meters if number not in self.meters]

    def forget_connections(self, zones: Sequence[int]) -> None:
        self.forgotten += zones

    def sample(self) -> SwitchSample:
        self.asked += 1
        while self.mute:
            eventlet.sleep(0.01)
        return self.counted


class Site:
    """What keepers, roster and ticker are given, and what they say. now_s is the clock; it stands unless moved."""

    def __init__(self, world: World) -> None:
        self.world, self.now_s = world, 100.0
        self.enforced: dict[int, int] = {}
        self.reports: dict[str, FlowStatus] = {}
        self.repaired: list[Drifted] = []
        self.duty = Duty(
            lambda: self.world,
            lambda: self.enforced,
            self._report,
            lambda: self.now_s,
            lambda chassis, found: self.repaired.append(found),
        )

    def _report(self, chassis: str, status: FlowStatus) -> None:
        self.reports[chassis] = status


def green_until(condition: Callable[[], object], what: str, deadline_s: float = 5.0) -> None:
    """Lets other green threads run until the condition holds. The deadline is by the real clock."""
    end_s = time.monotonic() + deadline_s
    while not condition():
        assert time.monotonic() < end_s, what
        eventlet.sleep(0.005)
