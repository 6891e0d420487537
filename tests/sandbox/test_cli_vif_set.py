"""weir vif set on a running system: what it changes is so when it returns, and nothing is lost that both allow."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from lab.ping import answers, pinging
from tests.support.ovs_sandbox import wait_until
from tests.support.system import Home, SystemUnderTest

POLICY = """\
weir: 1
segments:
  lab: {type: internal, subnets: [10.30.0.0/24, 'fd00:30::/64']}
  office: {type: internal, subnets: [10.31.0.0/24]}
policies:
  acme:
    egress: {guarantee: 30 mbit}
    children:
      web: {egress: {guarantee: 5 mbit, limit: 40 mbit, burst: 20 ms}, ingress: {limit: 40 mbit}, unmatched: allow}
      app: {egress: {limit: 20 mbit}, unmatched: allow}
  shut:
    rules:
      - deny: {service: icmp}
      - allow: {from: {label: {tier: front}}, direction: ingress}
  open: {unmatched: allow}
"""


@pytest.fixture(scope="module")
def system(policy: Path) -> Iterator[SystemUnderTest]:
    with Home("set") as home, SystemUnderTest(home) as under_test:
        under_test.weir("up", "--policy", str(policy))
        under_test.weir("vif", "create", "peer", "--policy", "open", "--segment", "lab")
        yield under_test


@pytest.fixture
def web(system: SystemUnderTest) -> Iterator[str]:
    system.weir("vif", "create", "web", "--policy", "acme/web", "--segment", "lab", "--label", "app=x")
    yield "web"
    system.weir("vif", "delete", "web")


def place(system: SystemUnderTest, name: str) -> str:
    return f"{system.directory.namespace}-{name}"


def within(system: SystemUnderTest, name: str, *argv: str) -> str:
    return system.weir("vif", "exec", name, "--", *argv).stdout


def addresses(system: SystemUnderTest, name: str, ifname: str = "eth0") -> set[str]:
    """Those of the link itself, but for link-local ones."""
    links = json.loads(within(system, name, "ip", "-json", "address", "show", ifname))
    found = {f"{one['local']}/{one['prefixlen']}" for one in links[0]["addr_info"]}
    return {address for address in found if not address.startswith("fe80:")}


def shaped_kbps(system: SystemUnderTest, name: str) -> float:
    """Of the shaper in front of the VIF, as tc says it."""
    said = within(system, name, "tc", "qdisc", "show", "dev", "eth0")
    found = re.search(r"rate (\d+(?:\.\d+)?)([KMG])bit", said)
    assert found is not None, said
    return float(found[1]) * {"K": 1, "M": 1000, "G": 1_000_000}[found[2]]


def burst_bytes(system: SystemUnderTest, name: str) -> int:
    said = within(system, name, "tc", "-raw", "qdisc", "show", "dev", "eth0")
    found = re.search(r"burst (\d+)(K?)b", said)
    assert found is not None, said
    return int(found[1]) * (1024 if found[2] else 1)


def metered_kbps(system: SystemUnderTest, number: int) -> int:
    meters = system.ofctl("dump-meters", "br-weir")
    found = re.search(rf"meter={number} .*\n?.*rate=(\d+)", meters)
    assert found is not None, meters
    return int(found[1])


def shown(system: SystemUnderTest, name: str = "web") -> Any:
    return system.json("vif", "show", name)


def test_labels_policy_and_limits_change_without_loss(system: SystemUnderTest, web: str) -> None:
    assert answers(place(system, web), "10.30.0.2")
    changes = (
        ["--label", "tier=front"],
        ["--policy", "acme/app"],
        ["--egress", "guarantee=2 mbit,limit=10 mbit", "--ingress", "limit=15 mbit"],
        ["--label", "app=", "--instance", "i-7"],
        ["--policy", "acme/web"],
        ["--egress", "none", "--ingress", ""],
    )
    with pinging(place(system, web), "10.30.0.2", 2.5 * len(changes), 0.02) as series:
        for change in changes:
            system.weir("vif", "set", web, *change)
        echoes = series.result()
    assert echoes.sent >= 100 and echoes.lost == 0
    now = shown(system)
    assert (now["policy"], now["labels"], now["instance"]) == ("acme/web", {"tier": "front"}, "i-7")
    assert (now["egress"]["own"], now["egress"]["limit_kbps"]) == ({}, 40_000)


def test_an_address_more_does_not_disturb_those_that_stay(system: SystemUnderTest, web: str) -> None:
    before = shown(system)["addresses"]
    with pinging(place(system, web), "10.30.0.2", 4, 0.02) as series:
        system.weir("vif", "set", web, *(f"--ip={address}" for address in [*before, "10.30.0.77"]))
        assert addresses(system, web) == {*before, "10.30.0.77/24"}
        system.weir("vif", "set", web, *(f"--ip={address}" for address in before))
        assert addresses(system, web) == set(before)
        echoes = series.result()
    assert echoes.sent >= 100 and echoes.lost == 0
    system.weir("vif", "set", web, "--ip", "10.30.0.50")
    assert addresses(system, web) == {"10.30.0.50/24"} and answers(place(system, web), "10.30.0.2")
    system.weir("vif", "set", web, "--ip", "auto")
    assert sorted(addresses(system, web)) == before


def test_another_segment_gives_addresses_there(system: SystemUnderTest, web: str) -> None:
    system.weir("vif", "create", "there", "--policy", "open", "--segment", "office")
    try:
        system.weir("vif", "set", web, "--segment", "office")
        assert shown(system)["segment"] == "office"
        assert addresses(system, web) == {"10.31.0.3/24"}
        assert answers(place(system, web), "10.31.0.2")
        system.weir("vif", "set", web, "--segment", "lab")
        assert answers(place(system, web), "10.30.0.2")
    finally:
        system.weir("vif", "delete", "there")


def test_own_numbers_are_kept_where_they_count(system: SystemUnderTest, web: str, tmp_path: Path) -> None:
    system.weir("vif", "set", web, "--egress", "guarantee=2 mbit, limit=10 mbit", "--ingress", "limit=8 mbit")
    now = shown(system)
    assert (now["egress"]["guarantee_kbps"], now["egress"]["limit_kbps"]) == (2_000, 10_000)
    assert now["egress"]["own"] == {"guarantee_kbps": 2_000, "limit_kbps": 10_000}
    assert shaped_kbps(system, web) == 10_000
    assert burst_bytes(system, web) == pytest.approx(25_000, rel=0.05)  # 20 ms of its own limit
    assert metered_kbps(system, now["number"]) == 10_200
    enter = ["nsenter", f"--net=/run/netns/{system.directory.namespace}", "--"]
    said = subprocess.run([*enter, "tc", "class", "show", "dev", now["port"]], capture_output=True, text=True).stdout
    assert "ceil 8Mbit" in said
    lower = tmp_path / "lower.yaml"
    lower.write_text(POLICY.replace("limit: 40 mbit, burst", "limit: 9 mbit, burst"))
    refused = system.weir("policy", "apply", str(lower), check=False)
    assert refused.returncode == 2
    assert "VIF web: its own egress limit of 10 mbit is more than the 9 mbit of policy 'acme/web'" in refused.stderr


def test_what_cannot_be_leaves_it_as_it_was(system: SystemUnderTest, web: str) -> None:
    before = shown(system)
    for arguments, words in (
        (
            ["--egress", "limit=50 mbit"],
            "its own egress limit of 50 mbit is more than the 40 mbit of policy 'acme/web'",
        ),
        (["--egress", "guarantee=45 mbit"], "more than the egress limit of policy 'acme/web', 40 mbit"),
        (["--egress", "limit=1 mbit"], "is less than the 5 mbit that policy 'acme/web' guarantees it"),
        (["--egress", "guarantee=31 mbit"], "policy 'acme': the egress guarantees below it come to 31 mbit"),
        (["--egress", "10 mbit"], "--egress: '10 mbit' is neither a guarantee nor a limit"),
        (["--egress", "limit=10 mbps"], "'10 mbps' is not a rate"),
        (["--policy", "acme"], "has nodes below it"),
        (["--policy", "acme/wbe"], "Did you mean 'acme/web'?"),
        (["--segment", "lap"], "Did you mean 'lab'?"),
        (["--ip", "10.30.0.2"], "is that of VIF 'peer'"),
        (["--ip", "10.31.0.9"], "outside segment 'lab'"),
        (["--label", "a b=c"], "is no label"),
        (["--queues", "2"], "--queues means nothing to kind veth"),
        (["--driver", "vfio-pci"], "--driver means nothing to kind veth"),
        ([], "nothing is named that shall change"),
    ):
        done = system.weir("vif", "set", web, *arguments, check=False)
        assert (done.returncode, words in done.stderr) == (2, True), done.stderr
    done = system.weir("vif", "set", "webb", "--label", "a=b", check=False)
    assert (done.returncode, "Did you mean 'web'?" in done.stderr) == (2, True)
    kept = ("policy", "segment", "addresses", "labels", "binding", "state", "error")
    assert {key: shown(system)[key] for key in kept} == {key: before[key] for key in kept}


def test_a_change_that_fails_on_the_host_is_put_back(system: SystemUnderTest, web: str) -> None:
    done = system.weir("vif", "set", web, "--netns", "not-there-at-all", check=False)
    assert done.returncode == 1
    assert "not-there-at-all" in done.stderr and "put back to what it was before" in done.stderr
    wait_until(lambda: shown(system)["state"] == "ready", "it is ready where it was")
    assert shown(system)["binding"] == {}
    assert answers(place(system, web), "10.30.0.2")


def test_what_is_so_already_is_said(system: SystemUnderTest, web: str) -> None:
    before = shown(system)
    done = system.weir("vif", "set", web, "--policy", "acme/web", "--label", "app=x", "--ip", "auto", "--label", "no=")
    assert "nothing to change: web" in done.stderr
    assert shown(system)["addresses"] == before["addresses"]


def test_several_at_once(system: SystemUnderTest, web: str) -> None:
    system.weir("vif", "create", "two", "--policy", "acme/app", "--segment", "lab")
    try:
        both = system.json("vif", "set", web, "two", "--label", "tier=front", "--policy", "open")
        assert [(one["name"], one["policy"], one["labels"]["tier"]) for one in both] == [
            ("two", "open", "front"),
            ("web", "open", "front"),
        ]
    finally:
        system.weir("vif", "delete", "two")


def test_its_end_moves_to_another_namespace(system: SystemUnderTest, web: str) -> None:
    kept = shown(system)["addresses"]
    with Home("theirs") as theirs:
        system.weir("vif", "set", web, "--netns", theirs.name, "--ifname", "net7")
        assert theirs.links() == {"lo", "net7"}
        assert addresses(system, web, "net7") == set(kept)
        assert answers(theirs.name, "10.30.0.2")
        system.weir("vif", "set", web, "--netns", "", "--ifname", "eth0")
        assert theirs.links() == {"lo"}
    assert answers(place(system, web), "10.30.0.2")
