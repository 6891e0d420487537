"""A bursty day of several tenants: who shares what, what each is promised, what each wants hour by hour. Pure.

Three places are narrow. The uplink's queue tree divides it at packet time. Traffic between VIFs of one host, below an
inner egress limit, and what reaches VIFs, below an inner ingress limit, share no queue: only the loop divides these.
Rates are kbit/s of whole frames without FCS.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import count

from lab.plain_law import Claim, divided

UPLINK, LOCAL, INGRESS = "uplink", "local", "ingress"  # the narrow places
CAPACITY_KBPS = {UPLINK: 30_000, LOCAL: 15_000, INGRESS: 9_000}
LIMIT_KBPS = 20_000  # of every VIF
HOURS = 24
SINK = "sink"  # the VIF that local traffic goes to
_FIRST_PORT = 7101


@dataclass(frozen=True, slots=True)
class Tenant:
    """Equal VIFs. guarantee_kbps: of each of them; the tenant's own is their sum. weight: among the tenants of the
    place, whatever it has of VIFs.

    awake: the part of the hours in which one of them wants something, at night and by day. wants_kbps: then, the least
    and the most.
    """

    name: str
    place: str
    vifs: int
    guarantee_kbps: int
    weight: int
    awake: tuple[float, float]
    wants_kbps: tuple[int, int]

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(f"{self.name}{number}" for number in range(1, self.vifs + 1))


TENANTS = (
    Tenant("shop", UPLINK, 3, 4_000, 1, (0.3, 0.9), (1_500, 7_000)),
    Tenant("lab", UPLINK, 2, 3_000, 2, (0.5, 0.6), (2_500, 9_000)),
    Tenant("bulk", UPLINK, 2, 0, 1, (0.9, 0.4), (15_000, 20_000)),
    Tenant("render", LOCAL, 2, 3_500, 1, (0.4, 0.8), (2_500, 8_000)),
    Tenant("copy", LOCAL, 1, 0, 2, (0.8, 0.5), (12_000, 18_000)),
    Tenant("desk", INGRESS, 2, 2_500, 1, (0.5, 0.8), (1_500, 5_000)),
    Tenant("mirror", INGRESS, 1, 0, 1, (0.8, 0.5), (8_000, 12_000)),
)


@dataclass(frozen=True, slots=True)
class Flow:
    """All that one VIF sends, or of `INGRESS` is sent, told by the receiver's port."""

    vif: str
    tenant: Tenant
    port: int

    @property
    def place(self) -> str:
        return self.tenant.place

    @property
    def guarantee_kbps(self) -> int:
        return self.tenant.guarantee_kbps


def flows(tenants: Iterable[Tenant] = TENANTS) -> list[Flow]:
    ports = count(_FIRST_PORT)
    return [Flow(name, tenant, next(ports)) for tenant in tenants for name in tenant.names]


@dataclass(frozen=True, slots=True)
class Day:
    """Of each VIF what it wants in each hour. An hour lasts hour_s."""

    hour_s: float
    wanted_kbps: Mapping[str, Sequence[float]]

    @property
    def hours(self) -> int:
        return len(next(iter(self.wanted_kbps.values())))

    @property
    def duration_s(self) -> float:
        return self.hours * self.hour_s

    def steps(self, vif: str) -> list[tuple[float, float]]:
        """(seconds, kbit/s), one after the other."""
        return [(self.hour_s, kbps) for kbps in self.wanted_kbps[vif]]

    def at(self, hour: int) -> dict[str, float]:
        return {vif: wanted[hour] for vif, wanted in self.wanted_kbps.items()}


def day(seed: int, hour_s: float, tenants: Iterable[Tenant] = TENANTS) -> Day:
    """The same for the same seed. A VIF sleeps, wakes, and while it is awake wants now more and now less."""
    chance = random.Random(seed)
    return Day(hour_s, {name: list(_hours(tenant, chance)) for tenant in tenants for name in tenant.names})


def _hours(tenant: Tenant, chance: random.Random) -> Iterator[float]:
    wanted_kbps = 0.0
    for hour in range(HOURS):
        awake = tenant.awake[1 if 8 <= hour < 20 else 0]
        if chance.random() < 0.5:  # else it goes on as before
            is_awake = chance.random() < awake
            wanted_kbps = is_awake * chance.uniform(*tenant.wants_kbps)
        yield float(round(wanted_kbps))


def law(wanted_kbps: Mapping[str, float], tenants: Iterable[Tenant] = TENANTS) -> dict[str, float]:
    """What the policy's law gives each VIF that wants so much: the most that anybody could, knowing all demands."""
    found: dict[str, float] = {}
    for place, capacity_kbps in CAPACITY_KBPS.items():
        here = [one for one in tenants if one.place == place]
        below = [[_claim(one, wanted_kbps[name]) for name in one.names] for one in here]
        of_tenants = [
            Claim(sum(claim.wanted for claim in claims), one.guarantee_kbps * one.vifs, one.weight)
            for one, claims in zip(here, below, strict=True)
        ]
        for one, claims, kbps in zip(here, below, divided(capacity_kbps, of_tenants), strict=True):
            found |= zip(one.names, divided(kbps, claims), strict=True)
    return found


def _claim(tenant: Tenant, wanted_kbps: float) -> Claim:
    return Claim(min(wanted_kbps, LIMIT_KBPS), tenant.guarantee_kbps, 1)


def flooded(tenants: Iterable[Tenant] = TENANTS) -> dict[str, float]:
    """What each VIF gets when all want as much as they may."""
    tenants = tuple(tenants)
    return law({name: LIMIT_KBPS for tenant in tenants for name in tenant.names}, tenants)


def policy_text(uplink: str, subnet: str, local_subnet: str, tenants: Iterable[Tenant] = TENANTS) -> str:
    """The policy that promises it; `path_of` says where in it a tenant's VIFs are."""
    tenants = tuple(tenants)
    lines = [
        "weir: 1",
        "segments:",
        f"  lan: {{type: bridged, uplink: {uplink}, subnets: [{subnet}]}}",
        f"  yard: {{type: internal, subnets: [{local_subnet}]}}",
        f"links: {{{uplink}: {{capacity: {CAPACITY_KBPS[UPLINK]} kbit}}}}",
        "policies:",
        f"  {SINK}: {{unmatched: allow}}",
        *(f"  {one.name}: {_node(one)}" for one in tenants if one.place == UPLINK),
    ]
    for place in (LOCAL, INGRESS):
        lines.append(f"  {place}:")
        lines.append(f"    {_direction(place)}: {{limit: {CAPACITY_KBPS[place]} kbit}}")
        lines += ["    children:", *(f"      {one.name}: {_node(one)}" for one in tenants if one.place == place)]
    return "\n".join(lines) + "\n"


def path_of(tenant: Tenant) -> str:
    """The leaf of its VIFs."""
    return f"{tenant.name}/vif" if tenant.place == UPLINK else f"{tenant.place}/{tenant.name}/vif"


def _node(one: Tenant) -> str:
    way = _direction(one.place)
    above = f"{way}: {{guarantee: {one.guarantee_kbps * one.vifs} kbit, weight: {one.weight}}}"
    own = f"{way}: {{guarantee: {one.guarantee_kbps} kbit, limit: {LIMIT_KBPS} kbit}}"
    return f"{{unmatched: allow, {above}, children: {{vif: {{{own}}}}}}}"


def _direction(place: str) -> str:
    return "ingress" if place == INGRESS else "egress"
