"""The table of links against a real kernel: as it is now, read anew only after a change."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from controller.host import links, namespace
from controller.host.link_table import LinkTable
from controller.host.queue_plan import ingress_plan
from controller.host.queue_samples import WHOLE_S
from controller.host.trees import Trees
from controller.host.wish import Wish, Wishes
from tests.support.ovs_sandbox import wait_until

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")

NAME = f"wl{os.getpid()}"
INNER = f"{NAME}-i"


def ip(*arguments: str) -> str:
    return subprocess.run(["ip", *arguments], check=True, capture_output=True, text=True).stdout


@pytest.fixture(autouse=True)
def own_namespace() -> Iterator[None]:
    """With a link wv7, whose other end is eth0 in a namespace of an instance."""
    names = NAME, INNER
    try:
        for name in names:
            ip("netns", "add", name)
        ip("-n", NAME, "link", "add", "wv7", "type", "veth", "peer", "name", "eth0", "netns", INNER)
        ip("-n", NAME, "link", "set", "wv7", "up", "alias", "weir:s:h1:web1")
        ip("-n", INNER, "link", "set", "eth0", "up")
        with namespace.entered(namespace.named(NAME)):
            yield
    finally:
        for name in names:
            ip("netns", "delete", name)


def test_a_link_is_told_as_the_kernel_and_the_single_look_tell_it() -> None:
    with LinkTable() as table, links.netlink(None) as netlink:
        wait_until(lambda: table.links()["wv7"].running, "the carrier is there")
        found = table.links()
        assert found.keys() == {"lo", "wv7"}
        link = found["wv7"]
        assert link == links.find(netlink, "wv7")
        assert link.kind == "veth" and link.up and link.running and link.alias == "weir:s:h1:web1" and link.peer > 0
        shown = ip("-n", NAME, "-o", "link", "show", "wv7")
        assert shown.startswith(f"{link.index}:") and f"link/ether {link.mac} " in shown


def test_it_is_read_anew_only_after_a_change() -> None:
    with LinkTable() as table:
        table.links()
        wait_until(lambda: table.links() is table.links(), "quiet")
        quiet = table.links()
        assert not table.changed() and table.links() is quiet
        ip("-n", INNER, "link", "set", "eth0", "down")
        wait_until(table.changed, "the change told")
        wait_until(lambda: not table.links()["wv7"].running, "the carrier gone")
        assert table.links()["wv7"].up
        ip("-n", NAME, "link", "delete", "wv7")
        wait_until(lambda: "wv7" not in table.links(), "the link gone")


def test_what_an_instance_has_sent_is_counted_at_the_hosts_end() -> None:
    with LinkTable() as table:
        index = table.links()["wv7"].index
        before = table.traffic()[index].received_packets
        ip("-n", INNER, "addr", "add", "10.9.0.7/24", "dev", "eth0")
        subprocess.run(
            ["ip", "netns", "exec", INNER, "ping", "-c", "1", "-W", "1", "10.9.0.8"], check=False, capture_output=True
        )
        assert table.traffic()[index].received_packets > before


def test_a_tree_that_somebody_took_away_is_seen_by_the_sampling_and_made_again() -> None:
    with LinkTable() as table, Trees(table) as trees:
        wishes = Wishes(ingress={7: Wish("wv7", ingress_plan(10_000, 60_000))})
        assert not trees.converge(wishes, 0.0).vifs
        assert trees.sample(0.0)[7].ingress is not None
        subprocess.run(["tc", "-n", NAME, "qdisc", "delete", "dev", "wv7", "root"], check=True)
        trees.converge(wishes, 0.1)
        assert 7 not in trees.sample(2 * WHOLE_S)
        trees.converge(wishes, 0.2)
        assert trees.sample(4 * WHOLE_S)[7].ingress is not None


def test_only_our_trees_are_removed() -> None:
    with LinkTable() as table, Trees(table) as trees:
        ip("-n", NAME, "link", "add", "foreign0", "type", "veth", "peer", "name", "foreign1")
        subprocess.run(["tc", "-n", NAME, "qdisc", "add", "dev", "foreign0", "root", "handle", "1:", "htb"], check=True)
        trees.converge(Wishes(ingress={7: Wish("wv7", ingress_plan(10_000, 60_000))}), 0.0)
        wait_until(lambda: "foreign0" in table.links(), "the new link")
        trees.remove_own({"wv7", "foreign0", "none0"})
        shown = subprocess.run(["tc", "-n", NAME, "qdisc"], check=True, capture_output=True, text=True).stdout
        assert "htb 1:" in shown and "7fff:" not in shown


def test_reading_leaves_no_socket_behind() -> None:
    descriptors = Path("/proc/self/fd")
    before = len(list(descriptors.iterdir()))
    with LinkTable() as table, Trees(table) as trees:
        table.links()
        trees.sample(0.0)
    assert len(list(descriptors.iterdir())) == before
