"""A policy set and snapshots to try intents on."""

from __future__ import annotations

from dataclasses import replace

from ovsdb.rows import Chassis, Snapshot, VirtualInterface

POLICY = """\
weir: 1
segments:
  lab: {type: internal, subnets: [10.30.0.0/24, 'fd00:30::/64']}
  office: {type: bridged, uplink: eth1}
links:
  eth1: {capacity: 100 mbit}
policies:
  acme:
    unmatched: allow
    egress: {guarantee: 50 mbit}
    children:
      web: {egress: {guarantee: 20 mbit, limit: 30 mbit}, ingress: {limit: 40 mbit}}
      db:
        egress: {guarantee: 10 mbit}
        rules:
          - allow: {name: sql, direction: ingress, service: tcp/5432}
  free: {}
"""
FILES = {"policy.yaml": POLICY}


def vif(name: str, number: int, **changes: object) -> VirtualInterface:
    mac = f"02:00:00:00:{number >> 8:02x}:{number & 255:02x}"
    addresses = (f"10.30.0.{number % 250}/24",)
    return replace(VirtualInterface(name, number, "acme/web", "lab", "veth", mac, addresses, "h1"), **changes)


def world(*vifs: VirtualInterface, chassis: tuple[str, ...] = ("h1",), **changes: object) -> Snapshot:
    snapshot = Snapshot(
        cfg=5,
        policy_version=1,
        files=FILES,
        chassis={name: Chassis(name, "br-weir") for name in chassis},
        interfaces={vif.name: vif for vif in vifs},
    )
    return replace(snapshot, **changes)
