"""Packets between the VIFs of tests.support.bridges, as the flow interpreter takes them."""

from __future__ import annotations

from policies.semantics import Packet
from tests.support.bridges import UPLINK_OFPORT, Vif
from tests.support.flow_interpreter import FlowInterpreter, Sent
from tests.support.frames import ICMP, ICMP6, SCTP, TCP, UDP

OUTSIDE_MAC = 0x02FF00000001
_PORTS = {TCP: "tcp", UDP: "udp", SCTP: "sctp"}
_ICMP = {ICMP: "icmpv4", ICMP6: "icmpv6"}


def fields(packet: Packet) -> dict[str, int]:
    """Of its headers from IP on."""
    version = packet.source.version
    found = {
        "eth_type": 0x0800 if version == 4 else 0x86DD,
        f"ipv{version}_src": int(packet.source),
        f"ipv{version}_dst": int(packet.destination),
        "ip_proto": packet.protocol,
    }
    named = {
        **{f"{_PORTS.get(packet.protocol)}_src": packet.source_port},
        **{f"{_PORTS.get(packet.protocol)}_dst": packet.destination_port},
        **{f"{_ICMP.get(packet.protocol)}_type": packet.icmp_type},
        **{f"{_ICMP.get(packet.protocol)}_code": packet.icmp_code},
    }
    return found | {name: value for name, value in named.items() if value is not None}


def send(switch: FlowInterpreter, packet: Packet, source: Vif | None, target: Vif | None, dscp: int = 0) -> list[Sent]:
    """What leaves the switch. None: outside, untagged."""
    port = UPLINK_OFPORT if source is None else source.number
    return switch.send(port, **frame_fields(packet, source, target, dscp))


def frame_fields(packet: Packet, source: Vif | None, target: Vif | None, dscp: int = 0) -> dict[str, int]:
    macs = {"eth_src": mac_of(source), "eth_dst": mac_of(target)}
    return {**macs, "vlan_vid": 0, "ip_dscp": dscp, **fields(packet)}


def mac_of(vif: Vif | None) -> int:
    return OUTSIDE_MAC if vif is None else vif.mac


def back(packet: Packet) -> Packet:
    """The answer of TCP or UDP."""
    ports = packet.destination_port, packet.source_port
    return Packet(packet.destination, packet.source, packet.protocol, *ports)
