"""What the kernel tells of queues that somebody changes, here and inside instances; and what would not be found in time
without it."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from controller.host import namespace, qdisc, trees
from controller.host.link_table import LinkTable
from controller.host.queue_plan import ingress_plan, shaper_plan
from controller.host.tc_watch import TcWatch
from controller.host.wish import Wish, Wishes
from controller.stream.messages import Repair
from tests.support.agent_host import Host, inside, vif
from tests.support.ovs_sandbox import wait_until

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")

NAME = f"wq{os.getpid()}"
INNER, STRANGE = f"{NAME}-i", f"{NAME}-s"
FIFO = "root", "bfifo", "limit"


def ip(*arguments: str) -> str:
    return subprocess.run(["ip", *arguments], check=True, capture_output=True, text=True).stdout


def queue(name: str, device: str, limit_bytes: int) -> None:
    inside(name, "tc", "qdisc", "replace", "dev", device, *FIFO, str(limit_bytes))


@pytest.fixture
def pair() -> Iterator[Path]:
    """In a namespace with a link wv7, whose other end is eth0 in that of an instance, whose path this is. A third
    one is nobody's neighbour."""
    try:
        for name in (NAME, INNER, STRANGE):
            ip("netns", "add", name)
        ip("-n", NAME, "link", "add", "wv7", "type", "veth", "peer", "name", "eth0", "netns", INNER)
        ip("-n", STRANGE, "link", "add", "v0", "type", "veth", "peer", "name", "v1")
        with namespace.entered(namespace.named(NAME)):
            yield namespace.named(INNER)
    finally:
        for name in (NAME, INNER, STRANGE):
            subprocess.run(["ip", "netns", "delete", name], check=False, capture_output=True)


def test_others_changes_are_told_and_ours_are_not(pair: Path) -> None:
    with LinkTable() as links, qdisc.TrafficControl() as control:
        link = links.links()["wv7"]
        assert link.peer_namespace is not None
        with TcWatch(control.port) as here, TcWatch(control.port, elsewhere=True) as elsewhere:
            assert control.apply("wv7", shaper_plan(1000, 10_000))
            assert qdisc.apply("eth0", shaper_plan(1000, 10_000), pair, control.port)
            queue(STRANGE, "v0", 9000)
            assert (here.changed(), elsewhere.changed()) == (set(), set())
            queue(NAME, "wv7", 9000)
            assert here.changed() == {(None, link.index)}
            queue(INNER, "eth0", 9000)
            assert elsewhere.changed() == {(link.peer_namespace, link.peer)}
            assert (here.changed(), elsewhere.changed()) == (set(), set())


def test_changes_without_end_are_said_not_to_be_known_and_read_in_bounded_time(pair: Path, tmp_path: Path) -> None:
    batch = tmp_path / "batch"
    batch.write_text("".join(f"qdisc replace dev eth0 root bfifo limit {9000 + i % 2}\n" for i in range(30_000)))
    with LinkTable() as links, TcWatch(0, elsewhere=True) as watch:
        link = links.links()["wv7"]
        inside(INNER, "tc", "-batch", str(batch))
        assert watch.changed() is None
        wait_until(lambda: watch.changed() == set(), "read to the end")
        queue(INNER, "eth0", 9000)
        assert watch.changed() == {(link.peer_namespace, link.peer)}


def test_an_instance_that_is_watched_may_go(pair: Path) -> None:
    with LinkTable() as links, TcWatch(0, elsewhere=True) as watch:
        links.links()
        queue(INNER, "eth0", 9000)
        assert watch.changed()
        ip("netns", "delete", INNER)
        wait_until(lambda: "wv7" not in links.links(), "the namespace gone, and its end of the link with it")


def rate(name: str) -> str:
    return inside(name, "tc", "qdisc", "show", "dev", "eth0")


def loosen(name: str) -> None:
    inside(name, "tc", "qdisc", "change", "dev", "eth0", "root", "tbf", "rate", "1gbit", "burst", "1mb", "limit", "1mb")


def test_a_changed_shaper_does_not_wait_for_the_audit(host: Host) -> None:
    host.start(has_audits=False)
    host.request(*(vif(f"web{number}", number) for number in range(7, 12)))
    for number in range(7, 12):
        host.await_state(f"web{number}", "ready")
    names = [f"{host.ovs.namespace}-web{number}" for number in range(7, 12)]
    before = [wait_until(lambda name=name: "tbf" in rate(name) and rate(name), "shaper") for name in names]  # type: ignore
    for name in names:
        loosen(name)
    wait_until(lambda: [rate(name) for name in names] == before, "the shapers as they were")
    loosen(names[0])
    wait_until(lambda: rate(names[0]) == before[0], "again")


def test_a_changed_class_does_not_wait_for_the_audit(host: Host) -> None:
    host.start(has_audits=False)
    host.request(vif("web7", 7))
    host.await_state("web7", "ready")

    def classes() -> str:
        return host.ovs.run("tc", "class", "show", "dev", "wv7")

    before = wait_until(classes, "the tree")
    (outermost,) = [line.split()[2] for line in before.splitlines() if " root " in line]
    host.ovs.run("tc", "class", "change", "dev", "wv7", "root", "classid", outermost, "htb", "rate", "1kbit")
    wait_until(lambda: classes() == before, "the class as it was")


def test_without_cap_net_broadcast_nothing_is_heard_of_instances(host: Host) -> None:
    """Seen by what is mended later, in the agent's own namespace, not being mended before."""
    agent = host.start(without="cap_net_broadcast", has_audits=False)
    host.request(vif("web7", 7))
    host.await_state("web7", "ready")
    name = f"{host.ovs.namespace}-web7"
    before = wait_until(lambda: "tbf" in rate(name) and rate(name), "shaper")
    loosen(name)
    for _ in range(3):
        host.ovs.run("tc", "qdisc", "del", "dev", "wv7", "root")
        wait_until(lambda: "htb" in host.qdisc("wv7"), "ingress tree")
    assert rate(name) != before
    agent.stop()
    host.start(has_audits=False)
    wait_until(lambda: rate(name) == before, "the shaper as it was")


MANY = 1000
FEW = 17, 503, 999


@pytest.fixture
def many() -> Iterator[Wishes]:
    """In a namespace with links wv1 to wv1000, each leading to one of its own."""
    numbers = range(1, MANY + 1)

    def batch(within: str | None, lines: list[str]) -> None:
        at = [] if within is None else ["-n", within]
        subprocess.run(["ip", *at, "-force", "-batch", "-"], input="\n".join(lines), text=True, capture_output=True)

    try:
        batch(None, [f"netns add {NAME}", *(f"netns add {NAME}-{number}" for number in numbers)])
        pairs = [f"link add wv{number} type veth peer name eth0 netns {NAME}-{number}" for number in numbers]
        batch(NAME, [*pairs, *(f"link set wv{number} up" for number in numbers)])
        with namespace.entered(namespace.named(NAME)):
            yield Wishes(
                ingress={number: Wish(f"wv{number}", ingress_plan(20_000, 30_000)) for number in numbers},
                shapers={
                    number: Wish(
                        "eth0", shaper_plan(20_000, 100_000), namespace.named(f"{NAME}-{number}"), f"wv{number}"
                    )
                    for number in numbers
                },
            )
    finally:
        batch(None, [f"netns delete {NAME}", *(f"netns delete {NAME}-{number}" for number in numbers)])


def test_of_a_thousand_the_next_pass_mends_what_was_changed_and_looks_at_nothing_else(
    many: Wishes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without any audit; a quiet pass costs next to nothing beside the one that made all."""
    monkeypatch.setattr(trees, "AUDIT_S", 1e6)
    told: list[Repair] = []
    with LinkTable() as links, trees.Trees(links, told.append) as kept:

        def passed() -> float:
            """What it cost, in seconds of the processor."""
            began_s = time.process_time()
            kept.touched()
            faults = kept.converge(many, time.monotonic())
            assert not faults.vifs
            return time.process_time() - began_s

        building_s = passed()
        passed()  # what others told meanwhile, as the kernel does of links that come up
        told.clear()
        assert passed() < building_s / 5
        for number in FEW:
            loosen(f"{NAME}-{number}")
            inside(NAME, "tc", "qdisc", "delete", "dev", f"wv{number}", "root")
        assert passed() < building_s / 5
        assert sorted(one.vifs for one in told) == sorted([(number,) for number in FEW] * 2)
        assert all("rate 20Mbit" in rate(f"{NAME}-{number}") for number in FEW)


def test_when_the_kernel_cannot_tell_of_all_changes_all_shapers_are_looked_at(pair: Path, tmp_path: Path) -> None:
    """The queue of the watch is full of what nobody cares about when the shaper is changed."""
    batch = tmp_path / "batch"
    batch.write_text("".join(f"qdisc replace dev lo root bfifo limit {9000 + i % 2}\n" for i in range(30_000)))
    wishes = Wishes(shapers={7: Wish("eth0", shaper_plan(20_000, 100_000), pair, "wv7")})
    told: list[Repair] = []
    with LinkTable() as links, trees.Trees(links, told.append) as kept:
        kept.converge(wishes, 0.0)
        inside(INNER, "tc", "-batch", str(batch))
        queue(INNER, "eth0", 9000)
        kept.converge(wishes, 1.0)
        assert [one.vifs for one in told] == [(7,)] and "rate 20Mbit" in rate(INNER)
