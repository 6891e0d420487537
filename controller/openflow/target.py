"""One switch as the reconciler sees it: what is ours in it, and a change applied in stages."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial

from controller.dataplane.entries import FlowKey, MeterBody, SwitchState
from controller.dataplane.stages import Failure, Stages
from controller.openflow import flow_codec, meter_codec
from controller.openflow.bundle import WHOLE, deliver_bundle
from controller.openflow.errors import SwitchError
from controller.openflow.session import SwitchSession
from controller.openflow.stats import read_entries
from controller.openflow.wire import Frame, Multipart

OUR_METERS = range(1, 1 << 16)  # meters carry no cookie; those with other ids belong to somebody else

Change = tuple[FlowKey | int, Frame]  # the key of the entry (a meter's is its id), and the message


class SwitchTarget:
    """Implements the reconciler's Target. Every method waits for the switch and may raise SessionError."""

    def __init__(self, session: SwitchSession):
        self._session = session

    def read(self) -> SwitchState:
        """What is in the switch under our cookie, and the meters of our range."""
        flows = read_entries(self._session, Multipart.FLOW, flow_codec.our_flows_request(), flow_codec.decode_flows)
        meters = read_entries(
            self._session, Multipart.METER_CONFIG, meter_codec.configuration_request(), meter_codec.decode_configuration
        )
        return SwitchState(flows, {number: meter for number, meter in meters.items() if number in OUR_METERS})

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

    def modify_meters(self, meters: Mapping[int, MeterBody]) -> Sequence[Failure]:
        """Changes meters that exist, in the order given; in force when this returns."""
        return self._deliver(
            [(number, partial(meter_codec.modify_meter, meter_id=number, body=body)) for number, body in meters.items()]
        )

    def _meters_first(self, stages: Stages) -> Sequence[Failure]:
        encoders = ((meter_codec.add_meter, stages.meters.add), (meter_codec.modify_meter, stages.meters.modify))
        return self._deliver(
            [
                (number, partial(encode, meter_id=number, body=body))
                for encode, meters in encoders
                for number, body in meters.items()
            ]
        )

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
        return self._deliver(
            [(number, partial(meter_codec.delete_meter, meter_id=number)) for number in stages.meters.delete]
        )

    def _deliver(self, changes: Sequence[Change]) -> Sequence[Failure]:
        return _failures(changes, self._session.deliver([frame for _, frame in changes]))


def _failures(changes: Sequence[Change], errors: Mapping[int, SwitchError]) -> Sequence[Failure]:
    """errors: by the index of the change, or WHOLE."""
    return tuple(
        Failure(None if index == WHOLE else changes[index][0], str(error)) for index, error in sorted(errors.items())
    )
