"""What Weir builds on in the kernel's datapath: meters, queues chosen by `set_queue`, and that the kernel acts.

On an emulated processor, which others may want as well: rates of a few Mbit/s, and UDP, which minds no loss.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import ExitStack

import pytest

from lab.children import run, wait_until, within
from lab.frames import UDP_HEADERS_BYTES, UDP_PAYLOAD_BYTES
from lab.private_ovs import PrivateOvs
from lab.udp import UdpReceiver, UdpSender
from tests.vm.support import await_handlers

SENDER, RECEIVER, ADDRESSES = "vm-a", "vm-b", {"vm-a": "10.0.0.1", "vm-b": "10.0.0.2"}
PORTS = (7001, 7002)
FLOOD_KBPS = 5_000
MEASURED_S = 4.0


@pytest.fixture(scope="module")
def switch() -> Iterator[PrivateOvs]:
    """Bridge br0 in the kernel with a veth to each namespace, named as that."""
    run(["modprobe", "openvswitch"])
    await_handlers()
    with PrivateOvs() as ovs:
        ovs.vsctl("add-br", "br0", "--", "set", "bridge", "br0", "protocols=OpenFlow13", "fail_mode=secure")
        for name, address in ADDRESSES.items():
            run(["ip", "netns", "add", name])
            peer = ["type", "veth", "peer", "name", "eth0", "netns", name]
            ovs.run("ip", "link", "add", name, *peer)
            ovs.run("ip", "link", "set", name, "up")
            run(within(name, ["ip", "address", "add", f"{address}/24", "dev", "eth0"]))
            run(within(name, ["ip", "link", "set", "eth0", "up"]))
            ovs.vsctl("add-port", "br0", name)
        try:
            yield ovs
        finally:
            for name in ADDRESSES:
                run(["ip", "netns", "delete", name], check=False)


@pytest.fixture(autouse=True)
def plain(switch: PrivateOvs) -> Iterator[None]:
    """Each test finds a switch that forwards, and leaves one."""
    switch.ofctl("add-flow", "br0", "priority=0,actions=NORMAL")
    yield
    switch.ofctl("del-flows", "br0")
    switch.ofctl("del-meters", "br0")
    switch.vsctl("clear", "port", RECEIVER, "qos")


def arrived(ports: Mapping[int, float]) -> dict[int, float]:
    """kbit/s that arrive at each port, of a flood of so many kbit/s to each."""
    with ExitStack() as ends:
        receiver = ends.enter_context(UdpReceiver(RECEIVER, list(ports)))
        for port, offered_kbps in ports.items():
            ends.enter_context(UdpSender(SENDER, ADDRESSES[RECEIVER], port)).offer(offered_kbps)
        receiver.measure(1.0)  # full buckets first
        return receiver.measure(MEASURED_S)


def test_frames_pass_in_the_kernel(switch: PrivateOvs) -> None:
    assert arrived({PORTS[0]: 2_000})[PORTS[0]] == pytest.approx(2_000, rel=0.15)
    flows = switch.appctl("dpctl/dump-flows", "system@ovs-system")
    counted = [int(found[1]) for found in re.finditer(r"packets:(\d+).*actions:(?!drop|userspace)", flows)]
    assert max(counted, default=0) > 100


def test_a_meter_holds_a_flood(switch: PrivateOvs) -> None:
    switch.ofctl("add-meter", "br0", "meter=1,kbps,burst,stats,bands=type=drop,rate=2000,burst_size=600")
    switch.ofctl("add-flow", "br0", f"priority=9,udp,tp_dst={PORTS[0]},actions=meter:1,NORMAL")
    assert arrived({PORTS[0]: FLOOD_KBPS})[PORTS[0]] == pytest.approx(2_000, rel=0.08)


def test_a_meter_of_packets_holds_a_flood(switch: PrivateOvs) -> None:
    switch.ofctl("add-meter", "br0", "meter=1,pktps,burst,stats,bands=type=drop,rate=100,burst_size=20")
    switch.ofctl("add-flow", "br0", f"priority=9,udp,tp_dst={PORTS[0]},actions=meter:1,NORMAL")
    frame_kbit = (UDP_PAYLOAD_BYTES + UDP_HEADERS_BYTES) * 8e-3
    # a guest that stands still for longer than the burst lasts sends nothing meanwhile, and it is lost to the meter
    assert 0.8 * 100 * frame_kbit <= arrived({PORTS[0]: 3 * 100 * frame_kbit})[PORTS[0]] <= 1.08 * 100 * frame_kbit


def test_a_meter_has_one_band_and_only_drops(switch: PrivateOvs) -> None:
    features = switch.ofctl("meter-features", "br0")
    assert "max_bands:1" in features and "band_types: drop" in features


def test_set_queue_chooses_the_class(switch: PrivateOvs) -> None:
    queues = [f"--id=@q{n}" for n in (0, 1)]
    switch.vsctl(
        *("set", "port", RECEIVER, "qos=@qos", "--", "--id=@qos", "create", "qos", "type=linux-htb"),
        *("other-config:max-rate=50000000", "queues:0=@q0", "queues:1=@q1"),
        *("--", queues[0], "create", "queue", "other-config:max-rate=500000"),
        *("--", queues[1], "create", "queue", "other-config:max-rate=1500000"),
    )
    for number, port in enumerate(PORTS):
        switch.ofctl("add-flow", "br0", f"priority=9,udp,tp_dst={port},actions=set_queue:{number},NORMAL")
    wait_until(lambda: "class htb 1:2" in switch.run("tc", "class", "show", "dev", RECEIVER), "the classes are there")
    rates = arrived({PORTS[0]: 1_000, PORTS[1]: 2_500})
    assert rates[PORTS[0]] == pytest.approx(500, rel=0.1)
    assert rates[PORTS[1]] == pytest.approx(1_500, rel=0.1)


def test_offloads_may_stay_on(switch: PrivateOvs) -> None:
    """TCP of two stacks that leave segmentation and checksums to others arrives, in super-packets."""
    run(within(SENDER, ["ethtool", "-K", "eth0", "tx", "on", "tso", "on"]))
    switch.ofctl("add-flow", "br0", "priority=9,tcp,actions=NORMAL")
    server = ["iperf3", "--server", "--daemon", "--one-off", "--pidfile", "/tmp/vm-iperf3"]
    run(within(RECEIVER, server))
    wait_until(lambda: ":5201 " in run(within(RECEIVER, ["ss", "-ltn"])), "iperf3 listens")
    run(within(SENDER, ["iperf3", "--client", ADDRESSES[RECEIVER], "--bytes", "10M"]))

    def passed() -> tuple[int, int] | None:
        """Packets and bytes, which the switch tells late."""
        found = re.search(r"n_packets=(\d+), n_bytes=(\d+)[^\n]*tcp", switch.ofctl("dump-flows", "br0"))
        return (int(found[1]), int(found[2])) if found and int(found[2]) > 10_000_000 else None

    packets, size_bytes = wait_until(passed, "all bytes are counted") or (1, 0)
    assert size_bytes / packets > 1600  # no frame of this link is as large
