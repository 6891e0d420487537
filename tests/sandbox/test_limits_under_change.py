"""Limits that are changed again and again, in every way there is, hold a flood: a meter forgives nothing for it."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from controller.client.values import Demand
from controller.client.weir import Weir
from lab.site import Site

OUTSIDE = "10.1.0.100"
LOW_KBPS, HIGH_KBPS, OFFERED_KBPS = 11_000, 12_000, 17_000
WAYS = {"shaped": 7001, "set": 7002, "applied": 7003}  # a veth; ports without a shaper
POLICY = """\
weir: 1
segments:
  office: {type: bridged, uplink: wan, subnets: [10.1.0.0/24]}
links:
  wan: {capacity: 100 mbit}
policies:
  own: {egress: {limit: 20 mbit}, unmatched: allow}
  applied: {egress: {limit: LIMIT}, unmatched: allow}
""".replace("LIMIT", f"{HIGH_KBPS} kbit")
SETTLING_S, SPAN_S, EVERY_S = 2.0, 45.0, 1.0


@pytest.fixture(scope="module")
def site(policy: Path) -> Iterator[Site]:
    with Site(policy, f"{OUTSIDE}/24") as running:
        running.add_vif("shaped", "own", "office")
        for name, leaf in (("set", "own"), ("applied", "applied")):
            running.add_port(name, leaf, "office")
        for name in ("shaped", "set"):
            running.system.weir("vif", "set", name, "--egress", f"limit={HIGH_KBPS} kbit")
        for name in WAYS:
            running.await_neighbour(name)
        yield running


class Wanted:
    """What one limit would have let pass, from `begin` on: at most (a change holds from the moment that favours it)."""

    def __init__(self, limit_kbps: int, at_s: float) -> None:
        self.limit_kbps, self.most_kbit, self.least_kbit, self._at_s = limit_kbps, 0.0, 0.0, at_s

    def changed(self, limit_kbps: int, asked_s: float, done_s: float) -> None:
        self.until(asked_s)
        both = self.limit_kbps, limit_kbps
        self.most_kbit += max(both) * (done_s - asked_s)
        self.least_kbit += min(both) * (done_s - asked_s)
        self.limit_kbps, self._at_s = limit_kbps, done_s

    def until(self, at_s: float) -> None:
        self.most_kbit += self.limit_kbps * (at_s - self._at_s)
        self.least_kbit += self.limit_kbps * (at_s - self._at_s)
        self._at_s = at_s


def change(weir: Weir, way: str, limit_kbps: int) -> None:
    if way == "applied":
        weir.apply_policy({"policy.yaml": re.sub(r"(applied: {egress: {limit: )\d+", rf"\g<1>{limit_kbps}", POLICY)})
    else:
        weir.adjust_resources(way, Demand(egress=f"limit={limit_kbps} kbit"))


def test_changes_each_second_leak_at_most_two_percent(site: Site) -> None:
    changes, offered_kbps = 0, []
    with site.receiver_outside(list(WAYS.values())) as receiver, ExitStack() as ends:
        weir = ends.enter_context(Weir(site.system.directory.path))
        for way, port in WAYS.items():
            begun = ends.enter_context(site.sender_at(way, port)).offer(OFFERED_KBPS)
        begun_s = begun.at_s + SETTLING_S  # until then the bucket of a meter that has rested has passed
        receiver.await_time(begun_s)
        wanted = {way: Wanted(HIGH_KBPS, begun_s) for way in WAYS}
        while (now_s := time.monotonic()) < begun_s + SPAN_S:
            limit_kbps = LOW_KBPS if changes % 2 == 0 else HIGH_KBPS
            for way, one in wanted.items():
                asked_s = time.monotonic()
                change(weir, way, limit_kbps)
                one.changed(limit_kbps, asked_s, time.monotonic())
            changes += 1
            offered_kbps.append(weir.monitor_traffic("set").egress.offered_kbps)
            time.sleep(max(0.0, now_s + EVERY_S - time.monotonic()))
        end_s = time.monotonic()
        receiver.await_time(end_s)
        passed = {way: receiver.series(port).kbps(begun_s, end_s) * (end_s - begun_s) for way, port in WAYS.items()}
    assert changes >= SPAN_S / 3  # of each; a loaded machine takes longer over one
    true = [kbps for kbps in offered_kbps[3:] if kbps == pytest.approx(OFFERED_KBPS, rel=0.15)]
    assert len(true) >= 0.7 * len(offered_kbps[3:]), offered_kbps  # a dip or jump at each change would leave none
    for way, one in wanted.items():
        one.until(end_s)
        print(f"{way}: {passed[way] / one.most_kbit:.4f} {passed[way] / one.least_kbit:.4f} of {changes} changes")
        assert 0.85 * one.least_kbit <= passed[way] <= 1.02 * one.most_kbit, way
