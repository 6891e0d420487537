"""All tenants flood an uplink while a quiet VIF asks for echoes: what each flow got of what it was promised."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass

from lab.latency import RoundTrips, round_trips
from lab.tenants import CAPACITY_KBPS, QUIET, Flow
from lab.udp import UdpSender
from lab.window_receiver import WindowReceiver
from lab.windows import Arrivals, share_met

SETTLING_S = 1.5  # of the queues that a flood fills first
OFFERED = 0.9  # times what its VIF should get, by every flow: then no class is right because it asks for no more
MET = 0.97  # part of a guarantee that a window must hold


@dataclass(frozen=True, slots=True)
class Ground:
    """Where to send from and to. outside: namespace at the uplink's far end. vifs: namespace by the VIF's name."""

    outside: str
    address: str
    vifs: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Outcome:
    """windows: kbit/s of each window of 100 ms, by the flow's port. kbps: of all the time."""

    flows: Sequence[Flow]
    kbps: Mapping[int, float]
    windows: Mapping[int, Sequence[float]]
    echoes: RoundTrips

    @property
    def met(self) -> float:
        """Part of the windows of all flows that held MET of the flow's guarantee."""
        return share_met(self.windows, {one.port: MET * one.guarantee_kbps for one in self.flows})

    @property
    def utilisation(self) -> float:
        """Of the uplink, by the floods."""
        return sum(self.kbps.values()) / CAPACITY_KBPS

    def of_vif(self, vif: str) -> Mapping[str, float]:
        """kbit/s by class."""
        return {one.kind: self.kbps[one.port] for one in self.flows if one.vif == vif}

    def of_tenants(self) -> Mapping[str, float]:
        """kbit/s of each."""
        found = dict.fromkeys((one.tenant for one in self.flows), 0.0)
        for one in self.flows:
            found[one.tenant] += self.kbps[one.port]
        return found


def flood(ground: Ground, flows: Sequence[Flow], duration_s: float) -> Outcome:
    """Raises LabError when something can not be measured."""
    with WindowReceiver(ground.outside, [one.port for one in flows]) as receiver, ExitStack() as ends:
        senders = [ends.enter_context(UdpSender(ground.vifs[one.vif], ground.address, one.port)) for one in flows]
        for sender, one in zip(senders, flows, strict=True):
            begun = sender.offer(OFFERED * one.vif_kbps)
        from_s = begun.at_s + SETTLING_S
        receiver.await_time(from_s)
        under_way = ends.enter_context(round_trips(ground.vifs[QUIET], ground.address, duration_s))
        receiver.await_time(from_s + duration_s)
        echoes = under_way.result()
    return _outcome(flows, receiver.ports, (from_s, from_s + duration_s), echoes)


def _outcome(
    flows: Sequence[Flow], arrivals: Mapping[int, Arrivals], span_s: tuple[float, float], echoes: RoundTrips
) -> Outcome:
    return Outcome(
        flows,
        {port: one.kbps(*span_s) for port, one in arrivals.items()},
        {port: one.windows(*span_s) for port, one in arrivals.items()},
        echoes,
    )
