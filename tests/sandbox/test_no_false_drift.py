"""A hundred ordinary changes: none of them is taken for somebody else's doing."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from controller.client.weir import Weir
from controller.intent.vif_change import VifChange
from controller.intent.vif_checks import VifRequest
from lab.children import wait_until
from lab.site import Site
from policies.own_numbers import Own

POLICY = """\
weir: 1
segments:
  office: {{type: bridged, uplink: wan, subnets: [10.1.0.0/24]}}
  lab: {{type: routed, subnets: [10.2.0.0/24]}}
links:
  wan: {{capacity: 200 mbit}}
policies:
  red:
    egress: {{guarantee: 1 mbit, limit: {limit} mbit, packets: {packets} pps}}
    ingress: {{limit: {limit} mbit}}
    rules:
      - allow: {{name: out, direction: egress, to: 10.{net}.0.0/16, limit: {limit} mbit}}
  blue:
    egress: {{limit: 30 mbit}}
    unmatched: allow
"""
ROUNDS, VIFS = 10, 3


def policy(turn: int) -> str:
    return POLICY.format(limit=20 + turn, packets=20_000 + turn, net=turn)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    file: Path = tmp_path_factory.mktemp("policy") / "p.yaml"
    file.write_text(policy(0))
    with Site(file, "10.1.0.100/24") as running:
        yield running


def await_marker(site: Site) -> None:
    """Returns when a repair of something broken now is told, after everything has been looked at meanwhile; fails when
    another was told."""
    site.system.await_well()
    foreign = "table=0,priority=7,in_port=77"
    site.system.ofctl("add-flow", f"cookie=0x5ee1000000000000,{foreign},actions=drop")
    told = wait_until(lambda: site.system.json("events"), "the marker told")
    wait_until(lambda: "in_port=77" not in site.system.ofctl("dump-flows", "table=0"), "the marker gone")
    assert [one["kind"] for one in told] == ["flow entries"] and "in_port=77" in told[0]["what"], told


def test_a_hundred_changes(site: Site) -> None:
    with Weir(site.system.directory.path) as weir:
        for turn in range(ROUNDS):
            names = [f"v{turn}-{number}" for number in range(VIFS)]
            segments = ["office", "lab", "office"]
            weir.create([VifRequest(name, "red", at) for name, at in zip(names, segments, strict=True)])
            weir.change(names[:1], VifChange(egress=Own(limit_kbps=5000 + turn)))
            weir.change(names[1:2], VifChange(policy="blue"))
            weir.change(names[2:], VifChange(segment="lab"))
            weir.apply_policy({"p.yaml": policy(turn + 1)})
            weir.delete(names)
    assert site.system.json("events") == []
    await_marker(site)
