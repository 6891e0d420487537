"""What is known of each VIF in one pass, and how that is reported."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from controller.host.desired import Limits
from controller.host.kinds.kind import Made
from controller.host.wishes import HeldVif
from ovsdb.rows import UNCLAIMED, VifStatus, VirtualInterface
from ovsdb.switch import PortStatus

PATIENCE_S = 5.0  # how long Open vSwitch may take to number a port before that is called an error
QUIET_S = 1.0  # how long one waits for somebody else's port before saying so


@dataclass(frozen=True, slots=True)
class VifInPass:
    """made: what its kind has to say. fault: what is wrong, there or with its limits."""

    vif: VirtualInterface
    made: Made
    limits: Limits | None = None
    fault: str | None = None

    @property
    def port(self) -> str | None:
        """Its device on the bridge, if any."""
        return self.made.port.name if self.made.port else None

    @property
    def held(self) -> HeldVif | None:
        if self.port is None or self.limits is None:
            return None
        return HeldVif(self.vif, self.port, self.limits, self.made.place, self.made.device, self.made.has_queues)


class Reporter:
    """Turns passes into statuses; remembers since when each VIF has been on its way."""

    def __init__(self, chassis: str) -> None:
        self._chassis = chassis
        self._since_s: dict[str, float] = {}
        self._queues_made: set[str] = set()

    def queues_made(self, names: set[str]) -> None:
        """The queues of these VIFs were made, or tried; from now on they count as being there."""
        self._queues_made |= names

    def statuses(
        self,
        vifs: Mapping[str, VifInPass],
        ports: Mapping[str, PortStatus],
        queue_faults: Mapping[int, str],
        now_s: float,
    ) -> dict[str, VifStatus]:
        self._since_s = {name: since_s for name, since_s in self._since_s.items() if name in vifs}
        self._queues_made &= vifs.keys()
        found = {}
        for name, one in vifs.items():
            port = ports.get(one.port) if one.port else None
            status = self._status(one, port, queue_faults.get(one.vif.number), now_s)
            if status.state == "ready":
                self._since_s.pop(name, None)
            found[name] = status
        return found

    def _status(self, one: VifInPass, port: PortStatus | None, queue_fault: str | None, now_s: float) -> VifStatus:
        waited_s = now_s - self._since_s.setdefault(one.vif.name, now_s)
        ofport, details = port.ofport if port else None, one.made.details
        if one.made.waiting is not None and one.fault is None:
            reason = one.made.waiting if waited_s >= QUIET_S or one.vif.error is not None else None
            claim = UNCLAIMED if one.vif.kind == "port" and one.vif.chassis else None
            return VifStatus("pending", reason, one.port, ofport, claim, details)
        claim = self._chassis if one.vif.chassis is None else None
        if one.made.is_off_bridge:
            return VifStatus("error" if one.fault else "ready", one.fault, None, None, claim, details)
        fault = one.fault or (queue_fault if ofport else _port_fault(one.port, port, waited_s))
        if fault is None and (ofport is None or one.vif.name not in self._queues_made):
            return VifStatus("pending", None, one.port, ofport, claim, details)
        return VifStatus("error" if fault else "ready", fault, one.port, ofport, claim, details)


def _port_fault(name: str | None, port: PortStatus | None, waited_s: float) -> str | None:
    if port is not None and port.error is not None:
        return f"Open vSwitch cannot use device {name}: {port.error}. See ovs-vswitchd.log."
    if waited_s > PATIENCE_S:
        return (
            f"Open vSwitch has given port {name} no number within {PATIENCE_S:g} s. "
            "See whether ovs-vswitchd runs, and its log."
        )
    return None


def settled(vifs: Mapping[str, VifInPass], statuses: Mapping[str, VifStatus]) -> bool:
    """Whether everything was tried: each VIF is ready, in error, or waiting for somebody else."""
    return all(status.state != "pending" or vifs[name].made.waiting is not None for name, status in statuses.items())
