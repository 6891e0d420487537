"""What a pass wants DPDK to hold its ports to: changes are paid for, and a VIF of other classes starts anew."""

from __future__ import annotations

from collections.abc import Mapping

from controller.host.desired import Limits
from controller.host.kinds.kind import Made
from controller.host.policers import Policers
from controller.host.vif_states import VifInPass
from ovsdb.rows import VirtualInterface
from ovsdb.switch import PortConfig, PortStatus
from policies.parser import parse

FREE = {"": "weir: 1\npolicies: {acme: {unmatched: allow}}\nsegments: {front: {type: internal}}\n"}
TEXT = """\
weir: 1
segments: {front: {type: internal}}
classes: {gold: {dscp: ef, share: 50 %}, normal: {share: 50 %}}
policies: {acme: {rules: [allow: {service: udp/1, class: gold}], unmatched: allow}}
"""
PLAIN, DIVIDED = parse(FREE), parse({"": TEXT})
BURST = 200_000  # bytes: 200 ms of 8 Mbit/s


def vif(
    ingress_kbps: int | None = None, cpu: float | None = None, number: int = 1, kind: str = "vhost-user"
) -> VifInPass:
    made = Made(PortConfig(f"wu{number}"), is_policed=kind == "vhost-user", details={"queues": "1"})
    row = VirtualInterface(f"v{number}", number, "acme", "front", kind, "02:00:00:00:00:01", ())
    return VifInPass(row, made, Limits(ingress_kbps=ingress_kbps, cpu=cpu))


class Held:
    """One VIF, pass after pass."""

    def __init__(self) -> None:
        self._policers, self.now_s = Policers(), 0.0

    def figures(self, kbps: int | None, policies: object = PLAIN) -> tuple[int, int] | None:
        """Rate and burst, in bytes."""
        qos = self._policers.ports([vif(kbps)], policies, {}, "", self.now_s)["wu1"].qos  # type: ignore[arg-type]
        if qos is None:
            return None
        both = [int(qos.other_config.get(key, "0")) for key in ("cir", "eir", "cbs", "ebs")]
        return sum(both[:2]), sum(both[2:])


def kbps(rate: int) -> int:
    """As the policer counts."""
    return round(rate * 125 * 1500 / 1514)


def test_changes_in_a_row_get_small_bursts_until_the_whole_is_earned() -> None:
    one = Held()
    assert one.figures(8000) == (kbps(8000), BURST)
    assert one.figures(4000) == (kbps(4000), BURST // 2) and one.figures(2000) == (kbps(2000), BURST // 4)
    one.now_s = 0.5
    assert one.figures(1500) == (kbps(1500), 37_500)
    assert one.figures(1600) == (kbps(1600), 100 * 125)  # what there is left
    assert one.figures(8000) == (kbps(1600), 100 * 125)  # not even the least burst is earned
    one.now_s = 40.0
    assert one.figures(8000)[0] == kbps(8000)  # type: ignore[index]
    one.now_s = 80.0
    assert one.figures(8000) == (kbps(8000), BURST)


def test_other_classes_and_a_new_limit_start_with_a_whole_burst() -> None:
    one = Held()
    for rate in (8000, 4000, 8000):
        one.figures(rate)
    assert one.figures(8000, DIVIDED) == (kbps(8000), BURST)
    assert one.figures(None, DIVIDED) is None
    assert one.figures(8000, DIVIDED) == (kbps(8000), BURST)


def test_only_what_dpdk_polices_is_touched_and_pinned() -> None:
    present: Mapping[str, PortStatus] = {"wu2": PortStatus("wu2", rxq_affinity="0:2")}
    vifs = [vif(8000), vif(cpu=0.5, number=2), vif(8000, number=3, kind="tap")]
    ports = Policers().ports(vifs, PLAIN, present, "0x6", 0.0)
    assert ports.keys() == {"wu1", "wu2"}
    assert ports["wu1"].rxq_affinity is None and ports["wu2"] == PortConfig("wu2", rxq_affinity="0:2")
