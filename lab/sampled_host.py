"""A host with many VIFs whose queues are sampled: their trees as the agent makes them, on links without a switch.

All instances' ends stand in one namespace: a visit there costs the same as one in a namespace of its own.
"""

from __future__ import annotations

import os
import socket
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from controller.host import class_places, namespace
from controller.host.class_queues import ClassShare
from controller.host.link_table import LinkTable
from controller.host.queue_plan import Sender, ingress_plan, shaper_plan, uplink_plan
from controller.host.trees import Trees
from controller.host.wish import Wish, Wishes
from lab.children import run
from policies.hierarchy import Branch, Leaf, Member

UPLINK = "up0"
GOLD, BULK = "gold", "bulk"  # the classes of each fourth VIF
_CLASSES = {GOLD: ClassShare(0.3, (46,)), BULK: ClassShare(0.7)}
_CAPACITY_KBPS, _EGRESS_KBPS, _INGRESS_KBPS = 10_000_000, 50_000, 40_000
_FRAME = b"\xff" * 6 + b"%s" + b"\x88\xb5" + bytes(46)


class SampledHost:
    """VIFs are numbered from 1. Everything is gone after `close`."""

    def __init__(self, vifs: int) -> None:
        self.vifs = vifs
        self._outside, self._inside = f"wbs{os.getpid()}", f"wbi{os.getpid()}"
        try:
            self._make_links()
            with namespace.entered(namespace.named(self._outside)):
                self._links = LinkTable()
                self.trees = Trees(self._links)
                self._sender = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
            with namespace.entered(namespace.named(self._inside)):
                self._instances = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
            self.faults = self.trees.converge(self._wishes(), 0.0)
        except BaseException:
            self._remove()
            raise

    def close(self) -> None:
        self._sender.close()
        self._instances.close()
        self.trees.__exit__()
        self._links.close()
        self._remove()

    def send(self, numbers: Iterable[int]) -> None:
        """A frame out of each of these instances, one towards it, and one of its own out of the uplink."""
        for number in numbers:
            frame = _FRAME % _mac(number)
            self._instances.sendto(frame, (f"e{number}", 0))
            self._sender.sendto(frame, (f"wv{number}", 0))
            self._sender.sendto(frame, (UPLINK, 0))

    def by_hand(self) -> None:
        """Has `tc` tell what a sampling reads in this namespace; the shapers would be a visit each beside."""
        run(["tc", "-n", self._outside, "-s", "-j", "qdisc", "show"])
        run(["tc", "-n", self._outside, "-s", "-j", "class", "show", "dev", UPLINK])

    def _make_links(self) -> None:
        for name in (self._outside, self._inside):
            run(["ip", "netns", "add", name])
            run(["ip", "netns", "exec", name, "sysctl", "-qw", "net.ipv6.conf.default.disable_ipv6=1"])
        lines = [f"link add {UPLINK} type veth peer name far netns {self._inside}", f"link set {UPLINK} up"]
        for number in range(1, self.vifs + 1):
            lines.append(f"link add wv{number} type veth peer name e{number} netns {self._inside}")
            lines.append(f"link set wv{number} up")
        _batch(self._outside, lines)
        _batch(self._inside, ["link set far up", *(f"link set e{number} up" for number in range(1, self.vifs + 1))])

    def _remove(self) -> None:
        for name in (self._outside, self._inside):
            run(["ip", "netns", "delete", name], check=False)

    def _wishes(self) -> Wishes:
        inside, numbers = namespace.named(self._inside), range(1, self.vifs + 1)
        classes = {number: {} if number % 4 else _CLASSES for number in numbers}
        leaves = tuple(Leaf(Member(number, f"v{number}", "p"), 0, None, 1.0, None, None) for number in numbers)
        senders = {
            number: Sender(int.from_bytes(_mac(number), "big"), tuple(own.values())) for number, own in classes.items()
        }
        uplink = uplink_plan(Branch("", 0, None, 1.0, (), leaves), _CAPACITY_KBPS, senders, {}, 4554)
        return Wishes(
            {UPLINK: Wish(UPLINK, uplink, classes=class_places.at_uplink(uplink, classes))},
            {number: _at_port(number, own) for number, own in classes.items()},
            {
                number: Wish(f"e{number}", shaper_plan(_EGRESS_KBPS, 250_000), inside, f"wv{number}")
                for number in numbers
            },
        )


@contextmanager
def sampled_host(vifs: int) -> Iterator[SampledHost]:
    host = SampledHost(vifs)
    try:
        yield host
    finally:
        host.close()


def _at_port(number: int, classes: class_places.Named) -> Wish:
    plan = ingress_plan(_INGRESS_KBPS, 60_000, classes=tuple(classes.values()))
    return Wish(f"wv{number}", plan, classes=class_places.at_port(plan, number, classes))


def _mac(number: int) -> bytes:
    return bytes([2, 0, 0, 0, number >> 8, number & 0xFF])


def _batch(netns: str, lines: list[str]) -> None:
    with tempfile.NamedTemporaryFile("w") as batch:
        batch.write("\n".join(lines))
        batch.flush()
        run(["ip", "-n", netns, "-batch", batch.name])
