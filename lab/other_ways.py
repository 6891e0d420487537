"""What else an operator can set on Open vSwitch, userspace datapath, so that tenants share an uplink: other ways."""

from __future__ import annotations

from collections.abc import Sequence

from lab.by_hand import BRIDGE, UPLINK, ByHand
from lab.tenants import CAPACITY_KBPS, PORTS, QUIET, QUIET_GUARANTEE_KBPS, QUIET_LIMIT_KBPS, Flow

METER_BURST_S = 0.1  # at the rate; Open vSwitch's manual advises a tenth of a second for policing


def static_meters(hand: ByHand, flows: Sequence[Flow]) -> None:
    """A meter for each VIF at what it gets when all flood, whatever the others do."""
    _meters(hand, flows, METER_BURST_S)


def libvirt_policing(hand: ByHand, flows: Sequence[Flow]) -> None:
    """libvirt's `<outbound average=...>` polices what a port takes in, with a burst of one second where none is named.

    A meter of that rate and burst stands in for it, the same token bucket: act_police is not in every kernel.
    """
    _meters(hand, flows, 1.0)


def linux_htb(hand: ByHand, flows: Sequence[Flow]) -> None:
    """Open vSwitch's own linux-htb, a queue for each VIF and class at its guarantee; it is one level deep.

    set_queue chooses nothing on this datapath, so filters set by hand on Open vSwitch's qdisc choose its classes. It
    knows no weights, and keeps the kernel's own queue in each class.
    """
    wide = f"other_config:max-rate={CAPACITY_KBPS * 1000}"
    queues = [(one.guarantee_kbps, CAPACITY_KBPS) for one in flows] + [(QUIET_GUARANTEE_KBPS, QUIET_LIMIT_KBPS)]
    words = ["set", "port", UPLINK, "qos=@q", "--", "--id=@q", "create", "qos", "type=linux-htb", wide]
    words += [f"queues:{number}=@q{number}" for number in range(1, len(queues) + 1)]
    for number, (least_kbps, most_kbps) in enumerate(queues, start=1):
        rates = f"other_config:min-rate={round(least_kbps * 1000)}", f"other_config:max-rate={most_kbps * 1000}"
        words += ["--", f"--id=@q{number}", "create", "queue", *rates]
    hand.ovs.vsctl(*words)
    for number, one in enumerate(flows, start=1):
        hand.steer(one.vif, f"1:{number + 1:x}", PORTS[one.kind])  # queue N is class N + 1
    hand.steer(QUIET, f"1:{len(queues) + 1:x}")


def _meters(hand: ByHand, flows: Sequence[Flow], burst_s: float) -> None:
    rates = {one.vif: one.vif_kbps for one in flows} | {QUIET: QUIET_LIMIT_KBPS}
    for meter, (vif, kbps) in enumerate(rates.items(), start=1):
        band = f"band=type=drop rate={round(kbps)} burst_size={round(kbps * burst_s)}"
        hand.ovs.ofctl("add-meter", BRIDGE, f"meter={meter} kbps burst {band}")
        hand.ovs.ofctl("add-flow", BRIDGE, f"priority=10,in_port={hand.port_of(vif)},actions=meter:{meter},NORMAL")
