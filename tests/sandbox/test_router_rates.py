"""Guarantees of VIFs of routed segments, on the uplink by which the router sends them outside; measured out there."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest

from lab.children import wait_until
from lab.frames import IPV6_MORE_BYTES, UDP_HEADERS_BYTES
from lab.outside import Outside
from lab.ping import answers
from lab.system import System
from lab.udp import UdpReceiver, UdpSender

CAPACITY_KBPS = 40_000
GUARANTEE_KBPS = {"red": 20_000, "blue": 5_000}
SEGMENT = {"red": "front", "blue": "edge"}
PORT = {"red": 7001, "blue": 7002}
LIMIT_KBPS, FLOOD_KBPS = 36_000, 45_000  # of each
VLAN, WAY_OUT = 7, "uplink: wan, "
ROUTERS = {4: "172.16.0.1", 6: "fd16::1"}
BEHIND = {4: "172.17.0.1", 6: "fd17::1"}  # what the next router leads to
POLICY = """\
weir: 1
segments:
  front: {type: routed, subnets: [10.20.0.0/24, 'fd20::/64']}
  edge: {type: routed, subnets: [10.22.0.0/24, 'fd22::/64'], uplink: wan, address: [172.16.0.2/24, 'fd16::2/64'],
         via: [172.16.0.1, 'fd16::1']}
links:
  wan: {capacity: 40 mbit}
policies:
  acme:
    unmatched: allow
    children:
      red: {egress: {guarantee: 20 mbit, limit: 36 mbit}}
      blue: {egress: {guarantee: 5 mbit, limit: 36 mbit}}
"""
PAYLOAD_BYTES = 1400
WINDOW_S, DEADLINE_S = 2.0, 40.0


@dataclass(frozen=True, slots=True)
class Place:
    system: System
    vifs: Mapping[str, str]  # namespaces by VIF


@pytest.fixture(scope="module", params=[None, VLAN], ids=["untagged", "tagged"])
def place(policy: Path, request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    """Outside is the next router, and a host behind it."""
    file, vlan = policy, request.param
    if vlan is not None:
        file = tmp_path_factory.mktemp("tagged") / "policy.yaml"
        file.write_text(POLICY.replace(WAY_OUT, f"{WAY_OUT}vlan: {vlan}, "))
    with ExitStack() as ends:
        outside = ends.enter_context(Outside())
        system = ends.enter_context(System(outside))
        system.weir("up", "--uplink", "wan", "--policy", str(file))
        own = [f"{ROUTERS[4]}/24", f"{ROUTERS[6]}/64"]
        if vlan is None:
            outside.address("wan", *own)
        else:
            ends.enter_context(outside.tagged("wan", vlan, *own))
        for address in BEHIND.values():
            outside.run("ip", "address", "add", address, "dev", "lo")
        outside.run("ip", "route", "add", "10.0.0.0/8", "via", "172.16.0.2")
        outside.run("ip", "-6", "route", "add", "fd20::/12", "via", "fd16::2")
        for vif, segment in SEGMENT.items():
            system.create_vif(vif, f"acme/{vif}", segment)
        try:
            yield Place(system, {vif: system.namespace_of(vif) for vif in SEGMENT})
        finally:
            print(system.logs())


def shares(senders: Mapping[str, object]) -> dict[str, float]:
    """Guarantee, and an equal part of the rest."""
    rest = CAPACITY_KBPS - sum(GUARANTEE_KBPS[one] for one in senders)
    return {one: GUARANTEE_KBPS[one] + rest / len(senders) for one in senders}


def assert_arrives(receiver: UdpReceiver, expected: Mapping[str, float], version: int) -> None:
    """Within 5 %, in one window before the deadline: others use this machine too."""
    more = 1.0 if version == 4 else 1 + IPV6_MORE_BYTES / (PAYLOAD_BYTES + UDP_HEADERS_BYTES)
    end_s = time.monotonic() + DEADLINE_S
    while True:
        measured = receiver.measure(WINDOW_S)
        arrived = {one: more * measured[PORT[one]] for one in expected}
        if arrived == {one: pytest.approx(kbps, rel=0.05) for one, kbps in expected.items()}:
            return
        assert time.monotonic() < end_s, (arrived, expected)


@pytest.mark.parametrize("version", [4, 6])
@pytest.mark.parametrize("destination", [BEHIND, ROUTERS], ids=["beyond the next router", "at a neighbour"])
def test_what_floods_outside_gets_its_guarantee_and_its_part_of_the_rest(
    place: Place, version: int, destination: Mapping[int, str]
) -> None:
    to = destination[version]
    wait_until(lambda: all(answers(one, to, within_s=1) for one in place.vifs.values()), f"{to} answers")
    with UdpReceiver(place.system.outside.name, list(PORT.values())) as receiver, ExitStack() as ends:
        senders = {
            vif: ends.enter_context(UdpSender(namespace, to, PORT[vif], PAYLOAD_BYTES))
            for vif, namespace in place.vifs.items()
        }
        for sender in senders.values():
            sender.offer(FLOOD_KBPS)
        assert_arrives(receiver, shares(senders), version)
        senders["red"].offer(0)
        assert_arrives(receiver, {"blue": LIMIT_KBPS}, version)


def test_what_is_dropped_there_is_the_vifs(place: Place) -> None:
    """Beside what its own limit drops: the loop knows its class on the uplink."""
    with ExitStack() as ends:
        for vif, namespace in place.vifs.items():
            ends.enter_context(UdpSender(namespace, BEHIND[4], PORT[vif], PAYLOAD_BYTES)).offer(FLOOD_KBPS)
        law = {one: pytest.approx(kbps, rel=0.02) for one, kbps in shares(SEGMENT).items()}
        wait_until(lambda: figures(place.system, "allocated_kbps") == law, f"the loop allocates {shares(SEGMENT)}")
        most = 1.3 * (FLOOD_KBPS - LIMIT_KBPS)
        wait_until(lambda: (figures(place.system, "dropped_kbps")["blue"] or 0) > most, "drops on the uplink count")


def figures(system: System, name: str) -> dict[str, float | None]:
    return {vif["name"]: vif["egress"][name] for vif in system.json("vif", "list")}


def test_another_address_moves_nothing_and_is_told_too(place: Place) -> None:
    """The tree is changed by filters alone."""
    system = place.system
    before = tree(system)
    old = system.json("vif", "show", "blue")["addresses"]
    new = [address.replace(".2/24", ".99/24") for address in old]
    system.weir("vif", "set", "blue", *(word for one in new for word in ("--ip", one.partition("/")[0])))
    try:
        wait_until(lambda: is_of_new_address("".join(tree(system))), "the filters follow")
        assert classes(tree(system)) == classes(before)
    finally:
        system.weir("vif", "set", "blue", *(word for one in old for word in ("--ip", one.partition("/")[0])))
        wait_until(lambda: tree(system) == before, "they are as they were")


def is_of_new_address(filters: str) -> bool:
    return "0a160063/ffffffff" in filters and "0a160002/ffffffff" not in filters


def tree(system: System) -> list[str]:
    enter = ["ip", "netns", "exec", system.directory.namespace, "tc"]
    parents = ("7fff:", "1:")
    shown = [system.outside.run(*enter, "filter", "show", "dev", "wan", "parent", one, check=False) for one in parents]
    lines = sorted(line.split(" fh ")[-1] for text in shown for line in text.splitlines() if "match" in line)
    return [*lines, system.outside.run(*enter, "class", "show", "dev", "wan")]


def classes(shown: list[str]) -> str:
    return shown[-1]
