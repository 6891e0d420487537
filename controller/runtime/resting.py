"""Which switches need not be asked at every tick: those of hosts whose links carry no more than probes. Pure.

An agent looks at its links' counters in any case, so it says at once when something moves. Until then the switch's
rates of last time stand, and its next answer makes rates over all the time since: what it counted meanwhile is in them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from controller.runtime.sampling import SwitchSample
from controller.runtime.switch import Switch
from controller.stream.messages import HostSample
from controller.world.desired import World

STILL_SAMPLES = 3  # so many in a row, before a switch rests
MOST_REST_TICKS = 3  # then it is asked whatever its host says: before its rates are stale, even if one answer is lost
FRESH_S = 2.5  # an agent that has been silent for longer does not say that nothing moves
SEEN_KINDS = frozenset({"veth", "tap"})  # those whose every packet a link of the agent's namespace counts


@dataclass(slots=True)
class _Host:
    still: int = 0  # samples in a row
    heard_s: float = float("-inf")
    asked_s: float = float("-inf")  # for what the switch has said last


class Resting:
    """Times are of the monotonic clock by which switches are asked."""

    def __init__(self) -> None:
        self._hosts: dict[str, _Host] = {}
        self._told = frozenset[str]()  # chassis all of whose packets an agent can see

    def heard(self, sample: HostSample, now_s: float) -> None:
        host = self._hosts.setdefault(sample.chassis, _Host())
        host.still, host.heard_s = host.still + 1 if sample.still else 0, now_s

    def changed(self, world: World) -> None:
        """VIFs or policies are others: every switch is asked again."""
        self._told = frozenset(
            chassis for chassis, vifs in world.members.items() if {vif.kind for vif in vifs} <= SEEN_KINDS
        )
        self._hosts = {name: host for name, host in self._hosts.items() if name in world.snapshot.chassis}
        for host in self._hosts.values():
            host.still = 0

    def awake(self, switches: Mapping[str, Switch], now_s: float, interval_s: float) -> dict[str, Switch]:
        """Those to ask now. interval_s: from one tick to the next."""
        return {name: switch for name, switch in switches.items() if not self._rests(name, now_s, interval_s)}

    def answered(self, samples: Mapping[str, SwitchSample]) -> None:
        for name, sample in samples.items():
            if name in self._hosts:
                self._hosts[name].asked_s = sample.time_s

    def _rests(self, name: str, now_s: float, interval_s: float) -> bool:
        host = self._hosts.get(name)
        return (
            host is not None
            and name in self._told
            and host.still >= STILL_SAMPLES
            and now_s - host.heard_s <= FRESH_S
            and now_s - host.asked_s < (MOST_REST_TICKS - 0.5) * interval_s
        )
