"""`weir up --datapath dpdk`: what it needs of the machine, and that it gives all of it back."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from controller.system import dpdk
from tests.dpdk.conftest import HUGEPAGES
from tests.support.system import NOTHING, Home, SystemUnderTest

POLICY = """
weir: 1
segments:
  lab: {type: internal, subnets: [10.30.0.0/24]}
policies:
  acme:
    children:
      vm: {}
      held: {ingress: {limit: 2 mbit}}
"""


@pytest.fixture
def bare() -> Iterator[SystemUnderTest]:
    with Home("bare") as home, SystemUnderTest(home) as under_test:
        yield under_test


def test_without_huge_pages_it_says_what_to_do(bare: SystemUnderTest) -> None:
    before = HUGEPAGES.read_text()
    memory = str(1 << 20)  # more than any machine of tests has free
    refused = bare.weir("up", "--datapath", "dpdk", "--dpdk-memory", memory, check=False)
    assert refused.returncode == 1 and "sysctl -w vm.nr_hugepages=" in refused.stderr
    too_many = bare.weir("up", "--datapath", "dpdk", "--dpdk-memory", memory, "--hugepages", str(1 << 22), check=False)
    assert too_many.returncode == 1 and "MB are available" in too_many.stderr
    assert HUGEPAGES.read_text() == before and bare.traces() == NOTHING


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--datapath", "dpdk", "--pmd-cpu-mask", "x"), "no mask of processors"),
        (("--datapath", "dpdk", "--pmd-cpu-mask", "0"), "no mask of processors"),
        (("--datapath", "dpdk", "--dpdk-memory", "1"), "no amount of memory"),
        (("--hugepages", "5"), "for --datapath dpdk"),
        (("--datapath", "dpdk", "--hugepages", "-1"), "no number of pages"),
    ],
)
def test_wrong_options_change_nothing(bare: SystemUnderTest, arguments: tuple[str, ...], said: str) -> None:
    refused = bare.weir("up", *arguments, check=False)
    assert refused.returncode == 2 and said in refused.stderr and bare.traces() == NOTHING


def test_a_processor_that_is_not_there(bare: SystemUnderTest) -> None:
    refused = bare.weir("up", "--datapath", "dpdk", "--pmd-cpu-mask", hex(1 << 900), check=False)
    assert refused.returncode == 1 and "no processor 900" in refused.stderr


def test_it_comes_up_and_leaves_nothing(bare: SystemUnderTest, tmp_path: Path) -> None:
    policy = tmp_path / "policy.yaml"
    policy.write_text(POLICY)
    pages, mounts = HUGEPAGES.read_text(), Path("/proc/mounts").read_text().count("hugetlbfs")
    bare.weir("up", "--datapath", "dpdk", "--hugepages", "256", "--policy", str(policy))
    assert bare.json("status")["datapath"] == "dpdk"
    assert int(HUGEPAGES.read_text()) == int(pages) + 256
    executable = os.readlink(f"/proc/{bare.pids()['ovs-vswitchd']}/exe")
    assert executable == str(dpdk.VSWITCHD)
    bare.weir("vif", "create", "vm1", "--kind", "vhost-user", "--policy", "acme/vm", "--segment", "lab")
    directory = bare.directory.run / "vhost" / "vm1.1"
    assert directory.stat().st_mode & 0o7777 == 0o770
    bare.weir("vif", "create", "vm2", "--kind", "vhost-user", "--policy", "acme/held", "--segment", "lab")
    assert set(directory.parent.iterdir()) == {directory, directory.parent / "vm2.2"}
    bare.weir("down")
    assert HUGEPAGES.read_text() == pages and bare.traces() == NOTHING
    assert Path("/proc/mounts").read_text().count("hugetlbfs") == mounts and not bare.directory.run.exists()
    assert not Path("/var/run/dpdk").exists()
    bare.weir("up")  # the same state directory without DPDK: what DPDK was told is forgotten
    assert os.readlink(f"/proc/{bare.pids()['ovs-vswitchd']}/exe") != str(dpdk.VSWITCHD)
    shown = bare.json("vif", "show", "vm1")
    assert shown["state"] == "error" and "--datapath dpdk" in shown["error"]


def test_a_killed_switch_comes_back_with_its_pages(bare: SystemUnderTest) -> None:
    pages = HUGEPAGES.read_text()
    bare.weir("up", "--datapath", "dpdk", "--hugepages", "256")
    before = bare.pids()
    bare.kill(["ovs-vswitchd"])
    bare.await_restart(before, ["ovs-vswitchd"])
    bare.await_well()
    bare.kill(["supervisor", "ovs-vswitchd", "agent"])
    bare.weir("down")
    assert HUGEPAGES.read_text() == pages and bare.traces() == NOTHING
