"""What a switch counts and holds, read whole, as plain values."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

from ryu.lib import hub

from controller.dataplane.meter_ids import VIF_METERS
from controller.dataplane.pipeline import EGRESS_VERDICT, INGRESS_VERDICT
from controller.openflow import flow_codec, meter_codec, port_codec
from controller.openflow.errors import ReplyUnreadable
from controller.openflow.meter_codec import MeterCounters
from controller.openflow.port_codec import PortCounters
from controller.openflow.session import SwitchSession
from controller.openflow.wire import Frame, Multipart, WireError, multipart_body

K = TypeVar("K")
V = TypeVar("V")


@dataclass(frozen=True, slots=True)
class Counters:
    """meters: those of VIFs, by meter id. ports: by port number, those of the bridge itself (OFPP_LOCAL) too."""

    meters: Mapping[int, MeterCounters]
    ports: Mapping[int, PortCounters]


@dataclass(frozen=True, slots=True)
class FlowCounters:
    """Since the entry was added; a change of its body keeps them."""

    packets: int
    bytes: int


def read_counters(session: SwitchSession) -> Counters:
    """What the loop looks at. Raises SessionError."""
    return Counters(
        meters=read_meters(session, VIF_METERS),
        ports=read_entries(
            session, Multipart.PORT_STATS, port_codec.statistics_request(), port_codec.decode_statistics
        ),
    )


def read_meters(session: SwitchSession, ids: range) -> dict[int, MeterCounters]:
    """Counters by meter id, of those meters that the switch has. Raises SessionError."""
    decode = partial(meter_codec.decode_statistics, ids=ids)
    return read_entries(session, Multipart.METER, meter_codec.statistics_request(), decode)


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


def _each_part(session: SwitchSession, kind: Multipart, request: Frame, take: Callable[[bytes], None]) -> None:
    """Gives the reply away part by part, so that others run in between. Raises SessionError."""
    for reply in session.ask(request):
        try:
            take(multipart_body(reply, kind))
        except WireError as fault:
            raise ReplyUnreadable(f"switch {session.datapath_id}: {fault}") from fault
        hub.sleep(0)
