"""A VIF is deleted in the middle of its traffic: nothing of it stays, and who gets its addresses is reached at once."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from ipaddress import ip_interface
from pathlib import Path

import pytest

from tests.support.ovs_sandbox import wait_until
from tests.support.system import Home, SystemUnderTest

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")

POLICY = """\
weir: 1
segments:
  front: {type: routed, subnets: [10.41.0.0/24, 'fd00:41::/64'], uplink: wan, address: [10.99.0.1/24], via: [10.99.0.2]}
  back: {type: routed, subnets: [10.42.0.0/24]}
policies:
  all: {egress: {limit: 40 mbit}, unmatched: allow}
"""
AT_ONCE_S = 8.0  # by itself it would be after 10 s and more, and connections stay for half a minute
OUTSIDE, NOBODY = "10.99.0.2", "10.99.0.77"


@pytest.fixture
def system(tmp_path: Path) -> Iterator[SystemUnderTest]:
    policy = tmp_path / "policy.yaml"
    policy.write_text(POLICY)
    with Home("passes") as home, SystemUnderTest(home) as under_test:
        under_test.weir("up", "--uplink", "wan", "--policy", str(policy))
        for words in (f"address add {OUTSIDE}/24 dev wan", "link set wan up", "route add 10.41.0.0/24 via 10.99.0.1"):
            home.run("ip", *words.split())
        yield under_test


def created(system: SystemUnderTest, name: str, segment: str = "front") -> list[str]:
    made = system.json("vif", "create", name, "--policy", "all", "--segment", segment)
    return [str(ip_interface(address).ip) for address in made["addresses"]]


def inside(system: SystemUnderTest, vif: str, *argv: str) -> list[str]:
    return ["ip", "netns", "exec", f"{system.directory.namespace}-{vif}", *argv]


def hears(system: SystemUnderTest, vif: str, address: str) -> bool:
    argv = inside(system, vif, "ping", "-q", "-c", "1", "-W", "1", address)
    return subprocess.run(argv, capture_output=True, check=False).returncode == 0


def held(system: SystemUnderTest) -> set[str]:
    """Flow entries, without what was learned of neighbours outside, which are no VIF's; and meters."""
    flows = system.ofctl("dump-flows", "br-weir", "--no-stats").splitlines()
    meters = system.ofctl("dump-meters", "br-weir").splitlines()
    return {line.strip() for line in flows if "idle_timeout" not in line} | {
        line for line in meters if "meter=" in line
    }


def connections(system: SystemUnderTest, zone: int) -> int:
    run = system.directory.run
    pid = (run / "ovs-vswitchd.pid").read_text().strip()
    argv = ("ovs-appctl", "-t", f"{run}/ovs-vswitchd.{pid}.ctl", "dpctl/dump-conntrack", f"zone={zone}")
    return len(system.home.run(*argv).stdout.splitlines())


def test_nothing_of_it_stays_and_its_addresses_work_for_the_next(system: SystemUnderTest) -> None:
    created(system, "peer")
    far = created(system, "far", "back")
    before = held(system)
    own = created(system, "gone")
    for address in own:
        wait_until(lambda address=address: hears(system, "peer", address), f"{address} answers")  # type: ignore[misc]
    zone = 3
    floods = [
        subprocess.Popen(inside(system, vif, "ping", "-q", "-i", "0.01", to), stdout=subprocess.DEVNULL)
        for vif, to in (("gone", OUTSIDE), ("gone", NOBODY), ("gone", far[0]), ("peer", own[0]), ("peer", own[1]))
    ]
    try:
        wait_until(lambda: connections(system, zone) >= len(floods), "its connections")
        system.weir("vif", "delete", "gone")
    finally:
        for flood in floods:
            flood.kill()
            flood.wait()
    wait_until(lambda: (held(system), connections(system, zone)) == (before, 0), "nothing of it stays", AT_ONCE_S)
    assert created(system, "next") == own
    wait_until(lambda: hears(system, "peer", own[0]), "the next one by IPv4", AT_ONCE_S)
    wait_until(lambda: hears(system, "peer", own[1]), "the next one by IPv6", AT_ONCE_S)
