"""What `weir trace` says of the policy holds in a real switch, also of packets that no rule is asked about."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from ipaddress import ip_address
from itertools import product

import pytest

from controller.dataplane.actions import Conntrack, Output, SetField
from controller.dataplane.protocols import CT_INVALID, CT_TRACKED, ETH_IPV4, ETH_IPV6, ICMP, ICMP6, SCTP, TCP, UDP
from controller.dataplane.trace_output import Trace
from controller.intent.numbering import renumber
from controller.intent.on_paper import compiled, world_of
from controller.intent.trace import Answer, answer
from controller.intent.trace_gates import is_valid
from controller.intent.trace_question import parse_question
from controller.intent.trace_switch import CannotAsk, Probe, disagreements, probe_of
from controller.world.desired import World
from ovsdb.rows import Chassis
from policies.parser import parse
from policies.semantics import Packet
from tests.support.dummy_switch import DummySwitch
from tests.support.random_packets import frame
from tests.support.written_state import NEW, State
from tests.unit.intent.worlds import vif, world

POLICY = """\
weir: 1
segments:
  lab: {type: internal, subnets: [10.30.0.0/24, 'fd00:30::/64']}
  net: {type: bridged, uplink: eth1, vlan: 7}
links: {eth1: {capacity: 100 mbit}}
classes: {realtime: {dscp: ef, share: 30 %}}
policies:
  open: {unmatched: allow, egress: {limit: 10 mbit, packets: 2 kpps}, ingress: {packets: 1 kpps}, cpu: 20 %}
  closed: {}
  some:
    unmatched: allow
    rules:
      - deny: {name: no-dhcp, direction: ingress, service: udp/67}
      - allow: {name: calls, service: udp/5060, class: realtime, limit: 1 mbit}
      - allow: {name: odd, service: [icmp/9, icmp6/200], class: realtime}
      - allow: {name: watched, service: udp, stage: audit}
"""
MACS = {name: f"02:00:00:00:00:{number:02x}" for name, number in (("a", 2), ("b", 3), ("c", 4), ("w", 5), ("x", 6))}
HERE = {"a": "open", "b": "closed", "c": "some"}
VIFS = (
    *(
        vif(name, n, policy=leaf, ofport=n, addresses=(f"10.30.0.{n}/24", f"fd00:30::{n}/64"))
        for n, (name, leaf) in enumerate(HERE.items(), start=2)
    ),
    vif("w", 5, policy="some", segment="net", addresses=("192.0.2.5/24", "fd00:31::5/64"), ofport=5),
    vif("x", 6, policy="open", segment="net", addresses=("192.0.2.6/24", "fd00:31::6/64"), ofport=2, chassis="h2"),
    vif("y", 7, policy="closed", segment="net", addresses=("192.0.2.7/24", "fd00:31::7/64"), ofport=3, chassis="h2"),
)
IPV4 = {"a": "10.30.0.2", "b": "10.30.0.3", "c": "10.30.0.4", "w": "192.0.2.5", "x": "192.0.2.6", "y": "192.0.2.7"}
IPV6 = {**{name: f"fd00:30::{n}" for n, name in enumerate(HERE, start=2)}, "w": "fd00:31::5", "x": "fd00:31::6"}
OTHERS = {"a": "c", "b": "a", "c": "a", "w": "x"}
ENDS4 = ("udp {0}:{2} > {1}:{3}", [(1, 2), (68, 67), (67, 68), (5060, 5060), (0, 9), (9, 0), (546, 547)])


def made() -> World:
    numbers, following = renumber(parse({"p.yaml": POLICY}), {}, {})
    hosts = {name: Chassis(name, "br", agent_cfg=5, flow_cfg=5, uplink_ports={"eth1": 9}) for name in ("h1", "h2")}
    snapshot = world(*VIFS, files={"p.yaml": POLICY}, numbers=numbers, next_number=following)
    return world_of(replace(snapshot, chassis=hosts), 0.0)


WORLD = made()


@pytest.fixture(scope="module")
def switch() -> Iterator[DummySwitch]:
    with DummySwitch(ports=(1, 2, 3, 4, 5, 9)) as running:
        yield running


def packets4(source: str, destination: str) -> Iterator[str]:
    for protocol, ports in product(("udp", "tcp", "sctp"), ENDS4[1]):
        yield protocol + ENDS4[0].removeprefix("udp").format(source, destination, *ports)
    for kind, code in product((0, 3, 5, 8, 9, 11, 13, 14, 15, 17, 40), (0, 1)):
        yield f"icmp {source} > {destination} {kind}/{code}"
    for protocol in (2, 47):
        yield f"ip/{protocol} {source} > {destination}"


def packets6(source: str, destination: str) -> Iterator[str]:
    for protocol, ports in product(("udp", "tcp"), ENDS4[1]):
        yield protocol + " [{0}]:{2} > [{1}]:{3}".format(source, destination, *ports)
    for ports in ((546, 547), (547, 546)):
        yield "udp [{0}]:{2} > [{1}]:{3}".format(source, destination, *ports)
    for kind, code in product((0, 1, 2, 4, *range(128, 141), 143, 144, 200), (0, 1)):
        yield f"icmp6 {source} > {destination} {kind}/{code}"
    for protocol in (2, 47):
        yield f"ip/{protocol} {source} > {destination}"


def link_local(name: str) -> str:
    number = WORLD.snapshot.interfaces[name].number
    return f"fe80::ff:fe00:{number:x}"


def questions() -> Iterator[str]:
    for name, other in OTHERS.items():
        outside4, outside6 = ("192.0.2.99", "fd00:31::99") if name == "w" else (None, None)
        nets = ("10.30.0.255", "224.0.0.1", "255.255.255.255")
        for source, destination in product((IPV4[name], "0.0.0.0", "10.9.9.9"), (IPV4[other], outside4, *nets)):
            yield from (f"{name} egress {one}" for one in packets4(source, destination or IPV4[other]))
        for source, destination in product((IPV6[name], link_local(name), "::", "fd00::bad"), (IPV6[other], "ff02::1")):
            yield from (f"{name} egress {one}" for one in packets6(source, destination))
        yield from (f"{name} ingress {one}" for one in packets4(outside4 or IPV4[other], IPV4[name]))
        yield from (f"{name} ingress {one}" for one in packets6(outside6 or IPV6[other], IPV6[name]))
    for remote in ("x", "y"):
        yield from (f"w ingress {one}" for one in packets4(IPV4[remote], IPV4["w"]))
    yield from (f"w ingress {one}" for one in packets6(IPV6["x"], IPV6["w"]))


def test_policy_and_switch_agree_on_every_kind_of_packet(switch: DummySwitch) -> None:
    at = partial(compiled, WORLD)
    known = {name: at(name) for name in WORLD.snapshot.chassis}
    assert known["h1"].fault is None
    switch.hold(known["h1"].state)
    asked: dict[str, list[tuple[Answer, Probe]]] = {"trk,new": [], "trk,inv": []}
    untold = 0
    for question in dict.fromkeys(questions()):
        found = answer(parse_question(question), WORLD, known.__getitem__)
        try:
            probe = probe_of(found, WORLD)
        except CannotAsk:
            assert found.passes is None
            untold += 1
            continue
        asked[probe.connection].append((found, probe))
    assert untold and all(len(pairs) > 500 for pairs in asked.values())
    wrong = []
    for connection, pairs in asked.items():
        traces = switch.trace_all([(probe.in_port, probe.fields) for _, probe in pairs], (connection,) * 16)
        for (found, probe), trace in zip(pairs, traces, strict=True):
            wrong += [f"{found.question}: {line}" for line in said_wrong(found, trace, probe)]
    assert not wrong, "\n".join(wrong[:20])


def said_wrong(found: Answer, trace: Trace, probe: Probe) -> list[str]:
    lines = disagreements(found, trace, probe, WORLD)
    is_all_here = found.sender is None or WORLD.snapshot.interfaces[found.sender].chassis == probe.chassis
    if found.is_asked:
        lines += [] if not trace.outputs and trace.to_controller is found.passes else [f"asked: {trace.text}"]
    elif not found.is_to_many and is_all_here and found.receiver != "x" and bool(trace.outputs) is not found.passes:
        is_without_way = found.receiver is None and found.question.vif != "w"  # the lab has no uplink
        lines += [] if is_without_way else [f"passes: {found.passes}, outputs: {trace.outputs}"]
    return lines


def test_what_connection_tracking_calls_invalid(switch: DummySwitch) -> None:
    """A trace tracks nothing, so this is told beforehand."""
    state = State()
    for eth_type in (ETH_IPV4, ETH_IPV6):
        state.on(0, SetField("reg0", 7), Conntrack("reg0", 10), eth_type=eth_type)
        state.on(10, Output(2), eth_type=eth_type, ct_state=NEW)
        state.on(10, Output(3), eth_type=eth_type, ct_state=(CT_TRACKED | CT_INVALID,) * 2)
    switch.hold(state.state())
    ends = {4: (ip_address("10.0.0.1"), ip_address("10.0.0.2")), 6: (ip_address("fd00::1"), ip_address("fd00::2"))}
    packets = [
        Packet(*ends[version], protocol, *ports)
        for version, protocol, ports in product(ends, (TCP, UDP, SCTP), ((1, 2), (0, 2), (1, 0), (0, 0)))
    ]
    packets += [Packet(*ends[version], protocol) for version, protocol in product(ends, (2, 47, 50, 89, 253))]
    for (version, protocol), kind, code in product(((4, ICMP), (6, ICMP6)), range(256), (0, 1)):
        packets.append(Packet(*ends[version], protocol, icmp_type=kind, icmp_code=code))
    for packet in packets:
        switch.forget_connections()
        sent = switch.send(1, frame(packet, MACS["a"], MACS["b"], payload=bytes(40)))
        assert [port for port, _ in sent] == [2 if is_valid(packet) else 3], packet
