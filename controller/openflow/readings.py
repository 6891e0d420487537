"""What a switch holds of ours: the whole of it, or only that which a change has touched."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from ryu.lib import hub

from controller.dataplane.diff import Changes
from controller.dataplane.entries import FlowBody, FlowKey, Meter, SwitchState
from controller.dataplane.meter_ids import OUR_METERS
from controller.dataplane.stages import Stages
from controller.openflow import flow_codec, meter_codec
from controller.openflow.errors import ReplyUnreadable
from controller.openflow.session import SwitchSession
from controller.openflow.wire import Frame, Multipart, WireError, multipart_body

_FEW = 8  # entries of one table and cookie that are asked for one by one
T = TypeVar("T")
V = TypeVar("V")


@dataclass(frozen=True, slots=True)
class _Seen:
    """Entries that a reading has found to be all there is, and the fingerprint of that reading."""

    flows: Mapping[FlowKey, FlowBody] = field(default_factory=dict)
    fingerprint: int = 0


class Readings:
    """Of one switch. Every method waits for it and raises SessionError."""

    def __init__(self, session: SwitchSession) -> None:
        self._session = session
        self._seen = _Seen()

    def whole(self, wanted: SwitchState) -> SwitchState:
        """What is in the switch under our cookie, and the meters of our range.

        What is as `wanted` has it is given as the objects of `wanted`. When everything was, and reads the same the next
        time, it is not decoded again: that costs a twentieth.
        """
        return SwitchState(self._flows(wanted.flows), self._meters())

    def part(self, stages: Stages) -> SwitchState:
        """What is there of the entries and meters that are added, changed or deleted."""
        touched = {number for meters in _kinds(stages.meters) for number in meters}
        flows = {key: body.cookie for entries in _kinds(stages.flows) for key, body in entries.items()}
        found = dict(self._decoded(Multipart.FLOW, self._replies(_questions(flows)), flow_codec.decode_flows))
        questions = [meter_codec.configuration_request(number) for number in sorted(touched)]
        replies = self._replies(questions)
        meters = dict(self._decoded(Multipart.METER_CONFIG, replies, meter_codec.decode_configuration))
        return SwitchState({key: found[key] for key in flows if key in found}, meters)

    def _flows(self, wanted: Mapping[FlowKey, FlowBody]) -> Mapping[FlowKey, FlowBody]:
        replies = self._session.ask(flow_codec.our_flows_request())
        fingerprint = sum(self._decoded(Multipart.FLOW, replies, _fingerprint))
        if self._seen.flows is wanted and self._seen.fingerprint == fingerprint:
            return wanted
        missing: dict[FlowKey, FlowBody] = dict(wanted)
        others: dict[FlowKey, FlowBody] = {}
        for key, body in self._decoded(Multipart.FLOW, replies, flow_codec.decode_flows):
            if missing.get(key) == body:
                del missing[key]
            else:
                others[key] = body
        if missing or others:
            return {key: body for key, body in wanted.items() if key not in missing} | others
        self._seen = _Seen(wanted, fingerprint)
        return wanted

    def _meters(self) -> dict[int, Meter]:
        replies = self._session.ask(meter_codec.configuration_request())
        found = self._decoded(Multipart.METER_CONFIG, replies, meter_codec.decode_configuration)
        return {number: meter for number, meter in found if number in OUR_METERS}

    def _replies(self, questions: Sequence[Frame]) -> Sequence[bytes]:
        return self._session.ask_all(questions) if questions else ()

    def _decoded(
        self, kind: Multipart, replies: Iterable[bytes], decode: Callable[[bytes], Iterable[T]]
    ) -> Iterator[T]:
        """Lets others run between replies. Raises SessionError."""
        for reply in replies:
            try:
                yield from decode(multipart_body(reply, kind))
            except WireError as fault:
                raise ReplyUnreadable(f"switch {self._session.datapath_id}: {fault}") from fault
            hub.sleep(0)


def _kinds(changes: Changes[T, V]) -> tuple[Mapping[T, V], ...]:
    return changes.add, changes.modify, changes.delete


def _fingerprint(body: bytes) -> tuple[int]:
    return (flow_codec.fingerprint(body),)


def _questions(flows: Mapping[FlowKey, int]) -> Sequence[Frame]:
    """By table and cookie, which the switch finds at once; where many are under one, for all of these together."""
    together: dict[tuple[int, int], list[FlowKey]] = defaultdict(list)
    for key, cookie in flows.items():
        together[key.table, cookie].append(key)
    questions: list[Frame] = []
    for (table, cookie), keys in together.items():
        if len(keys) > _FEW:
            questions.append(flow_codec.flows_request(table, cookie))
        else:
            questions += [flow_codec.flows_request(table, cookie, key.match) for key in keys]
    return questions
