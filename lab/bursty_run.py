"""A bursty day sent through a network, whoever made that: what was offered and what came, as a record."""

from __future__ import annotations

import math
import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass

from lab.bursty import Day, Flow
from lab.bursty_figures import Record
from lab.demand import DemandSender
from lab.window_receiver import WindowReceiver

_STARTING_S = 1.5  # of all senders


@dataclass(frozen=True, slots=True)
class Ends:
    """Of a flow: the namespaces that it is sent from and arrives in, and the address there."""

    sender: str
    receiver: str
    address: str


def live(ends: Mapping[str, Ends], flows: Sequence[Flow], day: Day, congestion: str | None = None) -> Record:
    """One day. ends: by VIF. congestion: of TCP connections, one a flow; None: UDP.

    Raises LabError when something can not be measured.
    """
    ports = defaultdict[str, list[int]](list)
    for flow in flows:
        ports[ends[flow.vif].receiver].append(flow.port)
    with ExitStack() as stack:
        receivers = {
            where: stack.enter_context(WindowReceiver(where, own, congestion is not None))
            for where, own in ports.items()
        }
        senders = {}
        for flow in flows:
            end = ends[flow.vif]
            senders[flow.vif] = stack.enter_context(DemandSender(end.sender, end.address, flow.port, congestion))
        begin_s = float(math.ceil(time.monotonic() + _STARTING_S))  # a whole number of windows
        for vif, sender in senders.items():
            sender.follow(begin_s, day.steps(vif))
        for receiver in receivers.values():
            receiver.await_time(begin_s + day.duration_s)
        for sender in senders.values():
            sender.await_end()
        got = {flow.vif: receivers[ends[flow.vif].receiver].ports[flow.port] for flow in flows}
        return Record(day, tuple(flows), begin_s, {vif: one.offered for vif, one in senders.items()}, got)
