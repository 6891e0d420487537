"""Routed segments of different sizes: who sends too much at once is told how much it may be, and kernels heed it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from lab.children import run, wait_until, within
from lab.outside import Outside
from lab.ping import answers
from lab.system import System
from lab.tcp import tcp_flow
from lab.udp import UdpReceiver, UdpSender

POLICY = """\
weir: 1
segments:
  front: {type: routed, subnets: [10.20.0.0/24, 'fd20::/64']}
  back: {type: routed, subnets: [10.21.0.0/24, 'fd21::/64'], mtu: 1300}
  edge: {type: routed, subnets: [10.22.0.0/24], uplink: wan, mtu: 1400, address: [172.16.0.2/24, 'fd16::2/64'],
         via: [172.16.0.1, 'fd16::1']}
policies:
  acme: {unmatched: allow}
"""
FRONT, BACK = ("10.20.0.2", "fd20::2"), ("10.21.0.2", "fd21::2")
BEHIND = ("172.17.0.1", "fd17::1")


@pytest.fixture(scope="module")
def system(policy: Path) -> Iterator[System]:
    with Outside() as outside, System(outside) as running:
        running.weir("up", "--uplink", "wan", "--policy", str(policy))
        outside.address("wan", "172.16.0.1/24", "fd16::1/64")
        for address in BEHIND:
            outside.run("ip", "address", "add", address, "dev", "lo")
        outside.run("ip", "route", "add", "10.0.0.0/8", "via", "172.16.0.2")
        outside.run("ip", "-6", "route", "add", "fd20::/12", "via", "fd16::2")
        for segment in ("front", "back"):
            running.create_vif(segment, "acme", segment)
        namespace = running.namespace_of("front")
        try:
            wait_until(lambda: all(answers(namespace, one, within_s=1) for one in (*BACK, *BEHIND)), "all is reached")
            yield running
        finally:
            print(running.logs())


def forget(namespace: str) -> None:
    """What its kernel has learned of paths."""
    for version in ("-4", "-6"):
        run(within(namespace, ["ip", version, "route", "flush", "cache"]))


@pytest.mark.parametrize(
    ("sender", "destination", "router", "most"),
    [
        ("front", BACK[0], "10.20.0.1", 1300),
        ("front", BACK[1], "fd20::1", 1300),
        ("front", BEHIND[0], "10.20.0.1", 1400),
        ("front", BEHIND[1], "fd20::1", 1400),
        ("outside", BACK[0], "172.16.0.2", 1300),
        ("outside", BACK[1], "fd16::2", 1300),
    ],
)
def test_a_sender_is_told_how_large_a_packet_may_be(
    system: System, sender: str, destination: str, router: str, most: int
) -> None:
    namespace = system.outside.name if sender == "outside" else system.namespace_of(sender)
    forget(namespace)
    headers = 48 if ":" in destination else 28
    fits = ["ping", "-n", "-c", "1", "-W", "5", "-M", "do", "-s", str(most - headers), destination]
    assert " 1 received" in run(within(namespace, fits), check=False)
    large = ["ping", "-n", "-c", "1", "-W", "5", "-M", "do", "-s", str(most - headers + 1), destination]
    said = run(within(namespace, large), check=False)
    assert re.search(rf"From {router} .*(Frag needed and DF set \(mtu = {most}\)|Packet too big: mtu={most})", said), (
        said
    )
    cached = run(within(namespace, ["ip", "route", "get", destination]))
    assert f"mtu {most}" in cached, cached


@pytest.mark.parametrize("destination", BACK)
def test_datagrams_that_are_too_large_come_in_fragments_once_their_sender_knows(
    system: System, destination: str
) -> None:
    forget(system.namespace_of("front"))
    receiver = UdpReceiver(system.namespace_of("back"), [7001])
    with receiver, UdpSender(system.namespace_of("front"), destination, 7001, 1440) as sender:
        sender.offer(500)
        wait_until(lambda: receiver.series(7001).frames > 10, "what is sent next arrives")


def test_tcp_goes_on_at_once(system: System) -> None:
    """It asks for no more than its other end takes, and the way outside is learned."""
    forget(system.namespace_of("front"))
    there = (system.outside.name, BEHIND[0], 5201)
    with tcp_flow(system.namespace_of("front"), there, "cubic", 2) as flow:
        assert flow.result().goodput_kbps > 5_000


def test_what_is_traced_fits(system: System) -> None:
    body = system.json("trace", f"front egress tcp {FRONT[0]}:1 > {BACK[0]}:2")
    assert (body["agrees"], body["passes"], body["reason"]) == (True, True, None)
    assert [output["name"] for output in body["switch"]["outputs"]] == ["VIF back"]
    body = system.json("trace", f"front egress tcp {FRONT[0]}:1 > {BEHIND[0]}:2")
    assert (body["agrees"], body["passes"], body["reason"]) == (True, True, None)
