"""One switch as the reconciler sees it: what is ours in it, and a change applied in stages."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial

from ryu.lib import hub

from controller.dataplane.entries import NOTHING, FlowKey, Meter, SwitchState
from controller.dataplane.stages import Failure, Stages
from controller.openflow import flow_codec, meter_codec
from controller.openflow.bundle import WHOLE, deliver_bundle
from controller.openflow.errors import SwitchError
from controller.openflow.meter_carry import MeterCarry
from controller.openflow.meter_codec import MeterCounters
from controller.openflow.readings import Readings
from controller.openflow.session import SwitchSession
from controller.openflow.stats import Counters, read_counters, read_meters, read_some_meters
from controller.openflow.wire import Frame

# Open vSwitch frees a deleted meter in another thread, within milliseconds, and takes no lock against adding one: both
# at once crash it (docs/decisions/0023).
METER_REST_S = 0.2

Change = tuple[FlowKey | int, Frame]  # the key of the entry (a meter's is its id), and the message


class SwitchTarget:
    """Implements the reconciler's Target. Every method waits for the switch and may raise SessionError."""

    def __init__(self, session: SwitchSession):
        self._session = session
        self._readings = Readings(session)
        self._carry = MeterCarry()
        self._writing = hub.Semaphore()  # held while what meters have counted is read, or begins anew
        self._deleted_s = float("-inf")  # when meters were deleted last

    def read(self, wanted: SwitchState = NOTHING) -> SwitchState:
        """Everything under our cookie, and the meters of our range. What is as wanted is given as it is in `wanted`."""
        return self._readings.whole(wanted)

    def look(self, stages: Stages) -> SwitchState:
        """What is there of the entries and meters that these stages touch."""
        return self._readings.part(stages)

    def apply(self, stages: Stages) -> Sequence[Failure]:
        """Meters that are new or changed, then all flow entries as one, then meters that are no longer used.

        A stage begins when the switch has confirmed the one before; one that fails is the last. Flow entries change
        all or none.
        """
        for stage in (self._meters_first, self._flows, self._meters_last):
            failures = stage(stages)
            if failures:
                return failures
        return ()

    def counters(self) -> Counters:
        """What the loop looks at; a meter that was written anew has counted on."""
        with self._writing:
            found = read_counters(self._session)
            return replace(found, meters=self._carry.carried_table(found.meters))

    def meter_counters(self, ids: range) -> dict[int, MeterCounters]:
        """Of those of these meters that the switch has, likewise."""
        with self._writing:
            return self._carry.carried(read_meters(self._session, ids))

    def modify_meters(self, meters: Mapping[int, Meter]) -> Sequence[Failure]:
        """Changes meters that exist, in the order given; in force when this returns."""
        if not meters:
            return ()
        with self._writing:
            last = read_some_meters(self._session, meters)
            failures = self._deliver(_meter_changes(meter_codec.modify_meter, meters))
            refused = {failure.key for failure in failures}
            self._carry.written({number: one for number, one in last.items() if number not in refused})
            return failures

    def _meters_first(self, stages: Stages) -> Sequence[Failure]:
        if stages.meters.add:
            hub.sleep(max(0.0, self._deleted_s + METER_REST_S - time.monotonic()))
        with self._writing:
            failures = self._deliver(_meter_changes(meter_codec.add_meter, stages.meters.add))
            self._carry.added(stages.meters.add)
        return [*failures, *self.modify_meters(stages.meters.modify)]

    def _flows(self, stages: Stages) -> Sequence[Failure]:
        deleted = [(key, partial(flow_codec.delete_flow, key=key)) for key in stages.flows.delete]
        written = [
            (key, partial(flow_codec.add_flow, key=key, body=body))
            for flows in (stages.flows.add, stages.flows.modify)
            for key, body in flows.items()
        ]
        changes = deleted + written
        if not changes:
            return ()
        return _failures(changes, deliver_bundle(self._session, [frame for _, frame in changes]))

    def _meters_last(self, stages: Stages) -> Sequence[Failure]:
        changes = [(number, partial(meter_codec.delete_meter, meter_id=number)) for number in stages.meters.delete]
        try:
            return self._deliver(changes)
        finally:
            self._deleted_s = time.monotonic() if changes else self._deleted_s

    def _deliver(self, changes: Sequence[Change]) -> Sequence[Failure]:
        return _failures(changes, self._session.deliver([frame for _, frame in changes]))


def _meter_changes(encode: Callable[..., bytes], meters: Mapping[int, Meter]) -> list[Change]:
    return [(number, partial(encode, meter_id=number, body=body)) for number, body in meters.items()]


def _failures(changes: Sequence[Change], errors: Mapping[int, SwitchError]) -> Sequence[Failure]:
    """errors: by the index of the change, or WHOLE."""
    return tuple(
        Failure(None if index == WHOLE else changes[index][0], str(error)) for index, error in sorted(errors.items())
    )
