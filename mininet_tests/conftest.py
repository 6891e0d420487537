"""One network of two switches for the whole run: each module applies the policy that it wants and starts from all VIFs
in force. Modules about other topologies have a network of their own."""

from __future__ import annotations

import signal
from collections.abc import Generator, Iterator

import pytest

from mininet_tests.network import WeirNetwork, weir_network
from mininet_tests.two_switches import PLAN


def pytest_configure(config: pytest.Config) -> None:
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # as ^C: whoever ends a run early leaves nothing behind
    config.addinivalue_line("filterwarnings", "ignore:distutils Version classes:DeprecationWarning:mininet")


@pytest.fixture(scope="session")
def network() -> Iterator[WeirNetwork]:
    with weir_network(PLAN) as running:
        yield running


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """A failed test shows what controller and agents said."""
    report = yield
    running = getattr(item, "funcargs", {}).get("network")
    if report.failed and running is not None:
        report.sections.append(("logs of the system", running.logs()))
    return report
