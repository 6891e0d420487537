"""What a switch counts and holds, read whole, as plain values."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from functools import partial, reduce
from typing import TypeVar

from ryu.lib import hub

from controller.dataplane.meter_ids import OUR_METERS, VIF_METERS
from controller.dataplane.pipeline import EGRESS_VERDICT, INGRESS_VERDICT
from controller.measure.counted import Counted, merged
from controller.openflow import flow_codec, meter_codec, port_codec
from controller.openflow.errors import ReplyUnreadable
from controller.openflow.meter_codec import MeterCounters
from controller.openflow.session import SwitchSession
from controller.openflow.wire import Frame, Multipart, WireError, multipart_body

_SOME = 100  # meters that are asked for one by one
K = TypeVar("K")
V = TypeVar("V")


@dataclass(frozen=True, slots=True)
class Counters:
    """meters: those of VIFs, by meter id. ports: by port number, those of the bridge itself (OFPP_LOCAL) too.

    Their columns: meter_codec.COLUMNS and port_codec.COLUMNS. cpu_s: processor time that decoding took.
    """

    meters: Counted
    ports: Counted
    cpu_s: float = 0.0


@dataclass(frozen=True, slots=True)
class FlowCounters:
    """Since the entry was added; a change of its body keeps them."""

    packets: int
    bytes: int


def read_counters(session: SwitchSession) -> Counters:
    """What the loop looks at. Raises SessionError."""
    watch = _Watch()
    decode_meters = watch.timed(partial(meter_codec.decode_table, ids=VIF_METERS))
    decode_ports = watch.timed(port_codec.decode_statistics)
    meters = read_table(session, Multipart.METER, meter_codec.statistics_request(), decode_meters)
    ports = read_table(session, Multipart.PORT_STATS, port_codec.statistics_request(), decode_ports)
    return Counters(meters, ports, watch.cpu_s)


class _Watch:
    """Processor time of what does not let others run; that of other native threads is not in it."""

    def __init__(self) -> None:
        self.cpu_s = 0.0

    def timed(self, decode: Callable[[bytes], Counted]) -> Callable[[bytes], Counted]:
        def timed(body: bytes) -> Counted:
            begun_s = time.thread_time()
            found = decode(body)
            self.cpu_s += time.thread_time() - begun_s
            return found

        return timed


def read_meters(session: SwitchSession, ids: range) -> dict[int, MeterCounters]:
    """Counters by meter id, of those meters that the switch has. Raises SessionError."""
    decode = partial(meter_codec.decode_statistics, ids=ids)
    return read_entries(session, Multipart.METER, meter_codec.statistics_request(), decode)


def read_some_meters(session: SwitchSession, meter_ids: Collection[int]) -> dict[int, MeterCounters]:
    """The same, of those of these meters that the switch has. Raises SessionError."""
    if len(meter_ids) > _SOME:
        found = read_meters(session, OUR_METERS)
        return {meter_id: found[meter_id] for meter_id in meter_ids if meter_id in found}
    entries: dict[int, MeterCounters] = {}
    for reply in session.ask_all([meter_codec.statistics_request(meter_id) for meter_id in meter_ids]):
        try:
            entries.update(meter_codec.decode_statistics(multipart_body(reply, Multipart.METER), OUR_METERS))
        except WireError as fault:
            raise ReplyUnreadable(f"switch {session.datapath_id}: {fault}") from fault
    return entries


def read_rule_counters(session: SwitchSession) -> dict[tuple[int, int], FlowCounters]:
    """By table and cookie, of the entries in which rules act for VIFs; entries of one cookie count together.

    Raises SessionError.
    """
    counters: dict[tuple[int, int], FlowCounters] = {}

    def add(body: bytes) -> None:
        for table, cookie, packets, size_bytes in flow_codec.decode_counters(body):
            known = counters.get((table, cookie))
            if known is not None:
                packets, size_bytes = known.packets + packets, known.bytes + size_bytes
            counters[table, cookie] = FlowCounters(packets, size_bytes)

    for table in (EGRESS_VERDICT, INGRESS_VERDICT):
        _each_part(session, Multipart.FLOW, flow_codec.our_flows_request(table.id), add)
    return counters


def read_entries(
    session: SwitchSession, kind: Multipart, request: Frame, decode: Callable[[bytes], Iterable[tuple[K, V]]]
) -> dict[K, V]:
    """All entries that a multipart request brings. Raises SessionError."""
    entries: dict[K, V] = {}
    _each_part(session, kind, request, lambda body: entries.update(decode(body)))
    return entries


def read_table(session: SwitchSession, kind: Multipart, request: Frame, decode: Callable[[bytes], Counted]) -> Counted:
    """Likewise, as one table. Raises SessionError."""
    parts: list[Counted] = []
    _each_part(session, kind, request, lambda body: parts.append(decode(body)))
    return reduce(merged, parts) if parts else decode(b"")


def _each_part(session: SwitchSession, kind: Multipart, request: Frame, take: Callable[[bytes], None]) -> None:
    """Gives the reply away part by part, so that others run in between. Raises SessionError."""
    for reply in session.ask(request):
        try:
            take(multipart_body(reply, kind))
        except WireError as fault:
            raise ReplyUnreadable(f"switch {session.datapath_id}: {fault}") from fault
        hub.sleep(0)
