"""What agent and controller tell each other every tick, and notes."""

from __future__ import annotations

import os
import socket
import subprocess

import pytest

from controller.host import planning
from controller.host.queue_sizes import LEAST_QUEUE_BYTES
from controller.stream.messages import Hello, HostSample, Message, Rates, decode, encode
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
            sample = wait_until(lambda: sampled(decode(lines.readline())), "samples of all three queues")
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


def sampled(message: Message) -> HostSample | None:
    if not isinstance(message, HostSample) or 7 not in message.vifs:
        return None
    queues = message.vifs[7]
    complete = queues.shaper and queues.uplink and queues.ingress
    return message if complete and queues.shaper and queues.shaper.sent_packets > 0 else None


def test_more_queues_than_the_send_buffer_takes_are_noted(host: Host) -> None:
    count = planning.send_buffer_bytes() // (2 * LEAST_QUEUE_BYTES) // 2 + 1  # each has two
    host.start()
    host.request(*(vif(f"web{number}", number) for number in range(1, count + 1)))
    note = wait_until(lambda: host.chassis().agent_note, "the note")
    assert "net.core.wmem_default=" in note
    wait_until(lambda: host.chassis().agent_error is None, "no error")
    host.request(delete=("web1",))
    wait_until(lambda: host.chassis().agent_note is None, "the note gone")
    assert host.log.read_text().count("net.core.wmem_default") == 1
