"""What waits, class by class, and what packets cost, as the API has it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from controller.allocation.loop import advance, initial
from controller.allocation.samples import CountersByVif
from controller.measure.counted import counted
from controller.runtime.bandwidth import network_of
from controller.runtime.figures import vif_documents
from controller.runtime.queue_figures import QueueFigures
from controller.runtime.sampling import METER_COLUMNS, PORT_COLUMNS, SwitchSample, places_of, readings_of
from controller.runtime.tick import Tick
from controller.stream.messages import HostSample, QueueSample, VifSample
from controller.world.desired import World, read_world
from policies.enforcement import PACKET_COST
from tests.unit.runtime.runtime_worlds import FILES, H1, POLICY, snapshot, vif

ABLE = replace(H1, capabilities={**H1.capabilities, PACKET_COST: "10000"})
BUFFERED = {"p.yaml": POLICY.replace("      free:", "      slim: {buffer: 10 kb}\n      free:")}
NOTHING: dict[str, Any] = {"backlog_bytes": None, "buffer_part": None, "classes": {}}


class Shown:
    """`figures` is what the API says of VIF 1 after two samples, a second apart."""

    def __init__(self, chassis: Any = ABLE, files: dict[str, str] = FILES, policy: str = "acme/web") -> None:
        made = snapshot(vif(1, policy), vif(2), chassis=(chassis,), files=files)
        self.world = read_world(made, World(), 0.0)
        self.figures, self.now_s = dict[str, Any](), 0.0
        self.queues = QueueFigures(lambda: self.now_s, lambda: 1.0)
        self.state = initial(network_of(self.world))

    def tick(self, second: int, *samples: VifSample, packets: int = 0) -> None:
        """samples: of VIFs from 1 on."""
        self.look(second, HostSample("h1", second, dict(enumerate(samples, 1))), packets)

    def look(self, second: int, sample: HostSample, packets: int = 0, is_heard: bool = True) -> None:
        """is_heard: the sample came in this second, and is not the last of an agent that has fallen silent."""
        self.now_s = float(second)
        ports = counted({1: (packets * 100, 0, packets, 0, 0, 0)}, PORT_COLUMNS)
        switch = SwitchSample(second, counted({}, METER_COLUMNS), ports)
        places = places_of(self.world)
        read = readings_of(places, {"h1": switch}, {"h1": sample})
        self.state, decisions = advance(self.state, read, second)
        if is_heard:
            self.queues.take(sample)
        tick = Tick(
            second, second, 0.0, self.world, CountersByVif(places.keys, read), decisions, {}, self.state.counters
        )
        shown = self.queues.shown_in(vif_documents(self.world.snapshot, decisions), tick)
        self.figures = shown["vifs"]["v1"]


def queue(packets: int, waiting: int = 0) -> QueueSample:
    return QueueSample(packets * 100, packets, 0, waiting)


def of(direction: dict[str, Any], *names: str) -> dict[str, Any]:
    return {name: direction[name] for name in names or NOTHING}


def test_classes_and_what_waits_are_told_by_direction() -> None:
    shown = Shown()
    for second in (1, 2):
        bulk, gold = queue(100 * second, 40), queue(10 * second)
        shown.tick(
            second,
            VifSample(queue(0, 500), queue(0, 40), queue(0, 7), {"bulk": bulk, "gold": gold}, {"gold": gold}),
            VifSample(uplink=queue(0)),
        )
    egress, ingress = shown.figures["egress"], shown.figures["ingress"]
    assert egress["backlog_bytes"] == 540 and ingress["backlog_bytes"] == 7 and egress["buffer_part"] is None
    assert list(egress["classes"]) == ["bulk", "gold"] and list(ingress["classes"]) == ["gold"]
    assert egress["classes"]["bulk"] == {
        "offered_kbps": 80, "passed_kbps": 80, "dropped_kbps": 0, "backlog_bytes": 40, "passed_bytes": 20_000,
        "dropped_packets": 0,
    }  # fmt: skip
    assert ingress["classes"]["gold"]["passed_kbps"] == 8


def test_the_fullest_queue_says_how_full_a_buffer_is() -> None:
    shown = Shown(files=BUFFERED, policy="acme/slim")
    shown.tick(1, VifSample(queue(0, 5000), queue(0, 1000)))
    assert of(shown.figures["egress"], "backlog_bytes", "buffer_part") == {"backlog_bytes": 6000, "buffer_part": 0.5}
    assert of(shown.figures["ingress"]) == NOTHING


def test_processor_time_is_packets_times_their_cost_where_that_is_known() -> None:
    shown, unable = Shown(), Shown(replace(ABLE, capabilities={PACKET_COST: "no: nobody counts"}))
    for second in (1, 2):
        shown.tick(second, packets=5000 * second)
        unable.tick(second, packets=5000 * second)
    assert shown.figures["cpu_share"] == 0.05 and unable.figures["cpu_share"] is None
    assert of(shown.figures["egress"]) == NOTHING
    assert QueueFigures(lambda: 0.0, lambda: 1.0).shown_in({"vifs": {"v1": {}}}, None) == {"vifs": {"v1": {}}}


def test_of_an_agent_that_has_fallen_silent_totals_alone_are_told() -> None:
    shown = Shown()
    for second in (1, 2):
        bulk = queue(100 * second, 40)
        sample = HostSample("h1", second, {1: VifSample(queue(0, 500), queue(0, 40), queue(0, 7), {"bulk": bulk})})
        shown.look(second, sample)
    shown.look(5, sample, is_heard=False)
    assert shown.figures["egress"]["backlog_bytes"] == 540, "three samples may get lost"
    assert shown.figures["egress"]["classes"]["bulk"]["passed_kbps"] == 80
    shown.look(6, sample, is_heard=False)
    egress = shown.figures["egress"]
    assert egress["backlog_bytes"] is None and shown.figures["ingress"]["backlog_bytes"] is None
    assert egress["classes"]["bulk"] == {
        "offered_kbps": None, "passed_kbps": None, "dropped_kbps": None, "backlog_bytes": None, "passed_bytes": 20_000,
        "dropped_packets": 0,
    }  # fmt: skip
    shown.look(7, HostSample("h1", 7, sample.vifs))
    assert shown.figures["egress"]["backlog_bytes"] == 540


def test_of_a_chassis_that_is_gone_nothing_is_kept() -> None:
    shown = Shown()
    shown.tick(1, VifSample(uplink=queue(1), uplink_classes={"bulk": queue(1)}))
    shown.queues.keep({"h1"}, {1, 2, 3})
    assert shown.queues.classes(vif(1))["egress"]
    shown.queues.keep({"h2"}, {1, 2, 3})
    assert not shown.queues.classes(vif(1))["egress"] and not shown.queues.is_told(vif(1))
