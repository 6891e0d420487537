"""What reaches a vhost-user VIF, held by DPDK's policers: the limit, its division into classes, and repair."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from lab.testpmd import Testpmd
from tests.support.ovs_sandbox import wait_until
from tests.support.policed_ports import (
    address_of,
    assert_held,
    await_kbit,
    behind,
    flood,
    interface_figure,
    near,
    parts_kbps,
    policing,
    polled,
    queue_bytes,
    rows_of,
    vsctl,
)
from tests.support.system import SystemUnderTest

LIMIT_KBPS, GUARDED_KBPS = 8000, 4000
QUEUES = {47: 0.3, 0: 0.6, 9: 0.1}  # of the classes, with their shares
POLICY = """
weir: 1
segments:
  front: {type: routed, subnets: [10.41.0.0/24, "fd00:41::/64"], mtu: 1400}
classes: {realtime: {dscp: ef, share: 30 %}, normal: {share: 60 %}, bulk: {dscp: cs1, share: 10 %}}
policies:
  acme:
    children:
      held: {ingress: {limit: 8 mbit}, unmatched: allow}
      divided:
        ingress: {limit: 8 mbit}
        rules:
          - allow: {service: udp/5001, class: realtime}
          - allow: {service: udp/5003, class: bulk}
        unmatched: allow
      pinned: {cpu: 40 %, queues: 2, best-effort: true}
      peer: {unmatched: allow}
"""
Shown = dict[str, Any]


@pytest.fixture(scope="module")
def shown(system: SystemUnderTest) -> dict[str, Shown]:
    """As `weir vif show` has them: held, divided behind vhost-user; peer in a namespace."""
    for name in ("held", "divided"):
        system.weir("vif", "create", name, "--kind", "vhost-user", "--policy", f"acme/{name}", "--segment", "front")
    system.weir("vif", "create", "peer", "--policy", "acme/peer", "--segment", "front")
    return {name: system.json("vif", "show", name) for name in ("held", "divided", "peer")}


def test_a_flood_is_held_to_the_limit_and_what_is_dropped_is_shown(
    system: SystemUnderTest, shown: dict[str, Shown]
) -> None:
    with behind(system, shown["held"]) as application, flood(system, shown["held"], 5002, 30_000):
        assert_held(application, LIMIT_KBPS)
        wait_until(lambda: tells_drops(system.json("vif", "show", "held")["ingress"]), "the loop knows of drops")


def tells_drops(figures: Shown) -> bool:
    offered, passed, dropped = (figures[f"{name}_kbps"] or 0 for name in ("offered", "passed", "dropped"))
    return offered > 1.5 * LIMIT_KBPS and bool(offered - passed == pytest.approx(dropped, rel=0.02))


@pytest.mark.parametrize("family", [4, 6])
def test_classes_have_their_parts_of_the_limit(system: SystemUnderTest, shown: dict[str, Shown], family: int) -> None:
    one = shown["divided"]
    with behind(system, one) as application, flood(system, one, 5001, 6_000, family):
        assert_held(application, 0.3 * LIMIT_KBPS, rel=0.05)  # what the others leave is not given to it
        with flood(system, one, 5002, 12_000, family), flood(system, one, 5003, 4_000, family):
            await_kbit(application, LIMIT_KBPS)
            found = near(lambda: parts_kbps(system, one, application, QUEUES), is_divided)
            assert is_divided(found), found


def is_divided(found: tuple[float, dict[int, float]]) -> bool:
    whole_kbps, parts = found
    right = {queue: share * LIMIT_KBPS for queue, share in QUEUES.items()}
    return bool(whole_kbps == pytest.approx(LIMIT_KBPS, rel=0.03) and parts == pytest.approx(right, rel=0.05))


def test_what_is_deleted_by_hand_comes_back(system: SystemUnderTest, shown: dict[str, Shown]) -> None:
    port, wanted, told = shown["divided"]["port"], rows_of(system), len(system.json("events"))
    assert len(wanted["QoS"]) == 2 and len(wanted["Queue"]) == 3
    row = vsctl(system, "get", "Port", port, "qos").strip()
    off = ("clear", "Port", port, "qos")
    for commands in (off, ("clear", "QoS", row, "queues"), (*off, "--", "destroy", "QoS", row)):
        vsctl(system, *commands)
        wait_until(lambda: rows_of(system) == wanted, f"mended after {' '.join(commands)}", 5.0)
        wait_until(lambda: len(queue_bytes(system, shown["divided"], QUEUES)) == 3, "the switch has the queues", 5.0)
    said = [event for event in system.json("events")[told:] if event["kind"] == "database"]
    assert len(said) == 3, said


def test_a_share_of_a_core_pins_the_queues(system: SystemUnderTest, shown: dict[str, Shown]) -> None:
    system.weir("vif", "create", "pinned", "--kind", "vhost-user", "--policy", "acme/pinned", "--segment", "front")
    one, core = system.json("vif", "show", "pinned"), max(os.sched_getaffinity(0))
    assert one["details"]["queues"] == "2"
    assert "vectors=6" in system.weir("vif", "show", "pinned", "--qemu").stdout
    column = ("Interface", one["port"], "other_config:pmd-rxq-affinity")
    assert vsctl(system, "get", *column).strip() == f'"0:{core},1:{core}"'
    with behind(system, one):
        wait_until(lambda: polled(system, one["port"]).get(0) == core, "the core polls its queue", 5.0)
        assert polled(system, shown["held"]["port"]), "the core polls others' queues still"
        assert "with 1 queues instead of 2" in system.json("vif", "show", "pinned")["details"]["queues_differ"]
    vsctl(system, "remove", "Interface", one["port"], "other_config", "pmd-rxq-affinity")
    wait_until(lambda: "pmd-rxq-affinity" in vsctl(system, "list", "Interface", one["port"]), "mended", 5.0)


def test_a_killed_switch_holds_everything_again(system: SystemUnderTest, shown: dict[str, Shown]) -> None:
    pinned, core = system.json("vif", "show", "pinned"), max(os.sched_getaffinity(0))
    before = system.pids()
    system.kill(["ovs-vswitchd"])
    system.await_restart(before, ["ovs-vswitchd"])
    system.await_well()
    assert {name: policing(system, shown[name]) for name in ("held", "divided")} == {
        "held": "egress-policer",
        "divided": "trtcm-policer",
    }
    assert queue_bytes(system, shown["divided"], QUEUES).keys() == QUEUES.keys()
    with behind(system, pinned):
        wait_until(lambda: polled(system, pinned["port"]).get(0) == core, "the core polls its queue again")
    with behind(system, shown["held"]) as application, flood(system, shown["held"], 5002, 30_000):
        assert_held(application, LIMIT_KBPS)


def test_a_flood_from_the_vm_is_cut_before_the_flows(system: SystemUnderTest, shown: dict[str, Shown]) -> None:
    one, peer = shown["held"], shown["peer"]
    system.weir("vif", "set", "held", "--egress", f"limit={GUARDED_KBPS} kbit")
    socket = Path(one["details"]["socket"])
    socket.unlink(missing_ok=True)
    more = (f"--eth-peer=0,{peer['mac']}", f"--tx-ip={address_of(one)},{address_of(peer)}", "--txpkts=1000")
    with Testpmd(system.directory.namespace, socket, one["mac"], "txonly", more) as application:
        wait_until(lambda: application.packets()[1] > 200_000, "it floods", 20.0)
        wait_until(lambda: interface_figure(system, one, "ovs_rx_qos_drops") > 100_000, "drops are counted", 10.0)
        wait_until(
            lambda: (system.json("vif", "show", "held")["egress"]["dropped_kbps"] or 0) > 5 * GUARDED_KBPS,
            "the loop knows what was offered: far more than the guard let through",
        )


def test_deleted_ones_leave_no_rows(system: SystemUnderTest, shown: dict[str, Shown]) -> None:
    system.weir("vif", "delete", "held", "divided", "pinned")
    wait_until(lambda: rows_of(system) == {"QoS": [], "Queue": []}, "no rows are left", 5.0)
