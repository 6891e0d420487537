"""A broadcast reaches as many VIFs of a segment on one bridge as there may be, whatever it is."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from controller.compiler.compile import compile_bridge
from controller.compiler.forward import MOST_IN_SEGMENT
from controller.dataplane.macs import link_local
from controller.dataplane.pipeline import OUTPUT
from controller.dataplane.protocols import ETH_ARP, ETH_IPV4, ETH_IPV6, ICMP6, UDP
from tests.support.bridges import Vif, bridge
from tests.support.dummy_switch import DummySwitch

POLICY = """
weir: 1
segments: {s: {type: internal}}
classes: {fast: {dscp: ef, share: 30 %}, normal: {dscp: cs1, share: 60 %}}
policies:
  crowd: {unmatched: allow, rules: [{allow: {name: marked, class: fast, service: tcp/81}}]}
"""
VIFS = [Vif(n, "crowd", (f"10.0.{n >> 8}.{n & 255}/16",)) for n in range(1, MOST_IN_SEGMENT + 1)]
SENDER = VIFS[0]
ADDRESS = 0x0A000001
FRAMES = {
    "arp": {
        "eth_dst": (1 << 48) - 1, "eth_type": ETH_ARP, "arp_op": 1, "arp_sha": SENDER.mac, "arp_spa": ADDRESS,
        "arp_tpa": ADDRESS + 1,
    },
    "mld": {
        "eth_dst": 0x333300000016, "eth_type": ETH_IPV6, "ip_proto": ICMP6, "icmpv6_type": 143,
        "ipv6_src": link_local(SENDER.mac), "ipv6_dst": 0xFF02 << 112 | 0x16,
    },
    "judged": {
        "eth_dst": (1 << 48) - 1, "eth_type": ETH_IPV4, "ip_proto": UDP, "udp_src": 1, "udp_dst": 2,
        "ipv4_src": ADDRESS, "ipv4_dst": 0x0A00FFFF,
    },
}  # fmt: skip


@pytest.fixture(scope="module")
def switch() -> Iterator[DummySwitch]:
    with DummySwitch((1, 2)) as one:
        one.hold(compile_bridge(bridge(POLICY, *VIFS)))
        yield one


@pytest.mark.parametrize("kind", FRAMES)
def test_everybody_else_gets_a_copy(switch: DummySwitch, kind: str) -> None:
    trace = switch.trace(SENDER.number, {"eth_src": SENDER.mac, **FRAMES[kind]}, ("trk,new",) * (MOST_IN_SEGMENT + 9))
    words = {word for step in trace.steps if step.table == OUTPUT.id for word in step.actions}
    assert {f"output:{vif.number}" for vif in VIFS[1:]} <= words
