"""The scenes of the demo: each makes traffic, shows it, and returns what it claims."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path

from demo.claims import Claim, at_least, at_most_s, mbit, near, none_of
from demo.view import Watch, say, scene
from lab.attempts import attempt
from lab.children import LabError
from lab.flows import changed
from lab.ping import answers, pinging
from lab.site import Site
from lab.tcp import has_congestion_control, listening, tcp_flow
from lab.udp import UdpReceiver, UdpSender

HERE = Path(__file__).resolve().parent
CAPACITY_KBPS = 100_000
PORT = {"red1": 7001, "green1": 7002, "blue1": 7003, "blue2": 7004}
LEAF = {"red1": "red", "green1": "green", "blue1": "blue/front", "blue2": "blue/batch"}
LIMIT_KBPS = {"red1": 70_000, "green1": 60_000, "blue1": 25_000, "blue2": 25_000}
GUARANTEE_KBPS = {"red1": 30_000, "green1": 15_000, "blue1": 10_000}  # blue1 alone has all of blue's
WEIGHT = {"red1": 1, "green1": 3, "blue1": 1}
CHANGED_GREEN_KBPS = 25_000
BLUE_KBPS = 30_000  # the tenant's limit
ORDERS = 8443  # a port of stock1
FLOOD = 1.3  # times the limit
SETTLING_S = 1.5
TICKS_S = 3.0  # what the loop and the queues are given to settle after a change


def shares(active: tuple[str, ...], limits: Mapping[str, int]) -> dict[str, float]:
    """The policy's law for this one level: guarantee plus weighted part of the rest, none above its limit."""
    got = {vif: float(min(GUARANTEE_KBPS[vif], limits[vif])) for vif in active}
    open_ = [vif for vif in active if got[vif] < limits[vif]]
    while open_ and (rest := CAPACITY_KBPS - sum(got.values())) > 1e-6:
        level = min(rest / sum(WEIGHT[vif] for vif in open_), *((limits[v] - got[v]) / WEIGHT[v] for v in open_))
        for vif in open_:
            got[vif] += level * WEIGHT[vif]
        open_ = [vif for vif in open_ if limits[vif] - got[vif] > 1e-6]
    return got


def alone(site: Site) -> Iterator[Claim]:
    scene("One tenant alone: a UDP flood, then TCP, each against its limit")
    with _traffic(site, "red1") as (receiver, senders, watch):
        begun_s = senders["red1"].offer(3 * LIMIT_KBPS["red1"]).at_s
        watch.until(begun_s + SETTLING_S + 3, "red1 floods with three times its limit")
        arrived = receiver.series(PORT["red1"]).kbps(begun_s + SETTLING_S, begun_s + SETTLING_S + 3)
    yield near("a flood of three times the limit arrives at the limit", arrived, LIMIT_KBPS["red1"], 0.05)
    for congestion in filter(has_congestion_control, ("cubic", "bbr")):
        with tcp_flow(site.vifs["blue1"].namespace, _outside(site, 5201), congestion, 3) as flow:
            result = flow.result()
        say(f"blue1: TCP ({congestion}) {mbit(result.goodput_kbps)} Mbit/s, {result.retransmits} retransmissions")
        text = f"TCP ({congestion}) gets at least 92 % of its limit"
        yield at_least(text, result.goodput_kbps, 0.92 * LIMIT_KBPS["blue1"])


def contention(site: Site) -> Iterator[Claim]:
    """All flood; one stops and comes back; the policy is changed meanwhile."""
    scene("Three tenants want more than the uplink has")
    tenants = ("red1", "green1", "blue1")
    with _traffic(site, *tenants) as (receiver, senders, watch):

        def arrived(from_s: float, to_s: float) -> dict[str, float]:
            return {vif: receiver.series(PORT[vif]).kbps(from_s, to_s) for vif in tenants}

        for vif in tenants:
            begun_s = senders[vif].offer(FLOOD * LIMIT_KBPS[vif]).at_s
        watch.until(begun_s + SETTLING_S + 5, "all flood")
        yield from _divided(arrived(begun_s + SETTLING_S, begun_s + SETTLING_S + 5))

        left_s = senders["green1"].offer(0).at_s
        watch.until(left_s + TICKS_S + 2, "green1 stops")
        got, law = arrived(left_s + TICKS_S, left_s + TICKS_S + 2), shares(("red1", "blue1"), LIMIT_KBPS)
        for vif in ("red1", "blue1"):
            yield near(f"green1 stops: {vif} takes its part within three ticks", got[vif], law[vif], 0.05)
        back_s = senders["green1"].offer(FLOOD * LIMIT_KBPS["green1"]).at_s
        watch.until(back_s + TICKS_S + 2, "green1 comes back")
        got, law = arrived(back_s + TICKS_S, back_s + TICKS_S + 2), shares(tenants, LIMIT_KBPS)
        for vif in tenants:
            yield near(f"green1 returns: {vif} is at its part again within three ticks", got[vif], law[vif], 0.05)
        for vif in tenants:
            from_s = back_s if vif == "green1" else left_s
            short_s = receiver.series(PORT[vif]).longest_below_s(0.9 * GUARANTEE_KBPS[vif], from_s, back_s + TICKS_S)
            yield at_most_s(f"all the while: {vif}'s guarantee is 10 % short", short_s, 1.0)

        scene(f"A policy change under traffic: green may have {CHANGED_GREEN_KBPS // 1000} Mbit/s at most")
        site.system.weir("policy", "apply", str(HERE / "policy-changed.yaml"))
        applied_s = time.monotonic()
        watch.until(applied_s + SETTLING_S + 3, "the changed policy")
        got = arrived(applied_s + SETTLING_S, applied_s + SETTLING_S + 3)
        law = shares(tenants, {**LIMIT_KBPS, "green1": CHANGED_GREEN_KBPS})
        yield near("the changed limit holds once the command has returned", got["green1"], CHANGED_GREEN_KBPS, 0.05)
        yield near("and red1 takes its part of what became free", got["red1"], law["red1"], 0.05)
    site.system.weir("policy", "apply", str(HERE / "policy.yaml"))


def _divided(got: Mapping[str, float]) -> Iterator[Claim]:
    for vif, kbps in got.items():
        yield at_least(f"all flood: {vif} gets its guarantee (5 % off at most)", kbps, 0.95 * GUARANTEE_KBPS[vif])
    yield at_least("all flood: the uplink is at least 93 % used", sum(got.values()), 0.93 * CAPACITY_KBPS)
    rest = sum(got.values()) - sum(GUARANTEE_KBPS.values())
    for vif, kbps in got.items():
        part = rest * WEIGHT[vif] / sum(WEIGHT.values())
        yield near(f"all flood: {vif} gets its weight's part of the rest", kbps - GUARANTEE_KBPS[vif], part, 0.10)


def denial(site: Site) -> Iterator[Claim]:
    scene("A denied flow: red may not send mail (tcp/25), green may")
    for vif, allowed in (("green1", True), ("red1", False)):
        try:
            with tcp_flow(site.vifs[vif].namespace, _outside(site, 25), "cubic", 1) as flow:
                flow.result()
            passed = True
        except LabError:
            passed = False
        say(f"{vif} to port 25: {'connected' if passed else 'no connection'}")
        wanted = "a connection" if allowed else "none"
        yield Claim(f"{vif} to tcp/25", wanted, "a connection" if passed else "none", passed == allowed)
    dump = site.system.ofctl("dump-flows").splitlines()
    line = next(line for line in dump if "egress_policy" in line and "tp_dst=25" in line and "n_packets=0" not in line)
    origin = site.system.weir("explain", line).splitlines()[0]
    say(f"the entry that dropped it:\n {line.strip()}\nwhere it comes from: {origin}")


def loop(site: Site) -> Iterator[Claim]:
    scene("The closed loop: blue's two VIFs send to green1 on this host, past the uplink's queues; blue's limit holds")
    vifs = ("blue1", "blue2")
    ports = {vif: PORT[vif] for vif in vifs}
    with ExitStack() as ends:
        receiver = ends.enter_context(site.receiver_at("green1", list(ports.values())))
        there = site.vifs["green1"].address
        senders = {vif: ends.enter_context(site.sender_at(vif, port, there)) for vif, port in ports.items()}
        watch = ends.enter_context(Watch(site, {vif: (receiver, port) for vif, port in ports.items()}))
        for vif in vifs:
            begun_s = senders[vif].offer(FLOOD * LIMIT_KBPS[vif]).at_s
        settled_s = begun_s + 5
        watch.until(settled_s + 4, "both want 25, together they may have 30")
        got = [receiver.series(port).kbps(settled_s, settled_s + 4) for port in ports.values()]
    yield near("the loop keeps the tenant's limit on local traffic", sum(got), BLUE_KBPS, 0.10)


def restart(site: Site) -> Iterator[Claim]:
    scene("The controller is killed (-9) under traffic")
    with site.receiver_outside([PORT["red1"]]) as receiver, site.sender_at("red1", PORT["red1"]) as sender:
        sender.offer(10_000)
        before, before_s = site.system.ofctl("dump-flows"), time.monotonic()
        site.system.await_restart("controller", site.system.kill("controller"))
        sent = sender.offer(0)
        after, took_s = site.system.ofctl("dump-flows"), time.monotonic() - before_s
        lost = receiver.lost(PORT["red1"], sent)
    say(f"back after {took_s:.1f} s; {sent.sent} datagrams sent meanwhile, {lost} lost")
    yield Claim("a killed controller loses no packet", "0 lost", f"{lost} of {sent.sent} lost", lost == 0)
    yield none_of("and changes no flow entry that was right", changed(before, after, took_s))


def routed(site: Site) -> Iterator[Claim]:
    scene("Routed segments: shop1 in front, stock1 in rear; stock1 is closed, then open, while shop1 pings it")
    shop, stock = site.add_vif("shop1", "shop", "front"), site.add_vif("stock1", "stock/closed", "rear")
    for gateway in ("10.4.0.1", "fd00:4::1"):
        answered = answers(shop.namespace, gateway)
        yield Claim(f"the router answers for {gateway}", "an answer", "an answer" if answered else "none", answered)
    with listening(stock.namespace, ORDERS), pinging(shop.namespace, stock.address, duration_s=3.0) as echo:
        yield _orders(shop.namespace, stock.address, "closed", allowed=False)
        site.system.weir("vif", "set", "stock1", "--policy", "stock/open")
        say("weir vif set stock1 --policy stock/open")
        yield _orders(shop.namespace, stock.address, "open", allowed=True)
        result = echo.result()
    text = "the move to another policy loses no ping that both allow"
    yield Claim(text, "0 lost", f"{result.lost} of {result.sent} lost", result.lost == 0)
    site.system.weir("vif", "delete", "shop1", "stock1")


def _orders(namespace: str, address: str, policy: str, allowed: bool) -> Claim:
    answer = attempt(namespace, "tcp", address, ORDERS, patience_s=1.0).answer
    say(f"shop1 to port {ORDERS} of stock1: {answer}")
    wanted = "connected" if allowed else "nothing"
    return Claim(f"across the router to {policy} stock: tcp/{ORDERS}", wanted, answer, answer == wanted)


def inside(site: Site) -> None:
    scene("What the switch holds, by ovs-ofctl")
    say(site.system.ofctl("dump-meters").strip())
    dump = [line.strip() for line in site.system.ofctl("dump-flows").splitlines()]
    for table in ("classify", "egress_policy", "egress_meter", "output"):
        lines = [line for line in dump if f" table={table}," in line or f' table="{table}",' in line]
        say(f"\n{table} ({len(lines)} entries):")
        say("\n".join(f" {line}" for line in lines[:4]))


@contextmanager
def _traffic(site: Site, *vifs: str) -> Iterator[tuple[UdpReceiver, Mapping[str, UdpSender], Watch]]:
    """Senders at VIFs, silent at first, a receiver outside, and a view of them."""
    with ExitStack() as ends:
        receiver = ends.enter_context(site.receiver_outside([PORT[vif] for vif in vifs]))
        senders = {vif: ends.enter_context(site.sender_at(vif, PORT[vif])) for vif in vifs}
        watch = ends.enter_context(Watch(site, {vif: (receiver, PORT[vif]) for vif in vifs}))
        yield receiver, senders, watch


def _outside(site: Site, port: int) -> tuple[str, str, int]:
    return site.outside.name, site.outside_address, port
