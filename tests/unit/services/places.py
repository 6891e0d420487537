"""A bridge with segments of every kind, to serve VIFs on."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address, ip_address, ip_interface

from controller.compiler.bridge import Bridge, BridgeSegment, BridgeVif, Gateway, RemoteVif, WayOut
from controller.services.place import Place
from controller.services.terms import Terms
from policies.parser import parse

POLICY = """
weir: 1
segments:
  routed: {type: routed, subnets: [10.1.0.0/24, fd01::/64], uplink: up0, vlan: 7,
           address: [192.0.2.2/24, 2001:db8::2/64], via: [192.0.2.1, 2001:db8::1]}
  internal: {type: internal, subnets: [10.2.0.0/24, fd02::/64]}
  outside: {type: bridged, uplink: up0}
policies:
  acme: {}
"""
GATEWAY_MAC, WAY_OUT_MAC, OUTSIDE_MAC = 0x02AA_BBCC_0000, 0x06AA_BBCC_1234, 0x0200_0000_9999
UPLINK = 9
NUMBERS = {"routed": 1, "internal": 2, "outside": 3}
DNS = ip_address("10.1.0.53"), ip_address("fd01::53")


def mac_of(number: int) -> int:
    return 0x02AA_BBCC_0000 | number


def vif(number: int, segment: str, *addresses: str) -> BridgeVif:
    found = tuple(map(ip_interface, addresses))
    return BridgeVif(number, 100 + number, mac_of(number), found, segment, "acme", is_served=segment != "outside")


ROUTED = vif(1, "routed", "10.1.0.5/24", "fd01::5/64")
INTERNAL = vif(2, "internal", "10.2.0.5/24", "fd02::5/64")
LEARNING = vif(3, "outside")


def place(answers: bool = True, mtu: int = 1400) -> Place:
    gateways = tuple(Gateway(ip_interface(text), GATEWAY_MAC) for text in ("10.1.0.1/24", "fd01::1/64"))
    outside = tuple(map(ip_interface, ("192.0.2.2/24", "2001:db8::2/64")))
    via = ip_address("192.0.2.1"), ip_address("2001:db8::1")
    way_out = WayOut(outside, via, WAY_OUT_MAC, answers)
    segments = {
        "routed": BridgeSegment(1, (UPLINK,), 7, gateways=gateways, way_out=way_out, mtu=mtu),
        "internal": BridgeSegment(2),
        "outside": BridgeSegment(3, (UPLINK,), learns=True),
    }
    remote = RemoteVif(8, (ip_interface("10.1.0.8/24"), ip_interface("fd01::8/64")), "routed", None, 0)
    bridge = Bridge((ROUTED, INTERNAL, LEARNING), segments, parse({"p.yaml": POLICY}), remote=(remote,))
    return Place(bridge, GATEWAY_MAC)


ROUTED_TERMS = Terms(
    mac=mac_of(1),
    router_mac=GATEWAY_MAC,
    address4=ip_interface("10.1.0.5/24"),
    gateway4=IPv4Address("10.1.0.1"),
    addresses6=(ip_interface("fd01::5/64"),),
    prefixes6=(ip_interface("fd01::/64").network,),
    has_gateway6=True,
    dns4=(IPv4Address("10.1.0.53"),),
    dns6=(IPv6Address("fd01::53"),),
    mtu=1400,
)
INTERNAL_TERMS = Terms(
    mac=mac_of(2),
    router_mac=GATEWAY_MAC,
    address4=ip_interface("10.2.0.5/24"),
    addresses6=(ip_interface("fd02::5/64"),),
    prefixes6=(ip_interface("fd02::/64").network,),
)
