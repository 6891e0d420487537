"""Guarantees that follow demand, on a real switch: they rise and are given back, and the uplink's tree has them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from controller.world.members import member
from lab.children import LabError, run, wait_until, within
from lab.site import UPLINK, Site
from ovsdb.weir_db import WeirDb
from policies.model import Direction
from policies.parser import parse

MOVES = "autoscale: {guarantee: {min: 1 mbit, max: 12 mbit}, up: 90 % for 1 s, down: 40 % for 2 s}"
POLICY = f"""\
weir: 1
segments:
  office: {{type: bridged, uplink: wan, subnets: [10.1.0.0/24]}}
links:
  wan: {{capacity: 25 mbit}}
policies:
  front: {{unmatched: allow, egress: {{guarantee: 2 mbit, limit: 20 mbit}}, {MOVES}}}
  late: {{unmatched: allow, egress: {{guarantee: 15 mbit, limit: 20 mbit}}}}
  ranges:
    unmatched: allow
    egress: {{limit: 8 mbit}}
    buffer: {{min: 16 kib, max: 200 kib}}
    cpu: {{min: 0.4 %, max: 90 %}}
"""
RESERVABLE_KBPS, WRITTEN_KBPS, LEAST_KBPS, MOST_KBPS, LATE_KBPS = 22_500, 2_000, 1_000, 12_000, 15_000
PORT = {"one": 7001, "two": 7002}
PATIENCE_S = 40.0
CLASS, KBIT = re.compile(r"class htb (\S+) .* rate (\d+)([KM])bit ceil"), {"K": 1, "M": 1000}


@pytest.fixture(scope="module")
def site(policy: Path) -> Iterator[Site]:
    with Site(policy, "10.1.0.100/24") as running:
        for name in PORT:
            running.add_vif(name, "front", "office")
            running.await_neighbour(name)
        yield running


def in_force(database: WeirDb, *names: str) -> dict[str, int]:
    """The egress guarantees in force, in kbit/s."""
    database.run()
    rows, policies = database.snapshot().interfaces, parse({"p": POLICY})
    found = {name: member(rows[name], policies).bandwidth(policies, Direction.EGRESS) for name in names}
    return {name: bandwidth.guarantee_kbps for name, bandwidth in found.items()}


def class_of(site: Site, name: str) -> str:
    """As tc writes it, on the uplink."""
    queues = site.system.json("explain", name)["queues"]
    (class_id,) = (one["class_id"] for one in queues if one["place"] == f"uplink {UPLINK}" and one["owner"] == name)
    return str(class_id)


def in_tree(site: Site, classes: Mapping[str, str]) -> dict[str, int]:
    """What the classes of these VIFs are sure of, in kbit/s, as the kernel has them."""
    text = run(within(site.system.directory.namespace, ["tc", "class", "show", "dev", UPLINK]))
    rates = {class_id: int(number) * KBIT[unit] for class_id, number, unit in CLASS.findall(text)}
    return {name: rates[class_id] for name, class_id in classes.items()}


def await_guarantees(site: Site, classes: Mapping[str, str], **wanted_kbps: int) -> None:
    with site.system.database() as database:
        wait_until(lambda: in_force(database, *wanted_kbps) == wanted_kbps, f"in force: {wanted_kbps}", PATIENCE_S)
    close = {name: pytest.approx(kbps, rel=0.02) for name, kbps in wanted_kbps.items()}
    named = {name: classes[name] for name in wanted_kbps}
    wait_until(lambda: in_tree(site, named) == close, f"the uplink's tree has {wanted_kbps}", PATIENCE_S)


def moves(site: Site, name: str) -> list[tuple[float, float, str]]:
    """What the controller's log tells of the VIF's guarantee: from and to, in Mbit/s, and why."""
    log = (site.system.directory.log / "controller.log").read_text()
    told = re.findall(rf"VIF {name}: egress guarantee (\S+) Mbit/s -> (\S+) Mbit/s: (.*)", log)
    return [(float(before), float(after), why) for before, after, why in told]


def test_what_is_demanded_is_guaranteed_within_admission_shared_given_back_and_kept(site: Site) -> None:
    classes = {name: class_of(site, name) for name in PORT}
    with ExitStack() as ends:
        for port in PORT.values():
            ends.enter_context(site.receiver_outside([port]))
        flood = {name: ends.enter_context(site.sender_at(name, port)) for name, port in PORT.items()}
        flood["one"].offer(24_000)
        await_guarantees(site, classes, one=MOST_KBPS, two=LEAST_KBPS)
        rises = [step for step in moves(site, "one") if step[1] > step[0]]  # before the flood it may have had less
        assert len(rises) >= 3
        for before, after, why in rises:
            assert after <= 2 * before * 1.001 and " 90 % of " in why and " for 1 s" in why
        flood["two"].offer(24_000)
        even = RESERVABLE_KBPS // 2
        await_guarantees(site, classes, one=even, two=even)

        site.add_vif("late", "late", "office")
        assert sum(in_tree(site, classes).values()) <= (RESERVABLE_KBPS - LATE_KBPS) * 1.02  # as the command returns
        left = (RESERVABLE_KBPS - LATE_KBPS) // 2
        classes["late"] = class_of(site, "late")
        await_guarantees(site, classes, one=left, two=left, late=LATE_KBPS)

        site.system.await_restart("controller", site.system.kill("controller"))
        await_guarantees(site, classes, one=left, two=left, late=LATE_KBPS)
    await_guarantees(site, classes, one=LEAST_KBPS, two=LEAST_KBPS)
    egress = site.system.json("vif", "show", "one")["egress"]
    assert (egress["guarantee_kbps"], egress["written_guarantee_kbps"]) == (LEAST_KBPS, WRITTEN_KBPS)
    assert " stood below 40 % of " in moves(site, "one")[-1][2]


def test_buffer_and_processor_time_follow_what_passes(site: Site) -> None:
    """8 Mbit/s for 50 ms are 50 kB. The budget of packets begins below what is sent, and no more holds it then."""
    site.add_vif("busy", "ranges", "office")
    site.await_neighbour("busy")
    begun = site.system.json("vif", "show", "busy")
    assert (begun["buffer_bytes"], begun["cpu"]["share"]) == (200 * 1024, 0.004)
    before = waits_at_most(site, "busy")
    with site.receiver_outside([7003]), site.sender_at("busy", 7003) as sender:
        sender.offer(8_000)
        wait_until(lambda: cpu_of(site)["share"] > 0.006, "more work", PATIENCE_S)
        wanted_bytes = pytest.approx(50_000, rel=0.3)
        now_bytes = wait_until(
            lambda: (size := site.system.json("vif", "show", "busy")["buffer_bytes"]) == wanted_bytes and size,
            "the buffer is for the rate",
            PATIENCE_S,
        )
        part = pytest.approx(now_bytes / (200 * 1024), rel=0.1)
        wait_until(lambda: waits_at_most(site, "busy") / before == part, "its queue has the size", PATIENCE_S)
        wait_until(lambda: cpu_of(site)["budget_pps"] in packet_meters(site), "the switch has the budget", PATIENCE_S)
        assert 0.006 < cpu_of(site)["share"] <= 0.9


def cpu_of(site: Site) -> Mapping[str, Any]:
    found: Mapping[str, Any] = site.system.json("vif", "show", "busy")["cpu"]
    return found


def waits_at_most(site: Site, name: str) -> int:
    """Frames, in the VIF's queue on the uplink."""
    class_id = class_of(site, name)
    text = run(within(site.system.directory.namespace, ["tc", "qdisc", "show", "dev", UPLINK]))
    (frames,) = re.findall(rf"parent {class_id} limit (\d+)p", text)
    return int(frames)


def packet_meters(site: Site) -> set[int]:
    return {
        int(rate) for rate in re.findall(r"pktps .*?rate=(\d+)", site.system.ofctl("dump-meters").replace("\n", " "))
    }


def test_what_cannot_move_is_refused(site: Site, tmp_path: Path) -> None:
    with pytest.raises(LabError, match="15 mbit is not within 1 mbit to 12 mbit, where policy 'front' moves it"):
        site.system.weir("vif", "create", "big", "--policy", "front", "--egress", "guarantee=15 mbit")
    changed = tmp_path / "policy.yaml"
    for text, words in (
        (POLICY.replace("max: 12 mbit", "max: 30 mbit"), "the max 30 mbit is more than the egress limit 20 mbit"),
        (POLICY.replace("down: 40 %", "down: 95 %"), "95 % is not below the 90 % of 'up'"),
        (POLICY.replace("min: 1 mbit", "min: 3 mbit"), "does not contain the egress guarantee 2 mbit"),
    ):
        changed.write_text(text)
        with pytest.raises(LabError, match=words):
            site.system.weir("policy", "apply", str(changed))
    assert set(site.figures()) >= set(PORT) and "big" not in site.figures()
