"""The tenants of a bursty day without Weir: a switch with a meter for each VIF, one for each inner limit, and a link.

What an operator can set on Open vSwitch once and leave alone. The uplink is a link of its capacity with one short queue
for all, as a network card has; nothing is guaranteed but by keeping the others' meters low.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from lab.bursty import CAPACITY_KBPS, INGRESS, LIMIT_KBPS, LOCAL, SINK, UPLINK, flooded, flows
from lab.bursty_figures import Rates, Record
from lab.bursty_run import Ends
from lab.by_hand import BRIDGE, OUTSIDE_ADDRESS, ByHand, mac_of
from lab.by_hand import UPLINK as DEVICE
from lab.other_ways import METER_BURST_S

_TABLES = {UPLINK: 1, LOCAL: 2, INGRESS: 3}  # of what is held together, after each VIF's own meter
_TOGETHER = 1000  # first meter of those
_LINK_QUEUE_BYTES = 60_000  # 16 ms; the socket of the switch holds it, so what others send is not lost for it


@contextmanager
def by_hand() -> Iterator[tuple[ByHand, Mapping[str, Ends]]]:
    """The topology; the ends by VIF. `hold` sets the meters. All is gone when the block ends. Raises LabError."""
    own = flows()
    with ByHand([*(flow.vif for flow in own), SINK]) as hand:
        ground = hand.ground
        sink = ground.vifs[SINK], f"10.1.0.{hand.numbers[SINK]}"
        ends = {}
        for flow in own:
            here = ground.vifs[flow.vif]
            if flow.place == INGRESS:
                ends[flow.vif] = Ends(ground.outside, here, f"10.1.0.{hand.numbers[flow.vif]}")
            else:
                ends[flow.vif] = Ends(here, *(sink if flow.place == LOCAL else (ground.outside, OUTSIDE_ADDRESS)))
        _prepare(hand)
        yield hand, ends


def _prepare(hand: ByHand) -> None:
    hand.ovs.vsctl("set", "port", DEVICE, "qos=@q", "--", "--id=@q", "create", "qos", "type=linux-noop")
    rate = ("rate", f"{CAPACITY_KBPS[UPLINK]}kbit", "burst", "6000", "limit", str(_LINK_QUEUE_BYTES))
    hand.tc("qdisc", "add", "dev", DEVICE, "root", "tbf", *rate)
    for place, table in _TABLES.items():
        meter = ""
        if place != UPLINK:  # there the link itself is what is narrow
            _set_meter(hand, "add-meter", _TOGETHER + table, CAPACITY_KBPS[place])
            meter = f"meter:{_TOGETHER + table},"
        hand.ovs.ofctl("add-flow", BRIDGE, f"table={table},actions={meter}NORMAL")
    for flow in flows():
        number = hand.numbers[flow.vif]
        _set_meter(hand, "add-meter", number, LIMIT_KBPS)
        match = f"in_port={hand.port_of(flow.vif)}"
        if flow.place == INGRESS:
            match = f"in_port={int(hand.ovs.vsctl('get', 'interface', DEVICE, 'ofport'))},dl_dst={mac_of(number)}"
        hand.ovs.ofctl(
            "add-flow", BRIDGE, f"priority=10,{match},actions=meter:{number},goto_table:{_TABLES[flow.place]}"
        )


def hold(hand: ByHand, limits_kbps: Rates) -> None:
    """Sets the meter of each VIF."""
    for vif, kbps in limits_kbps.items():
        _set_meter(hand, "mod-meter", hand.numbers[vif], kbps)


def _set_meter(hand: ByHand, how: str, meter: int, kbps: float) -> None:
    band = f"band=type=drop rate={round(kbps)} burst_size={round(kbps * METER_BURST_S)}"
    hand.ovs.ofctl(how, BRIDGE, f"meter={meter} kbps burst {band}")


def limits(factor: float) -> dict[str, float]:
    """So many times what each gets when all want as much as there is; 1: then nobody can take anything from anybody."""
    return {vif: min(LIMIT_KBPS, factor * kbps) for vif, kbps in flooded().items()}


def raised(record: Record, wanted: float) -> float:
    """The least factor at which meters reach this part of the optimum of the record's demands, on paper; 20 at most."""
    factors = (step / 10 for step in range(10, 200))
    return next((one for one in factors if record.utilisation(came=on_paper(record, one)) >= wanted), 20.0)


def on_paper(record: Record, factor: float) -> list[Rates]:
    """What came of the record's demands, had there been such meters: what together is too much is lost by all alike."""
    most = limits(factor)
    return [_passed(record, demand, most) for demand in record.demands]


def _passed(record: Record, demand: Rates, most: Rates) -> Rates:
    passed = {vif: min(kbps, most[vif]) for vif, kbps in demand.items()}
    for place in record.places:
        here = record.vifs(place)
        part = CAPACITY_KBPS[place] / max(CAPACITY_KBPS[place], sum(passed[vif] for vif in here))
        passed |= {vif: part * passed[vif] for vif in here}
    return passed
