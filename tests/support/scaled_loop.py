"""The actor that moves guarantees, in a loop with played demands; the clock is a number."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from controller.allocation.counters import CounterState
from controller.allocation.decision import Decision, Decisions, Move
from controller.allocation.settings import Settings
from controller.runtime.autoscaling import Autoscaling
from controller.runtime.tick import Tick
from controller.world.desired import World, read_world
from controller.world.members import member, members_in_force
from ovsdb.rows import Snapshot, VirtualInterface
from policies.enforcement import PACKET_COST
from policies.hierarchy import overcommitted
from tests.unit.runtime.runtime_worlds import H1, snapshot

MOVES = "autoscale: {guarantee: {min: 5 mbit, max: 80 mbit}, up: 90 % for 2 s, down: 40 % for 4 s}"
POLICY = f"""
weir: 1
segments:
  office: {{type: bridged, uplink: up0}}
links: {{up0: {{capacity: 100 mbit}}}}
policies:
  web: {{egress: {{guarantee: 10 mbit}}, {MOVES}}}
  other: {{egress: {{guarantee: 40 mbit}}}}
  buffered: {{buffer: {{min: 16 kib, max: 256 kib}}, slo: {{latency: 20 ms}}, best-effort: true}}
  costly: {{cpu: {{min: 10 %, max: 50 %}}}}
"""
FILES = {"p.yaml": POLICY}


def demand(kbps: float | None, limited: bool = False) -> Decision:
    wanted_kbps = (kbps or 0.0) * Settings().headroom
    return Decision(kbps, kbps, kbps and 0.0, kbps and 0.0, limited, wanted_kbps, 0.0, None)


class Loop:
    """A second a tick. What is reported is in the Weir DB by the next, unless `loses`."""

    def __init__(self, *vifs: VirtualInterface, policy: str = POLICY, loses: bool = False) -> None:
        self.snapshot = snapshot(
            *vifs, files={"p.yaml": policy}, chassis=(replace(H1, capabilities={PACKET_COST: "10000"}),)
        )
        self.world = read_world(self.snapshot, World(), 0.0)
        self.loses, self.written = loses, list[Mapping[str, Mapping[str, int]]]()
        self.now_s, self.moves = 0.0, list[Move]()
        self.actor = Autoscaling(self.written.append, Settings())

    def change(self, changed: Snapshot) -> None:
        self.snapshot = changed
        self.world = read_world(changed, self.world, 0.0)

    def interfaces(self, *vifs: VirtualInterface) -> None:
        self.change(replace(self.snapshot, interfaces={**self.snapshot.interfaces, **{one.name: one for one in vifs}}))

    def remove(self, name: str) -> None:
        left = {other: one for other, one in self.snapshot.interfaces.items() if other != name}
        self.change(replace(self.snapshot, interfaces=left))

    def tick(self, egress: Mapping[int, Decision], counted: CounterState | None = None, seconds: int = 1) -> list[Move]:
        found: list[Move] = []
        for _ in range(seconds):
            self.now_s += 1.0
            decisions = Decisions(egress, {}, (), {})
            found += self.actor.act(Tick(0, self.now_s, 0.0, self.world, {}, decisions, {}, counted))
            if self.written and not self.loses:
                rows = self.snapshot.interfaces
                self.interfaces(*(replace(rows[name], scaled=one) for name, one in self.written[-1].items()))
                self.written.clear()
            self.check()
        self.moves += found
        return found

    def check(self) -> None:
        """The law: whatever stands in the Weir DB, what is in force is never more than admission allows."""
        members = members_in_force(self.snapshot.interfaces.values(), self.world.policies)
        assert not overcommitted(self.world.policies, members)

    def kbps(self, name: str) -> int:
        one = member(self.snapshot.interfaces[name], self.world.policies)
        return one.scaled.egress_kbps or 10_000
