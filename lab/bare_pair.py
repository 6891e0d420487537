"""A shaped veth pair between two namespaces and nothing else: what a shaper gives where no switch follows."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from controller.host import qdisc
from controller.host.queue_tree import QueuePlan
from lab.outside import Outside

DEVICE = "eth0"


@dataclass(frozen=True, slots=True)
class BarePair:
    """sender, receiver: namespaces; each has its end as DEVICE."""

    sender: str
    receiver: str
    address: str = "10.9.0.2"


@contextmanager
def bare_pair(plan: QueuePlan | None) -> Iterator[BarePair]:
    """plan: of the sender's end."""
    with Outside() as sender, Outside() as receiver:
        pair = BarePair(sender.name, receiver.name)
        peer = ("peer", "name", DEVICE, "netns", receiver.name)
        sender.run("ip", "link", "add", DEVICE, "type", "veth", *peer)
        sender.address(DEVICE, "10.9.0.1/24")
        receiver.address(DEVICE, f"{pair.address}/24")
        qdisc.apply(DEVICE, plan, Path("/run/netns") / sender.name)
        yield pair
