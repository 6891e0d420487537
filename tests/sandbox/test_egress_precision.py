"""What a limit gives and what it costs: TCP through shaper and meter, UDP above the limit, on a real switch."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import TypeVar

import pytest

from controller.host.queue_plan import shaper_plan
from controller.host.wishes import SHAPER_QUEUE_BYTES
from lab.bare_pair import DEVICE, bare_pair
from lab.children import wait_until
from lab.site import UPLINK, Site
from lab.tcp import has_congestion_control, tcp_flow
from lab.tcp_counts import Seen, seen

OUTSIDE = {4: "10.1.0.100", 6: "fd00:1::100"}
PORT = 5201
LIMITS_KBPS = {"slow": 20_000, "fast": 50_000}  # of the leaves, and of a VIF of each
METERED = "metered"  # a VIF of "slow" without a shaper
POLICY = """\
weir: 1
segments:
  office: {type: bridged, uplink: wan, subnets: [10.1.0.0/24, 'fd00:1::/64']}
links:
  wan: {capacity: 200 mbit}
policies:
  slow: {egress: {limit: 20 mbit}, unmatched: allow}
  fast: {egress: {limit: 50 mbit}, unmatched: allow}
"""
SETTLING_S, WINDOW_S, MOST_S = 2.5, 3.0, 40.0
T = TypeVar("T")


@pytest.fixture(scope="module")
def site(policy: Path) -> Iterator[Site]:
    with Site(policy, f"{OUTSIDE[4]}/24") as running:
        running.outside.address(UPLINK, f"{OUTSIDE[6]}/64")
        for name in LIMITS_KBPS:
            running.add_vif(name, name, "office")
            running.await_neighbour(name)
            running.await_neighbour(name, OUTSIDE[6])
        running.add_port(METERED, "slow", "office")
        running.await_neighbour(METERED)
        yield running


@pytest.mark.parametrize(
    ("name", "congestion", "version", "streams"),
    [
        ("slow", "cubic", 4, 1),
        ("slow", "bbr", 4, 1),
        ("fast", "cubic", 4, 1),
        ("fast", "bbr", 4, 1),
        ("slow", "cubic", 6, 1),
        ("slow", "bbr", 4, 4),
    ],
)
def test_tcp_reaches_a_shaped_limit_and_loses_nothing(
    site: Site, name: str, congestion: str, version: int, streams: int
) -> None:
    """In a window in which the machine lets the same shaper reach it without a switch, at the same time.

    Several connections share a queue by losing; so they do without a switch.
    """
    limit_kbps, sender = LIMITS_KBPS[name], site.vifs[name].namespace
    require(congestion)
    with ExitStack() as ends:
        pair = ends.enter_context(bare_pair(shaper_plan(limit_kbps, SHAPER_QUEUE_BYTES)))
        for here, there in (
            (sender, (site.outside.name, OUTSIDE[version], PORT)),
            (pair.sender, (pair.receiver, pair.address, PORT)),
        ):
            duration_s = int(MOST_S + SETTLING_S) + 10
            ends.enter_context(tcp_flow(here, there, congestion, duration_s, ["-P", str(streams)]))
        time.sleep(SETTLING_S)  # slow start is not the rate

        def observed() -> tuple[Seen, Seen]:
            return seen(sender, site.outside.name, UPLINK), seen(pair.sender, pair.receiver, DEVICE)

        def is_kept(before: tuple[Seen, Seen], after: tuple[Seen, Seen]) -> bool:
            kbps, bare_kbps = (now.kbps(then) for now, then in zip(after, before, strict=True))
            lost, bare_lost = (now.lost_part(then) for now, then in zip(after, before, strict=True))
            print(f"{kbps:.0f} kbit/s, bare {bare_kbps:.0f}; {lost:.3%} lost, bare {bare_lost:.3%}")
            least_kbps, most_lost = 0.99 * min(limit_kbps, bare_kbps), 0.001 + (bare_lost if streams > 1 else 0.0)
            return least_kbps <= kbps <= 1.02 * limit_kbps and lost <= most_lost

        await_window(observed, is_kept)


@pytest.mark.parametrize(
    ("congestion", "to_outside", "least"), [("cubic", False, 0.8), ("bbr", False, 0.8), ("cubic", True, 0.95)]
)
def test_tcp_without_a_shaper_comes_near_its_limit(site: Site, congestion: str, to_outside: bool, least: float) -> None:
    """Towards another VIF a meter alone holds it; on the uplink its class there delays before the meter drops."""
    require(congestion)
    limit_kbps, sender = LIMITS_KBPS["slow"], site.vifs[METERED].namespace
    other = site.vifs["fast"]
    namespace, address, device = (
        (site.outside.name, OUTSIDE[4], UPLINK) if to_outside else (other.namespace, other.address, DEVICE)
    )
    with tcp_flow(sender, (namespace, address, PORT), congestion, int(MOST_S + SETTLING_S) + 10):
        time.sleep(SETTLING_S)

        def is_near(before: Seen, after: Seen) -> bool:
            kbps = after.kbps(before)
            print(f"{kbps:.0f} kbit/s, {after.lost_part(before):.3%} lost")
            return least * limit_kbps <= kbps <= 1.1 * limit_kbps

        await_window(lambda: seen(sender, namespace, device), is_near)


def require(congestion: str) -> None:
    if not has_congestion_control(congestion):
        pytest.skip(f"this kernel has no TCP {congestion}: load tcp_{congestion}")


def await_window(observed: Callable[[], T], is_kept: Callable[[T, T], bool]) -> None:
    """Returns after the first window that is as it should be: a loaded machine spoils some."""
    last = [observed()]

    def found() -> bool:
        time.sleep(WINDOW_S)
        last.append(observed())
        return is_kept(last[-2], last[-1])

    wait_until(found, "a window with the limit reached", MOST_S)


@pytest.mark.parametrize("name", [*LIMITS_KBPS, METERED])
def test_udp_above_a_limit_is_held(site: Site, name: str) -> None:
    """Towards another VIF where a meter alone holds it."""
    limit_kbps, other = LIMITS_KBPS.get(name, LIMITS_KBPS["slow"]), site.vifs["fast"]
    receiving = site.receiver_at("fast", [PORT]) if name == METERED else site.receiver_outside([PORT])
    with receiving as receiver, site.sender_at(name, PORT, other.address if name == METERED else None) as sender:
        receiver.await_time(sender.offer(1.3 * limit_kbps).at_s + 1.0)
        came_kbps = list[float]()

        def is_held() -> bool:
            came_kbps.append(receiver.measure(WINDOW_S)[PORT])
            return came_kbps[-1] == pytest.approx(limit_kbps, rel=0.03)

        wait_until(is_held, "a window in which the limit is held", MOST_S)
    print(came_kbps)
