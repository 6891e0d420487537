"""What agent and controller tell each other every tick, and notes."""

from __future__ import annotations

import os
import socket
import subprocess
from collections.abc import Iterable, Iterator

import pytest

from controller.host.queue_sizes import FRAME_BYTES, LEAST_FRAMES
from controller.host.send_buffer import new_socket_bytes
from controller.stream.messages import Hello, HostSample, Rates, decode, encode, whole
from policies.buffers import cost_bytes
from tests.support.agent_host import Host, inside, vif
from tests.support.ovs_sandbox import wait_until

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")


def test_samples_go_up_and_rates_come_down(host: Host) -> None:
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(host.config.state.stream_socket))
        listener.listen()
        listener.settimeout(20)
        host.start()
        host.request(vif("web1", 7))
        host.await_state("web1", "ready")
        name = f"{host.ovs.namespace}-web1"
        subprocess.run(
            ["ip", "netns", "exec", name, "ping", "-c", "2", "-i", "0.2", "-w", "1", "10.9.0.99"], check=False
        )
        connection, _ = listener.accept()
        with connection, connection.makefile("rb") as lines:
            connection.settimeout(20)
            assert decode(lines.readline()) == Hello("h1")
            samples = whole_samples(lines)
            sample = wait_until(lambda: sampled(next(samples)), "samples of all three queues")
            assert 7 in sample.vifs
            connection.sendall(encode(Rates({7: 5000}, {7: 6000})))
            wait_until(lambda: "rate 5Mbit" in inside(name, "tc", "qdisc", "show", "dev", "eth0"), "shaper lowered")
            wait_until(lambda: "ceil 6Mbit" in host.ovs.run("tc", "class", "show", "dev", "wv7"), "ingress lowered")
            connection.sendall(encode(Rates()))
            wait_until(lambda: "rate 20Mbit" in inside(name, "tc", "qdisc", "show", "dev", "eth0"), "shaper restored")
            connection.sendall(encode(Rates({7: 5000}, {})))
            wait_until(lambda: "rate 5Mbit" in inside(name, "tc", "qdisc", "show", "dev", "eth0"), "shaper lowered")
    wait_until(
        lambda: "rate 20Mbit" in inside(name, "tc", "qdisc", "show", "dev", "eth0"), "policy limit without controller"
    )


def whole_samples(lines: Iterable[bytes]) -> Iterator[HostSample]:
    last = None
    for line in lines:
        message = decode(line)
        if isinstance(message, HostSample):
            last = whole(message, last)
            yield last


def sampled(sample: HostSample) -> HostSample | None:
    if 7 not in sample.vifs:
        return None
    queues = sample.vifs[7]
    complete = queues.shaper and queues.uplink and queues.ingress
    return sample if complete and queues.shaper and queues.shaper.sent_packets > 0 else None


def test_more_queues_than_the_send_buffer_takes_are_noted(host: Host) -> None:
    fit = new_socket_bytes() // (LEAST_FRAMES * cost_bytes(FRAME_BYTES))
    count = (fit - 1) // 2 + 1  # each has two queues; one is of the uplink
    host.start()
    host.request(*(vif(f"web{number}", number) for number in range(1, count + 1)))
    wait_until(lambda: "may take" in (host.chassis().agent_note or ""), "the note")
    wait_until(lambda: host.chassis().agent_error is None, "no error")
    host.request(delete=("web1",))
    wait_until(lambda: "queues hold as little as 3 frames" in (host.chassis().agent_note or ""), "another note")
    assert host.log.read_text().count("Start the system with weir up --raise-buffers") == 1
