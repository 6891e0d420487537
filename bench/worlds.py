"""The networks that are measured: texts of policies, and rows of the Weir DB."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace

from controller.dataplane.macs import vif_mac
from controller.intent.numbering import renumber
from ovsdb.rows import Chassis, Snapshot, UserBinding, VirtualInterface
from policies.parser import parse

CHASSIS, BRIDGE, DATAPATH_ID = "h1", "br9999", "00000000000000b1"
FILE = "policy.yaml"
TENANTS = 10
_SYSTEM = "b0b0b0"  # of MACs
_STAFF = "{name: staff, direction: ingress, from: {group: staff}, service: tcp/22}"


def tree(leaves: int, rules: int, edit: int = 0) -> str:
    """TENANTS tenants at most, `leaves` leaves in all, so many rules in each. edit: the port of one rule, if not 0."""
    tenants = range(min(TENANTS, leaves))
    lines = ["weir: 1", "groups: {staff: [u0, u1, u2, u3]}", "segments:"]
    lines += [f"  s{tenant}: {{type: internal, subnets: [10.{tenant}.0.0/16]}}" for tenant in tenants]
    lines.append("policies:")
    for tenant in tenants:
        lines += [f"  t{tenant}:", "    mandatory:", f"      - allow: {_STAFF}", "    children:"]
        for leaf in range(tenant, leaves, TENANTS):
            lines += [f"      l{leaf}:", "        rules:", *_rules(leaf, rules, edit if leaf == 0 else 0)]
    return "\n".join(lines) + "\n"


def _rules(leaf: int, count: int, edit: int) -> Iterator[str]:
    for number in range(count):
        direction, end = (("ingress", "from"), ("egress", "to"))[number % 2]
        prefix = f"172.{16 + number % 16}.{(leaf + number // 16) % 256}.0/24"
        port = edit if edit and number == count // 2 else 1000 + number
        yield f"          - allow: {{name: r{number}, direction: {direction}, {end}: {prefix}, service: tcp/{port}}}"


def one_rule(members: int, services: int, prefixes: int) -> str:
    """One leaf, whose one rule lets a group reach services at prefixes; 0 members: a leaf without rules."""
    head = "weir: 1\nsegments: {s0: {type: internal, subnets: [10.0.0.0/16]}}\n"
    if not members:
        return f"{head}policies: {{t0: {{children: {{l0: {{}}}}}}}}\n"
    users = ", ".join(f"u{number}" for number in range(members))
    ports = ", ".join(f"tcp/{2001 + 2 * number}" for number in range(services))  # never two in a row, so no ranges
    places = ", ".join(f"172.{16 + number // 256}.{number % 256}.0/24" for number in range(0, 2 * prefixes, 2))
    rule = f"{{name: desk, direction: ingress, from: {{group: staff}}, to: [{places}], service: desk}}"
    return f"""{head}groups: {{staff: [{users}]}}
services: {{desk: [{ports}]}}
policies:
  t0:
    children:
      l0: {{rules: [allow: {rule}]}}
"""


def vif(number: int, leaves: int) -> VirtualInterface:
    """VIFs take the leaves in turn, and the OpenFlow port of their number."""
    leaf = number % leaves
    tenant = leaf % TENANTS
    address = f"10.{tenant}.{number >> 8}.{number & 0xFF}/16"
    mac = vif_mac(_SYSTEM, number)
    made = VirtualInterface(f"v{number}", number, f"t{tenant}/l{leaf}", f"s{tenant}", "port", mac, (address,), CHASSIS)
    return replace(made, state="ready", ofport=number)


def at_address(number: int) -> UserBinding:
    return UserBinding(f"u{number}", "", f"192.168.{number >> 8}.{number & 0xFF}", 0.0)


def at_vif(user: int, vif_number: int) -> UserBinding:
    return UserBinding(f"u{user}", f"v{vif_number}", "", 0.0)


def snapshot(text: str, vifs: Iterable[VirtualInterface], bindings: Iterable[UserBinding] = ()) -> Snapshot:
    numbers, _ = renumber(parse({FILE: text}), {}, {})
    return Snapshot(
        cfg=1,
        files={FILE: text},
        numbers=numbers,
        chassis={CHASSIS: Chassis(CHASSIS, BRIDGE, DATAPATH_ID)},
        interfaces={one.name: one for one in vifs},
        bindings=tuple(sorted(bindings)),
    )
