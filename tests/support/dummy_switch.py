"""A real ovs-vswitchd without kernel devices, fast enough to try thousands of states and packets on.

    with DummySwitch(ports=(1, 2)) as switch:
        switch.hold(compile_bridge(bridge))
        switch.trace(1, {"eth_type": 0x0800, ...}).outputs  # what its tables say
        switch.send(1, frame)  # what its datapath does, connections and all

Its clock is the machine's: tests that wait for a meter to refill or for a connection to end belong elsewhere.
"""

from __future__ import annotations

import re
import struct
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from types import TracebackType

from controller.dataplane.entries import SwitchState
from controller.dataplane.text import flow_text, meter_text
from controller.dataplane.trace_output import Trace, parse_trace
from controller.dataplane.trace_packet import Fields, flow_of
from controller.openflow import meter_codec
from controller.openflow.flow_codec import add_flow
from controller.openflow.meter_codec import MeterCounters, add_meter, modify_meter
from controller.openflow.wire import ALL_TABLES, ANY, Frame, Multipart, multipart_body, multipart_request
from tests.support.openflow_client import OpenFlowClient, PacketIn, delete_all_flows
from tests.support.ovs_sandbox import PrivateOvs
from tests.support.port_taps import PortTaps
from tests.support.unixctl import Unixctl

BRIDGE = "br9999"  # the dummy datapath gives a bridge port 100 + 9999, and port pN the number N: that of OpenFlow
NEW = ("trk,new",) * 8  # what each lookup of a traced packet finds, as many as a packet can meet
_PLACE, _ONWARDS = re.compile(r"recirc_id\((0x[0-9a-f]+|0)\)"), re.compile(r"recirc\((0x[0-9a-f]+)\)")
_ALL_METERS = range(1 << 32)
_FLOW_REQUEST = struct.Struct("!B3xII4xQQHH4x")
_FLOW_STATISTICS = struct.Struct("!H22xQQQ")  # length, cookie, packets, bytes


class DummySwitch:
    """A bridge with the given OpenFlow ports."""

    def __init__(self, ports: Iterable[int] = range(1, 9)):
        self.ovs = PrivateOvs(dummy=True)
        self._ports = tuple(ports)
        self._meters: set[int] = set()  # that the switch has
        self._remembers = False  # whether the datapath may still treat packets as an earlier state wants it

    def __enter__(self) -> DummySwitch:
        with ExitStack() as stack:
            stack.enter_context(self.ovs)
            self._taps = PortTaps(self.ovs.rundir, self._ports)
            stack.callback(self._taps.close)
            stack.callback(self.ovs.stop_vswitchd)  # first, as it writes into the taps
            self._add_bridge()
            self._taps.skip_headers()
            self._control = Unixctl(self.ovs.rundir / f"ovs-vswitchd.{self.ovs.vswitchd_pid}.ctl")
            stack.callback(self._control.close)
            self._openflow = OpenFlowClient(self.ovs.rundir / f"{BRIDGE}.mgmt")
            stack.callback(self._openflow.close)
            self._check_numbers()
            self._open = stack.pop_all()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._open.close()

    def hold(self, state: SwitchState) -> None:
        """Replaces all flow entries and meters; counters start from zero and buckets full. Connections stay.

        Meters that the state lacks stay, unused: Open vSwitch 3.1 frees a deleted meter in another thread than it adds
        one, without a lock, and crashes now and then when one follows the other at once.
        Raises AssertionError naming the first entry that the switch refuses.
        """
        frames: list[Frame] = [delete_all_flows()]
        unnamed = len(frames)
        for number, body in state.meters.items():
            write = modify_meter if number in self._meters else add_meter
            frames.append(partial(write, meter_id=number, body=body))
        self._meters |= set(state.meters)
        frames += [partial(add_flow, key=key, body=body) for key, body in state.flows.items()]
        errors = self._openflow.deliver(frames)
        if errors:
            first = min(errors)
            raise AssertionError(f"the switch refuses {_entry(state, first - unnamed)}: {errors[first]}")
        self._openflow.packet_ins.clear()
        self._remembers = True

    @contextmanager
    def half_remembering(self, state: SwitchState, lookups: int) -> Iterator[None]:
        """Holds `state`, while the datapath repeats what it decided for packets until they looked a connection up for
        the `lookups`-th time, and decides anew from there on.

        So it is for a moment after each change, while the switch goes through what it remembers. Here it stays so.
        """
        self._control.call("revalidator/pause")
        try:
            self.hold(state)
            self._remembers = False
            dumped = self._control.call("dpctl/dump-flows", "-m").splitlines()
            flows = {flow.partition(",")[0]: flow for flow in dumped if flow.startswith("ufid:")}
            kept, places = set[str](), {"0"}
            for _ in range(lookups):
                here = {ufid for ufid, flow in flows.items() if _PLACE.findall(flow)[0] in places}
                kept, places = kept | here, {onwards for ufid in here for onwards in _ONWARDS.findall(flows[ufid])}
                assert places, f"nothing is remembered that looks a connection up: {dumped}"
            for ufid in flows.keys() - kept:
                self._control.call("dpctl/del-flow", ufid)
            yield
        finally:
            self._remembers = True
            self._control.call("revalidator/resume")

    def forget_connections(self) -> None:
        """Of every zone. Fragments that wait for the rest of their packet stay."""
        self._control.call("dpctl/flush-conntrack")

    def trace(self, in_port: int, fields: Fields, connections: Sequence[str] = NEW) -> Trace:
        """What the tables say to a packet. connections: the states that its lookups find in turn.

        The trace leaves a connection's original tuple empty; `trace_from` a later table can give it.
        Raises TraceError, or CommandRefused for fields that make no packet.
        """
        return self.trace_all([(in_port, fields)], connections)[0]

    def trace_all(self, packets: Iterable[tuple[int, Fields]], connections: Sequence[str] = NEW) -> list[Trace]:
        """The same for many, in their order and in less than half the time each. packets: in_port and fields."""
        options = [word for state in connections for word in ("--ct-next", state)]
        commands = (("ofproto/trace", BRIDGE, flow_of(*packet), *options) for packet in packets)
        return list(map(parse_trace, self._control.call_each(commands)))

    def trace_from(self, table: int, in_port: int, fields: Fields, connections: Sequence[str] = NEW) -> Trace:
        """The same from a later table on, for a packet with the registers, ct_state and original tuple in `fields`."""
        options = [word for state in connections for word in ("--ct-next", state)]
        flow = flow_of(in_port, fields)
        return parse_trace(
            self._control.call("ofproto/trace-packet-out", BRIDGE, flow, *options, f"resubmit(,{table})")
        )

    def send(self, port: int, frame: bytes) -> list[tuple[int, bytes]]:
        """What leaves, and from which port, when the frame comes in at a port: by port, in each port's order."""
        if self._remembers:
            self._control.call("revalidator/purge")
            self._remembers = False
        self._control.call("netdev-dummy/receive", f"p{port}", frame.hex())
        self._barrier()
        return self._taps.take()

    def copies(self) -> list[PacketIn]:
        """What has been sent to the controller since the last call or `hold`."""
        self._barrier()
        copies = list(self._openflow.packet_ins)
        self._openflow.packet_ins.clear()
        return copies

    def counters(self) -> Mapping[int, tuple[int, int]]:
        """Packets and bytes by cookie, each the sum of the entries that carry it."""
        self._control.call("revalidator/purge")  # which hands in what the datapath has counted
        request = _FLOW_REQUEST.pack(ALL_TABLES, ANY, ANY, 0, 0, 1, 4)
        packets: Counter[int] = Counter()
        sizes: Counter[int] = Counter()
        for reply in self._openflow.ask(multipart_request(Multipart.FLOW, request)):
            body, at = multipart_body(reply, Multipart.FLOW), 0
            while at < len(body):
                length, cookie, count, size_bytes = _FLOW_STATISTICS.unpack_from(body, at)
                packets[cookie] += count
                sizes[cookie] += size_bytes
                at += length
        return {cookie: (packets[cookie], sizes[cookie]) for cookie in packets}

    def meters(self) -> Mapping[int, MeterCounters]:
        """By OpenFlow meter id."""
        replies = self._openflow.ask(meter_codec.statistics_request())
        return {
            number: counters
            for reply in replies
            for number, counters in meter_codec.decode_statistics(multipart_body(reply, Multipart.METER), _ALL_METERS)
        }

    def _barrier(self) -> None:
        """The switch reads a port's queue before it reads OpenFlow: so it is through with what was received before."""
        self._openflow.deliver([])

    def _add_bridge(self) -> None:
        settings = ("datapath_type=dummy", "protocols=OpenFlow13,OpenFlow15", "fail_mode=secure")
        words = ["add-br", BRIDGE, "--", "set", "bridge", BRIDGE, *settings, "other_config:disable-in-band=true"]
        for port, path in self._taps.paths.items():
            words += ["--", "add-port", BRIDGE, f"p{port}", "--", "set", "interface", f"p{port}"]
            words += ["type=dummy", f"ofport_request={port}", f"options:tx_pcap={path}"]
        self.ovs.vsctl(*words)

    def _check_numbers(self) -> None:
        shown = self._control.call("dpif/show")
        for port in self._ports:
            assert f" p{port} {port}/{port}:" in shown, f"port {port} has another number in the datapath: {shown}"


def _entry(state: SwitchState, index: int) -> str:
    """The entry that `hold` sent as number `index`, meters first."""
    if index < 0:
        return "to delete everything"
    if index < len(state.meters):
        return meter_text(*list(state.meters.items())[index])
    return flow_text(*list(state.flows.items())[index - len(state.meters)], names=False)
