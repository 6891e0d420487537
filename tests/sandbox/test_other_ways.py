"""What Weir is measured against, set on a real Open vSwitch: meters and classes are there as their names promise."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator, Sequence

import pytest

from lab import htb_by_hand, other_ways
from lab.by_hand import BRIDGE, UPLINK, ByHand
from lab.flows import meters
from lab.tenants import CAPACITY_KBPS, QUIET, QUIET_GUARANTEE_KBPS, QUIET_LIMIT_KBPS, Flow, Tenant, flows

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")

FLOWS = flows((Tenant("red", 1, 2, 12_000), Tenant("green", 2, 1, 9_000)))
NAMES = [*dict.fromkeys(one.vif for one in FLOWS), QUIET]
VIF_KBPS = {one.vif: one.vif_kbps for one in FLOWS} | {QUIET: QUIET_LIMIT_KBPS}
CLASS = re.compile(r"class htb (\S+) .*?rate (\S+)bit ceil (\S+)bit")


@pytest.fixture
def hand() -> Iterator[ByHand]:
    with ByHand(NAMES) as one:
        yield one


def classes_kbps(hand: ByHand) -> dict[str, tuple[float, float]]:
    """Rate and ceiling of each HTB class of the uplink."""
    shown = hand.ovs.run("tc", "class", "show", "dev", UPLINK)
    return {found[0]: (_kbps(found[1]), _kbps(found[2])) for found in CLASS.findall(shown)}


def _kbps(text: str) -> float:
    """Of what `tc` writes before `bit`, as in 12Mbit."""
    return float(text.rstrip("KMG")) * {"K": 1, "M": 1_000, "G": 1_000_000}.get(text[-1], 1e-3)


def steered(hand: ByHand) -> list[str]:
    """Classes that filters lead to."""
    return sorted(re.findall(r"flowid (\S+)", hand.ovs.run("tc", "filter", "show", "dev", UPLINK)))


@pytest.mark.parametrize(
    ("way", "burst_s"), [(other_ways.static_meters, other_ways.METER_BURST_S), (other_ways.libvirt_policing, 1.0)]
)
def test_each_vif_has_a_meter_of_its_rate_and_burst(
    hand: ByHand, way: Callable[[ByHand, Sequence[Flow]], None], burst_s: float
) -> None:
    way(hand, FLOWS)
    dump = hand.ovs.ofctl("dump-meters", BRIDGE)
    assert meters(dump) == {number: round(kbps) for number, kbps in enumerate(VIF_KBPS.values(), start=1)}
    bursts = [int(size) for size in re.findall(r"burst_size=(\d+)", dump)]
    assert sorted(bursts) == sorted(round(kbps * burst_s) for kbps in VIF_KBPS.values())
    entries = hand.ovs.ofctl("--no-stats", "dump-flows", BRIDGE)
    for number, vif in enumerate(VIF_KBPS, start=1):
        assert f"in_port=v{hand.numbers[vif]} " in entries or f"in_port={hand.port_of(vif)} " in entries
        assert f"meter:{number}," in entries


def test_open_vswitchs_own_classes_hold_guarantees_and_are_led_to(hand: ByHand) -> None:
    other_ways.linux_htb(hand, FLOWS)
    found = classes_kbps(hand)
    for number, one in enumerate(FLOWS, start=1):
        rate_kbps, most_kbps = found[f"1:{number + 1:x}"]
        assert rate_kbps == pytest.approx(one.guarantee_kbps, rel=0.01) and most_kbps == CAPACITY_KBPS
    quiet = f"1:{len(FLOWS) + 2:x}"
    assert found[quiet] == (QUIET_GUARANTEE_KBPS, QUIET_LIMIT_KBPS)
    assert steered(hand) == sorted([*(f"1:{number + 2:x}" for number in range(len(FLOWS))), quiet])


def test_classes_by_hand_hold_guarantees_at_every_level(hand: ByHand) -> None:
    htb_by_hand.shape(hand, FLOWS)
    found = classes_kbps(hand)
    leaves = steered(hand)
    assert len(leaves) == len(FLOWS) + 1 and set(leaves) <= found.keys()
    guaranteed_kbps = sum(found[leaf][0] for leaf in leaves)
    assert guaranteed_kbps == pytest.approx(sum(one.guarantee_kbps for one in FLOWS) + QUIET_GUARANTEE_KBPS, rel=0.01)
    assert found["1:101"][0] == pytest.approx(24_000, rel=0.01) and found["1:102"][0] == pytest.approx(9_000, rel=0.01)
