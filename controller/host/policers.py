"""What DPDK shall hold the ports of a pass to, and which cores poll them. Pure but for what `Policers` remembers.

DPDK fills a policer's buckets whenever it is changed, as Open vSwitch does with meters; so changes follow the rule for
those (controller.reconcile.pace): what refills let through is earned before.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from controller.dataplane.entries import MeterBody
from controller.host.affinity import Polled, allocate, cores_of
from controller.host.class_queues import ClassShare
from controller.host.desired import class_shares, mtu
from controller.host.policer_plan import bucket, from_vif, least_burst_kbit, to_vif
from controller.host.vif_states import VifInPass
from controller.reconcile.pace import Paced, Pacing, paced
from ovsdb.switch import PortConfig, PortStatus, QosConfig
from policies.model import PolicySet


@dataclass(frozen=True, slots=True)
class _Place:
    """What the policers of one VIF are for: with other classes, or packets of another size, they are others."""

    number: int
    classes: tuple[ClassShare, ...]
    mtu: int


class Policers:
    """Those of one bridge. What is not yet as wanted becomes so with a later pass."""

    def __init__(self) -> None:
        self._held: dict[_Place, Paced] = {}

    def ports(
        self,
        vifs: Iterable[VifInPass],
        policies: PolicySet,
        present: Mapping[str, PortStatus],
        pmd_cpu_mask: str,
        now_s: float,
    ) -> dict[str, PortConfig]:
        """The ports of those VIFs that DPDK polices, by name. present: of the bridge, as the database has them."""
        policed = [one for one in vifs if one.made.is_policed and one.made.port is not None and one.limits is not None]
        classes = class_shares(policies, {one.vif.policy for one in policed})
        affinity = _affinity(policed, present, pmd_cpu_mask)
        found, held = {}, set[_Place]()
        for one in policed:
            assert one.made.port is not None and one.limits is not None
            place = _Place(one.vif.number, classes[one.vif.policy], mtu(one.vif, policies))
            wanted = bucket(one.limits, place.classes, place.mtu)
            if wanted is not None:
                held.add(place)
            found[one.made.port.name] = replace(
                one.made.port,
                qos=None if wanted is None else self._hold(wanted, place, now_s),
                policing=from_vif(one.limits),
                rxq_affinity=affinity.get(one.made.port.name),
            )
        self._held = {place: one for place, one in self._held.items() if place in held}
        return found

    def _hold(self, wanted: MeterBody, place: _Place, now_s: float) -> QosConfig:
        pacing = Pacing(is_shaped=False, least_kbit=least_burst_kbit(place.classes, place.mtu))
        now, _ = paced(self._held.get(place), wanted, pacing, now_s)
        self._held[place] = now
        assert isinstance(now.body, MeterBody)
        return to_vif(now.body, place.classes, place.mtu)


def _affinity(policed: Iterable[VifInPass], present: Mapping[str, PortStatus], pmd_cpu_mask: str) -> Mapping[str, str]:
    """By port, of those whose VIFs have a share of a core of DPDK's."""
    polled = {}
    for one in policed:
        cpu, queues = one.limits.cpu if one.limits is not None else None, one.made.details.get("queues")
        if one.port is not None and cpu is not None and queues is not None:
            before = present.get(one.port)
            polled[one.port] = Polled(int(queues), cpu, before.rxq_affinity if before is not None else None)
    return allocate(polled, cores_of(pmd_cpu_mask)) if polled else {}
