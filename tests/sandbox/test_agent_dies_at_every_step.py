"""An agent that is killed at every step of what it does: the next one completes it, or leaves nothing of it."""

from __future__ import annotations

import json
import os
import random
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from controller.host import links, namespace
from ovsdb.rows import VirtualInterface
from ovsdb.weir_db import Command
from tests.support.agent_host import Host, inside, vif
from tests.support.dying_agent import Nursery
from tests.support.ovs_sandbox import wait_until

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")

_LOOK = "for c in 'ip -j addr' 'ip -j route' 'ip -j -6 route' 'ip -j tuntap' 'tc -j qdisc'; do $c; echo --; done"
# what queues are made of, and sockets of vswitchd that are bound to a link (the one that it sends by is to none)
_QUEUES = "tc class show dev up0; tc filter show dev up0; awk '$5 != 0 {print $4, $5}' /proc/net/packet"
SEED, RANDOM_DEATHS = 4, 200
LEAST = {"made": 15, "given": 15, "tap": 15, "vhost-user": 4}  # steps of a creation, that a guard may fail
POLICY = """
weir: 1
segments:
  office: {type: bridged, uplink: up0, subnets: [10.9.0.0/24, 'fd00:9::/64']}
  lan: {type: routed, subnets: [10.30.0.0/24], gateway: [10.30.0.1]}
links:
  up0: {capacity: 100 mbit}
policies:
  acme:
    children:
      web: {egress: {guarantee: 10 mbit, limit: 20 mbit}, ingress: {limit: 30 mbit}}
      free: {unmatched: allow}
"""


@dataclass
class Scene:
    """A host with one VIF that stays, `peer`, a namespace that somebody gave, and agents that die."""

    host: Host
    given: str
    nursery: Nursery

    def change(self, *vifs: VirtualInterface, create: bool = False) -> int:
        self.host.db.run()
        command = Command(create=vifs) if create else Command(change=vifs)
        return self.host.db.execute(command, self.host.db.snapshot(), "test")

    def settle(self, cfg: int) -> None:
        """A whole agent does what was asked for and is killed, too."""
        self.nursery.bear()
        self.host.await_tried(cfg)
        self.await_standing()
        self.nursery.end(kill=True)

    def await_standing(self) -> None:
        """Everything wanted stands and works."""
        for one in self.host.db.snapshot().interfaces.values():
            if one.kind == "vhost-user":
                self.host.await_error(one.name, "Open vSwitch cannot use device")
                seen = self.host.vif(one.name)
                assert seen is not None and Path(seen.details["socket"]).parent.is_dir()
            else:
                self.host.await_state(one.name, "ready")
            self.check(one)

    def check(self, one: VirtualInterface) -> None:
        if one.kind != "veth":
            return
        place = one.binding.get("netns", f"{self.host.ovs.namespace}-{one.name}")
        with links.netlink(namespace.named(place)) as socket:
            found = links.find(socket, one.ifname)
            assert found is not None and found.up and found.mac == one.mac
        address = one.addresses[0].partition("/")[0]
        if one.segment == "office" and one.name != "peer":
            peer = f"{self.host.ovs.namespace}-peer"
            # An instance may have had two of them, and answered for both by one. No controller is here to announce it.
            inside(peer, "ip", "neighbour", "flush", "dev", "eth0")
            inside(peer, "ping", "-c", "1", "-w", "10", address)

    def is_as(self, before: Counter[str], when: str = "") -> None:
        """Asserts that nothing is left, and nothing missing. vswitchd lets go of sockets in its own time."""

        def differs() -> tuple[Counter[str], Counter[str]]:
            after = self.traces()
            return after - before, before - after

        end_s = time.monotonic() + 10.0
        while (found := differs()) != (Counter(), Counter()) and time.monotonic() < end_s:
            time.sleep(0.05)
        assert found == (Counter(), Counter()), f"left, and missing {when}"

    def traces(self) -> Counter[str]:
        """All that agents could leave behind, as the kernel and the database have it."""
        return Counter(f"{name}: {one}" for name, some in self._traces().items() for one in some)

    def _traces(self) -> dict[str, list[str]]:
        ovs = self.host.ovs
        places = [ovs.namespace, self.given]
        found = {"namespaces": sorted(namespace.names(ovs.namespace))}
        for name in places:
            shown = inside(name, "sh", "-c", _LOOK)
            parts = [json.loads(part) for part in shown.split("--") if part.strip()]
            found[name] = sorted(str(sorted(_stable(one).items())) for part in parts for one in part)
        for table in ("Bridge", "Port", "Interface", "QoS", "Queue"):
            columns = "type" if table == "QoS" else "_uuid" if table == "Queue" else "name"
            found[table] = sorted(
                ovs.vsctl("--no-heading", "--format=csv", f"--columns={columns}", "list", table).split()
            )
        found["queues"] = sorted(map(_plain, inside(ovs.namespace, "sh", "-c", _QUEUES).splitlines()))
        found["files"] = sorted(str(path) for path in self.host.config.state.path.rglob("*"))
        return found


def _stable(row: dict[str, Any]) -> dict[str, Any]:
    """Without what time changes, or the next making anew."""
    changing = ("preferred_life_time", "valid_life_time", "addr_info", "handle")
    left = {key: value for key, value in row.items() if key not in changing}
    if "addr_info" in row:
        left["addresses"] = sorted(one["local"] for one in row["addr_info"])
    return left


def _plain(line: str) -> str:
    return " ".join(line.split())


@pytest.fixture
def scene(host: Host, instance: str) -> Iterator[Scene]:
    host.request(policy=POLICY)
    (host.config.state.run / "vhost").mkdir(mode=0o711)  # stays, once there was such a VIF
    with Nursery(host.config, host.ovs.namespace, host.log) as nursery:
        scene = Scene(host, instance, nursery)
        nursery.bear()
        host.await_tried(host.request(vif("peer", 1, policy="acme/free")))
        host.await_state("peer", "ready")
        host.ovs.ofctl("add-flow", "br-weir", "actions=NORMAL")
        inside(instance, "ip", "link", "set", "lo", "up")
        wait_until(lambda: "htb" in host.qdisc("up0"), "the uplink's queues")
        nursery.end(kill=True)
        yield scene


def variants(scene: Scene) -> dict[str, VirtualInterface]:
    routed = {"segment": "lan", "addresses": ("10.30.0.9/24",)}
    return {
        "made": vif("made", 7),
        "given": vif("given", 8, binding={"netns": scene.given}),
        "routed": vif("routed", 9, **routed),
        "tap": vif("tap", 10, kind="tap"),
        "vhost-user": vif("vhost-user", 11, kind="vhost-user", policy="acme/free", options={"socket_group": "65534"}),
    }


@pytest.mark.parametrize("kind", ["made", "given", "tap", "vhost-user"])
def test_death_at_every_step_of_create_and_delete(scene: Scene, kind: str) -> None:
    wanted, before = variants(scene)[kind], scene.traces()
    created = steps_of(scene, scene.change(wanted, create=True))
    scene.settle(scene.host.db.snapshot().cfg)
    deleted = steps_of(scene, scene.host.request(delete=(wanted.name,)))
    scene.is_as(before)
    assert created > LEAST[kind] and deleted > 2, (created, deleted)
    for step in range(max(created, deleted)):
        cfg = scene.change(wanted, create=True)
        die(scene, 1 + step % created)
        scene.settle(cfg)
        cfg = scene.host.request(delete=(wanted.name,))
        die(scene, 1 + step % deleted)
        scene.settle(cfg)
        scene.is_as(before, f"after death at step {step} + 1 of {created}, {deleted}")


def steps_of(scene: Scene, cfg: int) -> int:
    """How many there are, when nobody dies."""
    scene.nursery.bear()
    scene.host.await_tried(cfg)
    scene.await_standing()
    return scene.nursery.end(kill=False)


def die(scene: Scene, step: int, when: str = "after") -> None:
    """An agent that dies there; one that has fewer steps to do is killed when it has done them."""
    cfg = scene.host.db.snapshot().cfg
    scene.nursery.bear(step, when)
    end_s = time.monotonic() + 30
    while not scene.nursery.is_dead(0.005):
        if scene.host.chassis().agent_cfg >= cfg and not scene.nursery.is_dead(0.02):
            scene.nursery.kill()
        assert time.monotonic() < end_s, f"neither dead nor done at step {step}"
    scene.nursery.await_death()


def test_two_hundred_deaths_at_random_moments(scene: Scene) -> None:
    """Of agents that create, move, change and delete, one after the other, and now and then one that lives."""
    dice, before, wanted = random.Random(SEED), scene.traces(), variants(scene)
    for death in range(RANDOM_DEATHS):
        cfg = one_change(scene, dice, wanted)
        die(scene, dice.randint(1, 45), dice.choice(("before", "after")))
        if death % 20 == 19:
            scene.settle(cfg)
    present = set(scene.host.db.snapshot().interfaces) - {"peer"}
    cfg = scene.host.request(delete=tuple(sorted(present)))
    scene.settle(cfg)
    scene.is_as(before, f"seed {SEED}")


def one_change(scene: Scene, dice: random.Random, wanted: dict[str, VirtualInterface]) -> int:
    """Of one VIF, that is there or not."""
    scene.host.db.run()
    one = dice.choice(sorted(wanted))
    present = scene.host.db.snapshot().interfaces.get(one)
    if present is None:
        return scene.change(wanted[one], create=True)
    if dice.random() < 0.4 or present.kind != "veth":
        return scene.host.request(delete=(one,))
    elsewhere = {} if present.binding else {"netns": scene.given}
    last = dice.randint(20, 29)
    lan = present.segment == "lan"
    addresses = (f"10.30.0.{last}/24",) if lan else (f"10.9.0.{10 * present.number + last % 10}/24",)
    ifname = dice.choice((f"if{present.number}", f"of{present.number}"))
    return scene.change(replace(present, binding=elsewhere, addresses=addresses, ifname=ifname))
