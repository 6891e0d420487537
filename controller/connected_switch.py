"""A switch that is connected, as the controller's own threads see it."""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial

from controller.clock import monotonic_s
from controller.dataplane.entries import NOTHING, Meter, SwitchState
from controller.dataplane.meter_ids import RULE_METERS
from controller.dataplane.stages import Failure, Stages
from controller.measure.counted import Counted
from controller.openflow import meter_codec, port_codec
from controller.openflow.connections import flush_zone
from controller.openflow.errors import SessionError
from controller.openflow.session import SwitchSession
from controller.openflow.stats import read_rule_counters
from controller.openflow.target import SwitchTarget
from controller.runtime.sampling import SwitchSample
from controller.runtime.switch import Hits, SwitchGone

# what the loop looks at, in the order of its blocks METER and PORT
_METER_COLUMNS = [meter_codec.COLUMNS.index(name) for name in ("bytes_in", "bytes_dropped")]
_PORT_COLUMNS = [
    port_codec.COLUMNS.index(name)
    for name in ("rx_bytes", "tx_bytes", "rx_packets", "tx_packets", "rx_dropped", "tx_dropped")
]

log = logging.getLogger("weir.controller")


class ConnectedSwitch:
    """A session as keeper and loop see it: a runtime Switch."""

    def __init__(self, session: SwitchSession) -> None:
        self._session, self._target = session, SwitchTarget(session)

    @property
    def datapath_id(self) -> str:
        return self._session.datapath_id

    def read(self, wanted: SwitchState = NOTHING) -> SwitchState:
        with _answered():
            return self._target.read(wanted)

    def look(self, stages: Stages) -> SwitchState:
        with _answered():
            return self._target.look(stages)

    def apply(self, stages: Stages) -> Sequence[Failure]:
        with _answered():
            return self._target.apply(stages)

    def modify_meters(self, meters: Mapping[int, Meter]) -> Sequence[Failure]:
        with _answered():
            return self._target.modify_meters(meters)

    def rule_hits(self) -> Mapping[tuple[int, int], Hits]:
        with _answered():
            counters = read_rule_counters(self._session)
        return {key: Hits(hits.packets, hits.bytes) for key, hits in counters.items()}

    def rule_cuts(self) -> Mapping[int, int]:
        with _answered():
            meters = self._target.meter_counters(RULE_METERS)
        return {number: meter.bytes_dropped for number, meter in meters.items()}

    def forget_connections(self, zones: Collection[int]) -> None:
        with _answered():
            refusals = self._session.deliver([partial(flush_zone, zone=zone) for zone in zones])
        for refusal in refusals.values():
            log.warning("switch %s: connections of deleted VIFs stay until they expire: %s", self.datapath_id, refusal)

    def packet_out(self, port: int, frame: bytes) -> None:
        with _answered():
            self._session.packet_out(port, frame)

    def flood(self, ports: Sequence[int], frame: bytes) -> None:
        with _answered():
            self._session.flood(ports, frame)

    def sample(self) -> SwitchSample:
        time_s = monotonic_s()
        with _answered():
            counters = self._target.counters()
        meters, ports = counters.meters, counters.ports
        return SwitchSample(
            time_s,
            Counted(meters.keys, meters.value[:, _METER_COLUMNS]),
            Counted(ports.keys, ports.value[:, _PORT_COLUMNS]),
            counters.cpu_s,
        )


@contextmanager
def _answered() -> Iterator[None]:
    try:
        yield
    except SessionError as fault:
        raise SwitchGone(str(fault)) from fault
