"""One system with OVS-DPDK for each module, in a home namespace of its own; everything of it is gone afterwards."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from lab.testpmd import MEMORY_MB
from tests.support.system import Home, SystemUnderTest

SYSTEM_MB, PAGE_KB = 512, 2048
HUGEPAGES = Path("/proc/sys/vm/nr_hugepages")
WANTED_PAGES = (SYSTEM_MB + 2 * MEMORY_MB) * 1024 // PAGE_KB


@pytest.fixture(autouse=True, scope="session")
def _machine_is_as_it_was() -> Iterator[None]:
    before = HUGEPAGES.read_text()
    yield
    assert HUGEPAGES.read_text() == before, "huge pages were not given back"


@pytest.fixture(scope="module")
def system(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[SystemUnderTest]:
    """Running, with the POLICY of the module."""
    policy = tmp_path_factory.mktemp("policy") / "policy.yaml"
    policy.write_text(request.module.POLICY)
    with Home("dpdk") as home, SystemUnderTest(home) as under_test:
        pages = f"--hugepages={WANTED_PAGES}"
        under_test.weir("up", "--datapath", "dpdk", pages, "--uplink", "wan", "--policy", str(policy))
        yield under_test
