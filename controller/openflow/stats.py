"""What a switch counts and holds, read whole, as plain values."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import TypeVar

from ryu.lib import hub

from controller.openflow import meter_codec, port_codec
from controller.openflow.errors import ReplyUnreadable
from controller.openflow.meter_codec import MeterCounters
from controller.openflow.port_codec import PortCounters
from controller.openflow.session import SwitchSession
from controller.openflow.wire import Frame, Multipart, WireError, multipart_body

K = TypeVar("K")
V = TypeVar("V")


@dataclass(frozen=True, slots=True)
class Counters:
    """meters: by meter id. ports: by port number, those of the bridge itself (OFPP_LOCAL) too."""

    meters: Mapping[int, MeterCounters]
    ports: Mapping[int, PortCounters]


def read_counters(session: SwitchSession) -> Counters:
    """Raises SessionError."""
    return Counters(
        meters=read_entries(session, Multipart.METER, meter_codec.statistics_request(), meter_codec.decode_statistics),
        ports=read_entries(
            session, Multipart.PORT_STATS, port_codec.statistics_request(), port_codec.decode_statistics
        ),
    )


def read_entries(
    session: SwitchSession, kind: Multipart, request: Frame, decode: Callable[[bytes], Iterable[tuple[K, V]]]
) -> dict[K, V]:
    """All entries that a multipart request brings, decoded part by part so that others run in between.

    Raises SessionError.
    """
    entries: dict[K, V] = {}
    for reply in session.ask(request):
        try:
            entries.update(decode(multipart_body(reply, kind)))
        except WireError as fault:
            raise ReplyUnreadable(f"switch {session.datapath_id}: {fault}") from fault
        hub.sleep(0)
    return entries
