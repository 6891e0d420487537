"""What the played agent of the benchmark says, and the policy by which the loop has something to hold."""

from __future__ import annotations

from dataclasses import replace

import pytest

from controller.allocation.loop import initial, step
from controller.allocation.samples import MeterCounters, PortCounters, QueueCounters, VifCounters
from controller.allocation.settings import Settings
from controller.runtime.bandwidth import network_of
from controller.world.desired import World, read_world
from lab.sampled_controller import BRIDGE, CHASSIS, DATAPATH, HELD, PROBED, _vif, counted, policy_text, probed
from ovsdb.rows import Chassis, Snapshot

VIFS = 1000


def test_every_vif_is_probed_in_its_turn() -> None:
    turns = [probed(turn, VIFS) for turn in range(10)]
    assert all(len(found) == PROBED for found in turns)
    assert sorted(number for found in turns for number in found) == list(range(1, VIFS + 1))
    assert probed(10, VIFS).keys() == turns[0].keys() and probed(10, VIFS) != turns[0]
    assert len(probed(3, 7)) == 7


@pytest.mark.parametrize(("active", "ticks"), [(0, Settings().release_ticks + 5), (100, 4), (VIFS, 4)])
def test_the_loop_holds_one_tenant_as_soon_as_somebody_sends(active: int, ticks: int) -> None:
    """While nothing is known yet it is held as well."""
    vifs = {one.name: replace(one, ofport=one.number) for one in map(_vif, range(1, VIFS + 1))}
    chassis = {CHASSIS: Chassis(CHASSIS, BRIDGE, DATAPATH)}
    made = Snapshot(policy_version=1, files={"p.yaml": policy_text()}, chassis=chassis, interfaces=vifs)
    state = initial(network_of(read_world(made, World(), 0.0)))
    still = MeterCounters(0, 0), PortCounters(0, 0)  # the switch carries nothing
    for second in range(ticks):
        queues = {
            number: QueueCounters(*(counted(second) if number <= active else (0, 0, 0, 0)))
            for number in range(1, VIFS + 1)
        }
        read = {
            number: VifCounters(second, second, *still, shaper=queue, uplink=queue, ingress=queue)
            for number, queue in queues.items()
        }
        state, decisions = step(state, read, float(second))
    assert decisions.engaged == {"egress": frozenset(), "ingress": frozenset({HELD} if active else ())}
    assert bool(decisions.enforced["ingress"]) == (active > 0) and not decisions.enforced["egress"]
