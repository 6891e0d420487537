"""weir trace and weir explain where the router has a part: what policy and switch say of what it brings, or not."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from controller.dataplane.pipeline import NEXT_HOP, PUNT, ROUTE, ROUTER
from lab.children import wait_until
from lab.outside import Outside
from lab.ping import answers
from lab.system import System

POLICY = """\
weir: 1
segments:
  front: {type: routed, subnets: [10.20.0.0/24, 'fd20::/64']}
  back: {type: routed, subnets: [10.21.0.0/24, 'fd21::/64'], gateway: [10.21.0.254]}
  edge: {type: routed, subnets: [10.22.0.0/24], uplink: wan, vlan: 7, address: [172.16.0.2/24, 'fd16::2/64'],
         via: [172.16.0.1, 'fd16::1']}
  lab: {type: internal, subnets: [10.30.0.0/24]}
links:
  wan: {capacity: 40 mbit}
policies:
  web:
    egress: {guarantee: 5 mbit, limit: 20 mbit}
    rules:
      - allow: {name: out, direction: egress}
      - allow: {name: pings, direction: ingress, service: [icmp/8, icmp6/128]}
  db:
    rules:
      - allow: {name: sql, direction: ingress, from: {segment: front}, service: tcp/5432}
      - allow: {name: mirror, direction: egress, to: 198.51.100.0/24, service: tcp/443}
  open: {unmatched: allow}
"""
VIFS = {"web1": ("web", "front"), "db1": ("db", "back"), "lab1": ("open", "lab")}
WEB4, WEB6, DB4, DB6 = "10.20.0.2", "fd20::2", "10.21.0.1", "fd21::2"
BEHIND4, BEHIND6 = "198.51.100.9", "2001:db8:5::9"


@pytest.fixture(scope="module")
def system(policy: Path) -> Iterator[System]:
    """Nobody is outside yet: the next router is not found."""
    with Outside() as outside, System(outside) as running:
        running.weir("up", "--uplink", "wan", "--policy", str(policy))
        outside.run("ip", "link", "set", "wan", "up")
        for vif, (leaf, segment) in VIFS.items():
            running.create_vif(vif, leaf, segment)
        try:
            yield running
        finally:
            print(running.logs())


def traced(system: System, question: str) -> dict[str, Any]:
    body: dict[str, Any] = json.loads(system.weir("trace", question, "--json"))
    assert body["agrees"] is True, body["reason"]
    return body


def hits(body: dict[str, Any]) -> list[str]:
    return [hit["name"] for hit in body["switch"]["hits"]]


def outputs(body: dict[str, Any]) -> list[str]:
    return [output["name"] for output in body["switch"]["outputs"]]


def test_the_addresses_are_those_that_these_tests_speak_of(system: System) -> None:
    given = {vif: system.json("vif", "show", vif)["addresses"] for vif in ("web1", "db1")}
    assert given == {"web1": [f"{WEB4}/24", f"{WEB6}/64"], "db1": [f"{DB4}/24", f"{DB6}/64"]}


@pytest.mark.parametrize(
    ("question", "passes", "deciding"),
    [
        (f"web1 egress tcp {WEB4}:40000 > {DB4}:5432", True, ["web:out", "db:sql"]),
        (f"web1 egress tcp [{WEB6}]:40000 > [{DB6}]:5432", True, ["web:out", "db:sql"]),
        (f"db1 ingress tcp {WEB4}:40000 > {DB4}:5432", True, ["web:out", "db:sql"]),
        (f"web1 egress tcp {WEB4}:40000 > {DB4}:22", False, ["web:out", "db"]),
        (f"db1 egress tcp {DB4}:40000 > {WEB4}:80", False, ["db"]),
        (f"web1 egress icmp {WEB4} > {DB4} 8/0", False, ["web:out", "db"]),
        (f"web1 egress udp {WEB4}:1 > {DB4}:2 ttl 2", False, ["web:out", "db"]),
    ],
)
def test_between_segments_both_judge(system: System, question: str, passes: bool, deciding: list[str]) -> None:
    body = traced(system, question)
    assert (body["passes"], hits(body)) == (passes, deciding)
    receiver = "db1" if "db1" in (body["receiver"], question.split()[0]) else "web1"
    assert outputs(body) == ([f"VIF {receiver}"] if passes else [])


@pytest.mark.parametrize(("source", "destination"), [(WEB4, DB4), (WEB6, DB6), (WEB4, BEHIND4), (WEB6, BEHIND6)])
def test_a_ttl_that_is_used_up_is_told(system: System, source: str, destination: str) -> None:
    ends = f"{at(source)}:40000 > {at(destination)}:5432"
    body = traced(system, f"web1 egress tcp {ends} ttl 1")
    assert body["passes"] is False and hits(body) == ["web:out"] and outputs(body) == []
    assert any("TTL" in note for note in body["notes"])
    assert traced(system, f"web1 egress tcp {ends} ttl 2")["passes"] is True


def at(address: str) -> str:
    return f"[{address}]" if ":" in address else address


@pytest.mark.parametrize(
    ("source", "gateway"), [(WEB4, "10.20.0.1"), (WEB4, "10.21.0.254"), (WEB6, "fd20::1"), (WEB4, "172.16.0.2")]
)
def test_the_gateway_answers_pings_and_nothing_else(system: System, source: str, gateway: str) -> None:
    icmp, kind = ("icmp6", "128/0") if ":" in source else ("icmp", "8/0")
    body = traced(system, f"web1 egress {icmp} {source} > {gateway} {kind}")
    assert body["passes"] is True and hits(body)[0] == "web:out"
    assert any("answers the ping" in note for note in body["notes"])
    body = traced(system, f"web1 egress tcp {at(source)}:1 > {at(gateway)}:80")
    assert body["passes"] is False and outputs(body) == []


def test_a_ping_of_the_gateway_is_judged_as_egress(system: System) -> None:
    body = traced(system, f"db1 egress icmp {DB4} > 10.21.0.254 8/0")
    assert (body["passes"], hits(body)) == (False, ["db"])


@pytest.mark.parametrize(
    ("question", "why"),
    [
        (f"web1 egress tcp {WEB4}:1 > 10.21.0.77:80", "destination is inside"),
        (f"web1 egress tcp [{WEB6}]:1 > [fd21::77]:80", "destination is inside"),
        (f"web1 egress tcp {WEB4}:1 > 169.254.9.9:80", "not routed"),
        (f"db1 ingress tcp {WEB4}:1 > 10.21.0.77:5432", "does not have its destination"),
        (f"web1 ingress tcp 10.21.0.99:1 > {WEB4}:80", "source is inside"),
        (f"web1 ingress tcp 169.254.9.9:1 > {WEB4}:80", "not routed"),
    ],
)
def test_what_the_router_does_not_bring_is_told_with_its_reason(system: System, question: str, why: str) -> None:
    body = traced(system, question)
    assert body["passes"] is False and outputs(body) == []
    assert any(why in note for note in body["notes"]), body["notes"]


@pytest.mark.parametrize(("source", "behind"), [(WEB4, BEHIND4), (WEB6, BEHIND6)])
def test_what_leaves_waits_on_the_uplink_of_the_way_out(system: System, source: str, behind: str) -> None:
    """Also before the next router is found: then the packet is held for it."""
    body = traced(system, f"web1 egress tcp {at(source)}:40000 > {at(behind)}:443")
    assert (body["passes"], hits(body)) == (True, ["web:out"])
    (side,) = body["sides"]
    assert [queue["place"] for queue in side["queues"]] == ["instance", "uplink wan"]


@pytest.mark.parametrize(
    ("question", "passes", "deciding"),
    [
        (f"web1 ingress icmp {BEHIND4} > {WEB4} 8/0", True, ["web:pings"]),
        (f"web1 ingress icmp6 {BEHIND6} > {WEB6} 128/0", True, ["web:pings"]),
        (f"web1 ingress tcp {BEHIND4}:1 > {WEB4}:80", False, ["web"]),
        (f"db1 ingress tcp {BEHIND4}:1 > {DB4}:5432", False, ["db"]),
    ],
)
def test_what_comes_from_outside_is_judged_by_its_receiver(
    system: System, question: str, passes: bool, deciding: list[str]
) -> None:
    body = traced(system, question)
    assert (body["passes"], hits(body)) == (passes, deciding)
    assert outputs(body) == ([f"VIF {question.split()[0]}"] if passes else [])


def test_what_is_not_routed_inside_is_outside(system: System) -> None:
    """An internal segment is nobody's but its own VIFs'."""
    body = traced(system, f"web1 egress tcp {WEB4}:1 > 10.30.0.2:80")
    assert (body["passes"], body["receiver"]) == (True, None)


def test_the_router_is_no_neighbour_of_what_is_not_routed(system: System) -> None:
    own = system.json("vif", "show", "lab1")["addresses"][0].partition("/")[0]
    body = traced(system, f"lab1 egress tcp {own}:1 > {DB4}:5432")
    assert (body["receiver"], outputs(body)) == (None, [])


def test_what_asks_no_rule(system: System) -> None:
    """DHCP is answered by Weir; what is for many stays in its segment."""
    assert traced(system, f"web1 egress udp {WEB4}:68 > 255.255.255.255:67")["passes"] is True
    assert traced(system, f"web1 egress udp {WEB4}:1 > 239.1.2.3:5060")["passes"] is True
    assert traced(system, f"web1 egress udp {WEB4}:1 > 10.20.0.255:5060")["passes"] is True


def test_once_the_next_router_is_found_packets_leave_and_its_line_leads_back(system: System) -> None:
    with system.outside.tagged("wan", 7, "172.16.0.1/24", "fd16::1/64"):
        system.outside.run("ip", "route", "add", "10.20.0.0/14", "via", "172.16.0.2")
        namespace = system.namespace_of("web1")
        wait_until(lambda: answers(namespace, "172.16.0.1", within_s=1), "the next router answers")
        body = traced(system, f"web1 egress tcp {WEB4}:40000 > {BEHIND4}:443")
        assert body["passes"] is True and len(outputs(body)) == 1 and "wan" in outputs(body)[0]
    (line, *_) = entries(system, NEXT_HOP.name)
    explained = system.json("explain", line)
    assert (explained["target"], explained["name"]) == ("segment", "edge")
    assert "learned by the switch" in explained["text"]


def entries(system: System, table: str) -> list[str]:
    return [line.strip() for line in system.ofctl("dump-flows", f"table={table}").splitlines() if "cookie=" in line]


def test_every_entry_of_the_router_leads_back(system: System) -> None:
    targets = set()
    for table in (ROUTER, ROUTE, PUNT):
        lines = entries(system, table.name)
        for line in {line.split(",")[0]: line for line in lines}.values():
            body = system.json("explain", line)
            targets.add((table.name, body["target"]))
            assert body["text"] and "not there any more" not in body["text"], line
            assert body["entries"] or body["target"] == "segment", line
    assert targets >= {
        ("router", "segment"), ("router", "vif"), ("router", "table"), ("route", "vif"), ("route", "segment"),
        ("punt", "vif"),
    }  # fmt: skip


def test_what_a_vif_asks_of_the_controller_leads_back(system: System) -> None:
    line = next(one for one in entries(system, PUNT.name) if "reg0=0x1 " in one)
    body = system.json("explain", line)
    assert (body["kind"], body["target"], body["name"]) == ("service", "vif", "web1")
    meter = next(one for one in body["meters"] if "asks of the controller" in one["for"])
    explained = system.json("explain", "meter", str(meter["id"]))
    assert [one["name"] for one in explained["vifs"]] == ["web1"] and explained["entries"]
    assert "what VIF web1 asks of the controller" in explained["text"]


def test_what_the_outside_asks_leads_back(system: System) -> None:
    line = next(one for one in entries(system, PUNT.name) if "reg0=0 " in one)
    body = system.json("explain", line)
    assert body["kind"] == "service" and "outside" in body["text"] and body["vifs"] == []
