"""Tenants that share an uplink: VIFs, traffic classes, what each is promised, what the law gives when all flood. Pure.

Rates are kbit/s of whole frames without FCS. Every VIF sends two flows, one a class, told by the receiver's port.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

CAPACITY_KBPS = 60_000
SHARES = {"fast": 0.4, "normal": 0.6}  # of a VIF's rate, by class
PORTS = {"fast": 0x1C00, "normal": 0x1D00}  # first of the class's ports, one a VIF
PORT_MASK = 0xFF00
FAST_DSCP = 46
QUIET = "quiet"  # a VIF of its own tenant that hardly sends while the others flood
QUIET_GUARANTEE_KBPS, QUIET_LIMIT_KBPS = 2_000, 20_000


@dataclass(frozen=True, slots=True)
class Tenant:
    """guarantee_kbps: of each of its VIFs; its own is their sum. weight: among the tenants, whatever it has of VIFs."""

    name: str
    weight: int
    vifs: int
    guarantee_kbps: int

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(f"{self.name}{number}" for number in range(1, self.vifs + 1))


@dataclass(frozen=True, slots=True)
class Flow:
    """What one VIF sends in one class. guarantee_kbps: its part of its VIF's. share_kbps: what the law gives it when
    all of the tenants flood and the quiet VIF leaves its own to them."""

    tenant: str
    vif: str
    number: int  # of the VIF, from 1 on
    kind: str  # class
    guarantee_kbps: float
    share_kbps: float

    @property
    def port(self) -> int:
        return PORTS[self.kind] + self.number

    @property
    def vif_kbps(self) -> float:
        """What the law gives to its VIF."""
        return self.share_kbps / SHARES[self.kind]


def flows(tenants: Sequence[Tenant], capacity_kbps: float = CAPACITY_KBPS) -> list[Flow]:
    return list(_flows(tenants, capacity_kbps))


def _flows(tenants: Sequence[Tenant], capacity_kbps: float) -> Iterator[Flow]:
    rest_kbps = capacity_kbps - sum(one.vifs * one.guarantee_kbps for one in tenants)
    weights, number = sum(one.weight for one in tenants), 0
    for tenant in tenants:
        more_kbps = rest_kbps * tenant.weight / weights / tenant.vifs
        for vif in tenant.names:
            number += 1
            for kind, share in SHARES.items():
                guarantee_kbps = share * tenant.guarantee_kbps
                yield Flow(tenant.name, vif, number, kind, guarantee_kbps, guarantee_kbps + share * more_kbps)


def policy_text(tenants: Sequence[Tenant], uplink: str, subnet: str, capacity_kbps: int = CAPACITY_KBPS) -> str:
    """The policy that promises it."""
    ports = f"udp/{PORTS['fast']}-{PORTS['fast'] | ~PORT_MASK & 0xFFFF}"
    rules = f"[allow: {{direction: egress, service: {ports}, class: fast}}, allow: {{}}]"
    lines = [
        "weir: 1",
        f"segments: {{lan: {{type: bridged, uplink: {uplink}, subnets: [{subnet}]}}}}",
        f"links: {{{uplink}: {{capacity: {capacity_kbps} kbit}}}}",
        f"classes: {{fast: {{dscp: ef, share: {SHARES['fast']:.0%}}}, normal: {{share: {SHARES['normal']:.0%}}}}}",
        "policies:",
        f"  {QUIET}:",
        f"    egress: {{guarantee: {QUIET_GUARANTEE_KBPS} kbit, limit: {QUIET_LIMIT_KBPS} kbit}}",
        f"    rules: {rules}",
    ]
    for one in tenants:
        lines += [
            f"  {one.name}:",
            f"    egress: {{guarantee: {one.vifs * one.guarantee_kbps} kbit, weight: {one.weight}}}",
            f"    children: {{vif: {{egress: {{guarantee: {one.guarantee_kbps} kbit}}, rules: {rules}}}}}",
        ]
    return "\n".join(lines) + "\n"
