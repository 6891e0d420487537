"""What keeps its promises at packet time: Weir, and what else an operator can set, on the same topology in one run.

Six VIFs of three tenants, two traffic classes each, flood an uplink of 60 Mbit/s, one contender after the other. A
quiet VIF asks for echoes; then that VIF, limited to 20 Mbit/s, sends by TCP alone.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from math import isfinite
from statistics import median

from lab import htb_by_hand, other_ways
from lab.by_hand import ByHand
from lab.frames import TCP_FRAME_BYTES, jain, tcp_frame_kbps
from lab.tcp import TcpFlow, has_congestion_control, tcp_flow
from lab.tenant_floods import Ground, Outcome, flood
from lab.tenant_site import by_weir
from lab.tenants import CAPACITY_KBPS, QUIET, QUIET_LIMIT_KBPS, Flow, Tenant, flows

ROUNDS, FLOOD_S, TCP_S = 3, 5.0, 4
TCP_PORT = 5201
CONGESTIONS = ("cubic", "bbr")
TENANTS = (Tenant("red", 1, 2, 12_000), Tenant("green", 2, 2, 9_000), Tenant("blue", 3, 2, 5_000))
FLOWS = flows(TENANTS)
WEIR, LIMIT = "Weir", "HTB classes by hand: the limit"
OTHERS: dict[str, Callable[[ByHand, Sequence[Flow]], None]] = {
    "static meters, burst 0.1 s": other_ways.static_meters,
    "libvirt-style policing, burst 1 s (a meter for act_police)": other_ways.libvirt_policing,
    "Open vSwitch's linux-htb, steered by u32": other_ways.linux_htb,
    LIMIT: htb_by_hand.shape,
}
# how much worse than the limit Weir may be
WORSE = 1.10
RESOLUTION_MS = TCP_FRAME_BYTES * 8 / CAPACITY_KBPS  # the frame that is on the wire: when an echo meets it is chance
LESS_USED, LESS_TCP, LESS_FAIR = 0.02, 0.05, 0.01
LEAST_AGAIN, MORE_AGAIN = 0.001, 0.005  # of the segments, sent again: one connection is one sample
FAR = 0.10  # from the law, as part of what it gives: of a class that may be 5 % off in a tenant that may be too


@dataclass(slots=True)
class Kept:
    """Of one contender. tcp: by congestion control."""

    name: str
    outcomes: list[Outcome] = field(default_factory=list)
    tcp: dict[str, TcpFlow] = field(default_factory=dict)

    def middle(self, figure: Callable[[Outcome], float]) -> float:
        """The median of the rounds."""
        return median(figure(one) for one in self.outcomes)

    @property
    def short(self) -> float:
        """Part of all windows of 100 ms that hold less than 97 % of their flow's guarantee."""
        return 1 - self.middle(lambda one: one.met)

    def echo_ms(self, part: float) -> float:
        return self.middle(lambda one: one.echoes.percentile_ms(part))

    @property
    def utilisation(self) -> float:
        return self.middle(lambda one: one.utilisation)

    def of_limit(self, congestion: str) -> float:
        """Frame rate of the TCP connection, of its limit."""
        return tcp_frame_kbps(self.tcp[congestion].goodput_kbps) / QUIET_LIMIT_KBPS

    def sent_again(self, congestion: str) -> float:
        """Retransmitted segments, of those that arrived."""
        one = self.tcp[congestion]
        return one.retransmits / (one.goodput_kbps * 125 * TCP_S / 1448)


def measure(say: Callable[[str], None]) -> list[Kept]:
    """The limit and Weir last. Raises LabError."""
    names = [*dict.fromkeys(one.vif for one in FLOWS), QUIET]
    with ExitStack() as ends:
        grounds: dict[str, Ground] = {}
        for name, shape in OTHERS.items():
            hand = ends.enter_context(ByHand(names))
            shape(hand, FLOWS)
            grounds[name] = hand.ground
        grounds[WEIR] = ends.enter_context(by_weir(TENANTS))
        found = {name: Kept(name) for name in grounds}
        for turn in range(1, ROUNDS + 1):
            say(f"three tenants flood an uplink, round {turn} of {ROUNDS} ...")
            for name, ground in grounds.items():
                found[name].outcomes.append(flood(ground, FLOWS, FLOOD_S))
        for congestion in filter(has_congestion_control, CONGESTIONS):
            say(f"a TCP connection at its limit, {congestion} ...")
            for name, ground in grounds.items():
                found[name].tcp[congestion] = _tcp(ground, congestion)
    return list(found.values())


def _tcp(ground: Ground, congestion: str) -> TcpFlow:
    with tcp_flow(ground.vifs[QUIET], (ground.outside, ground.address, TCP_PORT), congestion, TCP_S) as flow:
        return flow.result()


def fairness(outcome: Outcome) -> float:
    """Jain's index among the VIFs of a tenant, which are equals; of the tenant that fares worst."""
    found = []
    for tenant in TENANTS:
        found.append(jain(max(1e-9, sum(outcome.of_vif(vif).values())) for vif in tenant.names))
    return min(found)


def furthest(outcome: Outcome) -> float:
    """How far from what the law gives it the flow is that is furthest from it, as part of that."""
    return max(abs(outcome.kbps[one.port] / one.share_kbps - 1) for one in FLOWS)


def table(kept: Sequence[Kept]) -> str:
    """Markdown; nothing of nothing."""
    if not kept:
        return ""
    limit = next(one for one in kept if one.name == LIMIT)
    congestions = list(limit.tcp)
    heads = ["who", "windows short of a guarantee", "furthest from the law", "Jain among equals", "uplink used"]
    heads += ["echo p50", "echo p99", "p99 / limit's"]
    heads += [f"TCP {one}: frames / limit, sent again" for one in congestions]
    lines = ["### Promises kept under floods", "", f"| {' | '.join(heads)} |", "| --- " * len(heads) + "|"]
    for one in kept:
        cells = [one.name, f"{one.short:.1%}", f"{one.middle(furthest):.0%}", f"{one.middle(fairness):.3f}"]
        cells += [f"{one.utilisation:.1%}", _shown(one.echo_ms(0.5)), _shown(one.echo_ms(0.99))]
        ratio = one.echo_ms(0.99) / limit.echo_ms(0.99)
        cells.append(f"{ratio:.2f}" if isfinite(ratio) else "-")
        cells += [f"{one.of_limit(which):.1%}, {one.sent_again(which):.2%}" for which in congestions]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def _shown(echo_ms: float) -> str:
    return f"{echo_ms:.1f} ms" if isfinite(echo_ms) else "lost"


def faults(kept: Sequence[Kept]) -> list[str]:
    """Where Weir falls below what was made by hand, a sentence each; nothing of nothing."""
    if not kept:
        return []
    ours, limit = (next(one for one in kept if one.name == name) for name in (WEIR, LIMIT))
    wrong = []
    if 1 - ours.short < (1 - limit.short) / WORSE:
        wrong.append(f"guarantees: {ours.short:.1%} of the windows fall short, by hand {limit.short:.1%}.")
    ours_ms, limit_ms = ours.echo_ms(0.99), limit.echo_ms(0.99)
    if ours_ms > WORSE * limit_ms + RESOLUTION_MS:
        wrong.append(f"quiet VIF: p99 of its round trips {ours_ms:.1f} ms, by hand {limit_ms:.1f} ms.")
    if ours.utilisation < limit.utilisation - LESS_USED:
        wrong.append(f"uplink: {ours.utilisation:.1%} of it used, by hand {limit.utilisation:.1%}.")
    far, limit_far = ours.middle(furthest), limit.middle(furthest)
    if far > max(FAR, WORSE * limit_far):
        wrong.append(f"law: a flow is {far:.0%} from what it gives, by hand {limit_far:.0%}.")
    fair, limit_fair = ours.middle(fairness), limit.middle(fairness)
    if fair < limit_fair - LESS_FAIR:
        wrong.append(f"equals: Jain's index {fair:.3f} among those that fare worst, by hand {limit_fair:.3f}.")
    for which in ours.tcp:
        if ours.of_limit(which) < limit.of_limit(which) - LESS_TCP:
            wrong.append(f"TCP {which}: {ours.of_limit(which):.1%} of its limit, by hand {limit.of_limit(which):.1%}.")
        again, limit_again = ours.sent_again(which), limit.sent_again(which)
        if again > max(LEAST_AGAIN, limit_again) + MORE_AGAIN:
            wrong.append(f"TCP {which}: {again:.2%} of the segments sent again, by hand {limit_again:.2%}.")
    return [f"promises kept under floods: {one}" for one in wrong]
