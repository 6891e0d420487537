"""Packets that a real Open vSwitch sends up, and the answers that a real kernel gets for those that are rejected."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator

import pytest

from controller.dataplane.actions import Action, Clone, Conntrack, Controller, Instructions, Output, SetField
from controller.dataplane.cookies import CookieKind, encode, with_vif
from controller.dataplane.entries import FlowBody, FlowKey, PacketMeterBody, SwitchState
from controller.dataplane.match import match
from controller.openflow.punts import Punt
from tests.support import frames
from tests.support.ovs_sandbox import PrivateOvs, wait_until
from tests.support.probed_switch import BRIDGE, COOKIE, SWITCH, ProbedSwitch, probed, probed_switch

IP, IPV6 = 0x0800, 0x86DD
REJECT = encode(CookieKind.VERDICT, with_vif(9, 1))
COPIES, PLENTY = 70_000, 70_001
HERE_MAC, THERE_MAC = "02:00:00:00:00:01", "02:00:00:00:00:02"
HERE, THERE = ("10.0.0.1", "fd00::1"), ("10.0.0.2", "fd00::2")
FRAME = frames.ether(HERE_MAC, THERE_MAC, IP, frames.ipv4("10.0.0.1", "10.0.0.2", frames.UDP, frames.udp(5, 6)))
LONG = frames.ether(HERE_MAC, THERE_MAC, IP, frames.ipv4("10.0.0.1", "10.0.0.2", 99, b"x" * 1400))


@pytest.fixture(scope="module")
def connected() -> Iterator[ProbedSwitch]:
    """A dummy datapath: frames are played into its ports."""
    with probed_switch() as switch:
        switch.ovs.vsctl("add-port", BRIDGE, "p2", "--", "set", "interface", "p2", "ofport_request=2")
        yield switch


@pytest.fixture
def switch(connected: ProbedSwitch) -> ProbedSwitch:
    connected.clear()
    connected.probe.sent_up()
    return connected


@pytest.fixture(scope="module")
def instance() -> Iterator[ProbedSwitch]:
    """The kernel of the switch's namespace has eth0, behind port 1, and rejected is whatever it sends."""
    with PrivateOvs() as ovs:
        for argv in (
            "link add p1 type veth peer name eth0",
            "link set p1 up",
            f"link set eth0 address {HERE_MAC} up",
            f"address add {HERE[0]}/24 dev eth0",
            f"address add {HERE[1]}/64 dev eth0 nodad",
            *(f"neighbour add {address} lladdr {THERE_MAC} dev eth0" for address in THERE),
        ):
            ovs.run("ip", *argv.split())
        ovs.run("ethtool", "-K", "eth0", "tx", "off")
        with probed(ovs) as switch:
            entry = FlowBody(REJECT, Instructions(apply=(Controller(1500, PLENTY),)))
            ip = {FlowKey(0, 1, match(in_port=1, eth_type=eth_type)): entry for eth_type in (IP, IPV6)}
            switch.become(SwitchState(ip, {PLENTY: PacketMeterBody(100_000, 100_000)}))
            yield switch


def copying(*before: Action, copy: Controller) -> SwitchState:
    """IP goes through connection tracking, then to port 2, its copies to the controller."""
    apply = (*before, Clone((SetField("reg10", 9), copy)), SetField("reg10", 0), Output(2))
    flows = {
        FlowKey(0, 1, match(eth_type=IP)): FlowBody(
            COOKIE, Instructions(apply=(SetField("reg0", 5), SetField("reg15", 0xFFFFFFFF), Conntrack("reg0", 32)))
        ),
        FlowKey(32, 1, match(eth_type=IP)): FlowBody(REJECT, Instructions(apply=apply)),
    }
    return SwitchState(flows, {COPIES: PacketMeterBody(1, 3), PLENTY: PacketMeterBody(100_000, 100_000)})


def arrive(switch: ProbedSwitch, frame: bytes, times: int = 1) -> None:
    """At port 1, as from outside."""
    for _ in range(times):
        switch.ovs.appctl("netdev-dummy/receive", "p1", frame.hex())


def sent_up(switch: ProbedSwitch, count: int) -> list[Punt]:
    found: list[Punt] = []
    wait_until(lambda: found.extend(switch.probe.sent_up()) or len(found) >= count, f"{count} packets are sent up")
    return found


def passed(switch: ProbedSwitch) -> int:
    return int(switch.probe.counters(SWITCH).ports[2].tx_packets)


def test_a_packet_comes_up_with_what_the_switch_knows_of_it(switch: ProbedSwitch) -> None:
    """By the slow path, and then by the datapath's own entries."""
    switch.become(copying(SetField("reg6", 9), copy=Controller(65535, PLENTY)))
    registers = {"reg0": 5, "reg6": 9, "reg10": 9, "reg15": 0xFFFFFFFF}
    arrive(switch, FRAME, times=3)
    assert sent_up(switch, 3) == [Punt(SWITCH, REJECT, 32, 1, registers, FRAME)] * 3


@pytest.mark.parametrize("max_bytes", [128, 1500, 65535])
def test_of_a_long_packet_comes_as_much_as_was_asked_for(switch: ProbedSwitch, max_bytes: int) -> None:
    switch.become(copying(copy=Controller(max_bytes, PLENTY)))
    arrive(switch, LONG)
    (punt,) = sent_up(switch, 1)
    assert LONG.startswith(punt.frame) and len(punt.frame) >= min(max_bytes, len(LONG))


def test_a_meter_bounds_the_copies_and_not_the_packets(switch: ProbedSwitch) -> None:
    switch.become(copying(copy=Controller(65535, COPIES)))
    before = passed(switch)
    arrive(switch, FRAME, times=50)
    wait_until(lambda: passed(switch) - before == 50, "all packets pass")
    meters = {
        line.split()[0]: line for line in switch.ovs.ofctl("meter-stats", BRIDGE).splitlines() if "meter:" in line
    }
    assert "packet_in_count:50" in meters[f"meter:{COPIES}"]
    assert 3 <= len(sent_up(switch, 3)) < 50


def test_copies_have_their_own_meter_after_somebody_deleted_it(switch: ProbedSwitch) -> None:
    """Open vSwitch does not delete the entry with the meter, and the entry does not find a new one of the same id."""
    wanted = copying(copy=Controller(65535, COPIES))
    switch.become(wanted)
    arrive(switch, FRAME)
    switch.ovs.ofctl("del-meter", BRIDGE, f"meter={COPIES}")
    switch.ovs.ofctl("add-meter", BRIDGE, "meter=250000,pktps,stats,band=type=drop,rate=1")  # takes its place
    switch.become(wanted)
    arrive(switch, FRAME)
    counted = switch.ovs.ofctl("meter-stats", BRIDGE)
    assert f"meter:{COPIES} flow_count:0 packet_in_count:1 " in counted
    assert "meter:250000 flow_count:0 packet_in_count:0 " in counted


def test_a_packet_that_anothers_entry_sends_up_is_not_told(switch: ProbedSwitch) -> None:
    switch.ovs.ofctl("add-flow", BRIDGE, "cookie=0x77,priority=0,actions=controller")
    arrive(switch, FRAME)
    switch.become(copying(copy=Controller(65535, PLENTY)))
    arrive(switch, FRAME)
    assert [punt.cookie for punt in sent_up(switch, 1)] == [REJECT]


def test_a_frame_is_sent_down(switch: ProbedSwitch) -> None:
    before = passed(switch)
    switch.probe.packet_out(SWITCH, 2, FRAME)
    switch.probe.packet_out(SWITCH, 77, FRAME)  # no such port: nobody learns of it
    wait_until(lambda: passed(switch) - before == 1, "the frame leaves the port")


TRY = """
import errno, json, socket, sys

def fault(action):
    try:
        action()
    except OSError as error:
        return errno.errorcode.get(error.errno, str(error))

def connect():
    tcp.connect((address, 80))

def exchange():
    udp.connect((address, 53))
    udp.send(b"question" * 200)
    udp.recv(1)

address = sys.argv[1]
family = socket.AF_INET6 if ":" in address else socket.AF_INET
tcp, udp = socket.socket(family, socket.SOCK_STREAM), socket.socket(family, socket.SOCK_DGRAM)
tcp.settimeout(10)
udp.settimeout(10)
print(json.dumps([fault(connect), fault(exchange)]))
"""


@pytest.mark.parametrize(
    ("address", "errors"),
    [(THERE[0], ["ECONNREFUSED", "EHOSTUNREACH"]), (THERE[1], ["ECONNREFUSED", "EACCES"])],
)
def test_a_kernel_believes_the_answers(instance: ProbedSwitch, address: str, errors: list[str]) -> None:
    assert json.loads(instance.ovs.run(sys.executable, "-c", TRY, address)) == errors


@pytest.mark.parametrize(
    ("address", "words"), [(THERE[0], "Packet filtered"), (THERE[1], "Administratively prohibited")]
)
def test_ping_names_the_reason(instance: ProbedSwitch, address: str, words: str) -> None:
    assert words in instance.ovs.run("ping", "-c1", "-W5", "-n", address, check=False)
