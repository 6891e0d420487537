"""What a division into classes costs TCP: its queues are as long as it needs where the policy does not say."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from lab.site import Site
from lab.tcp import has_congestion_control, tcp_flow

OUTSIDE = "10.1.0.100"
CAPACITY_KBPS = 40_000
FAST, NORMAL = 5001, 6001  # first of the ports
RULES = "rules: [allow: {direction: egress, service: tcp/5001-5099, class: fast}, allow: {}]"
POLICY = f"""\
weir: 1
segments: {{lan: {{type: bridged, uplink: wan, subnets: [10.1.0.0/24]}}}}
links: {{wan: {{capacity: {CAPACITY_KBPS} kbit}}}}
classes: {{fast: {{dscp: ef, share: 40 %}}, normal: {{share: 60 %}}}}
policies:
  usual: {{{RULES}}}
  short: {{buffer: 16 kib, {RULES}}}
"""
FRAME_BYTES, PAYLOAD_BYTES = 1514, 1448  # of a full TCP segment with timestamps
FLOW_S = 6
MOST_SENT_AGAIN = 0.001
TRIES = 4  # a busy machine is late with acknowledgements, and what is late is sent again, too


@pytest.fixture(scope="module")
def site(policy: Path) -> Iterator[Site]:
    with Site(policy, f"{OUTSIDE}/24") as running:
        for name in ("usual", "usual2", "short", "short2"):
            running.add_vif(name, name.rstrip("2"), "lan")
            running.await_neighbour(name)
        yield running


def in_all_classes(site: Site, leaf: str, congestion: str) -> tuple[float, float]:
    """A connection in each class of two VIFs: of the uplink, what they use; of their segments, what is sent again."""
    with ExitStack() as ends:
        flows = [
            ends.enter_context(
                tcp_flow(site.vifs[vif].namespace, (site.outside.name, OUTSIDE, port + place), congestion, FLOW_S)
            )
            for place, vif in enumerate((leaf, f"{leaf}2"))
            for port in (FAST, NORMAL)
        ]
        came = [flow.result() for flow in flows]
    goodput_kbps = sum(one.goodput_kbps for one in came)
    segments = goodput_kbps * FLOW_S * 125 / PAYLOAD_BYTES
    return goodput_kbps * FRAME_BYTES / PAYLOAD_BYTES / CAPACITY_KBPS, sum(one.retransmits for one in came) / segments


@pytest.mark.parametrize("congestion", ["cubic", "bbr"])
def test_tcp_fills_an_uplink_in_all_its_classes_and_sends_hardly_anything_again(site: Site, congestion: str) -> None:
    if not has_congestion_control(congestion):
        pytest.skip(f"this kernel has no TCP {congestion}: load tcp_{congestion}")
    tried = list[tuple[float, float]]()
    for _ in range(TRIES):
        tried.append(in_all_classes(site, "usual", congestion))
        used, sent_again = tried[-1]
        if used >= 0.97 and sent_again <= MOST_SENT_AGAIN:
            break
    else:
        raise AssertionError(f"{congestion}: (part of the uplink, part sent again) {tried}")
    if congestion == "cubic":  # what a short buffer costs instead: its price for less delay
        assert in_all_classes(site, "short", congestion)[1] > 4 * sent_again
