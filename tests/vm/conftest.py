"""Each module here runs in a virtual machine that is booted for it; its tests are reported as if they ran here.

On the host the hooks boot the guest, in which pytest runs the same tests with WEIR_VM_REPORTS set, and replay the
reports that it leaves. A module says what it needs: `pytestmark = pytest.mark.guest(igb=True)`, see `Needs`.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from lab.children import LabError
from lab.vm.guest import WORK, Hardware, run_in_guest
from lab.vm.packages import Unavailable
from lab.vm.prepare import DIRECTORY, IGB, NETDEVSIM, prepare

HERE = Path(__file__).resolve().parent
REPORTS = "WEIR_VM_REPORTS"  # in a guest: the file that takes them
_AROUND_S = 120.0  # for preparing the lab, the first time
_TAIL = 30  # lines of the console that a failure shows


@dataclass(frozen=True, slots=True)
class Needs:
    """What the marker takes. deadline_s: for the boot and all tests of the module together."""

    igb: bool = False
    netdevsim: bool = False
    memory_mib: int = 1536
    processors: int = 1
    deadline_s: float = 270.0


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line(
        "markers", "guest: the virtual machine that the module's tests run in, see tests/vm/conftest"
    )
    file = os.environ.get(REPORTS)
    config.pluginmanager.register(InGuest(config, Path(file)) if file else OnHost())


class InGuest:
    """Writes down each report, as soon as there is one."""

    def __init__(self, config: pytest.Config, file: Path) -> None:
        self._config, self._file = config, file

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        body = self._config.hook.pytest_report_to_serializable(config=self._config, report=report)
        with self._file.open("a") as output:
            output.write(json.dumps(body, default=str) + "\n")


class OnHost:
    """Has the tests of a module run in a guest, once one of them is due."""

    def __init__(self) -> None:
        self._reports: dict[Path, dict[str, list[pytest.TestReport]]] = {}  # by module and id of the test

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        """The first test of a module takes as long as all of them: the guest's own deadline is to end it."""
        for item in items:
            if HERE in item.path.parents:
                item.add_marker(pytest.mark.timeout(_needs(item).deadline_s + _AROUND_S))

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> bool | None:
        if HERE not in item.path.parents:
            return None
        if item.path not in self._reports:
            together = [one for one in item.session.items if one.path == item.path]
            self._reports[item.path] = _run(together)
        item.ihook.pytest_runtest_logstart(nodeid=item.nodeid, location=item.location)
        for report in self._reports[item.path][item.nodeid]:
            item.ihook.pytest_runtest_logreport(report=report)
        item.ihook.pytest_runtest_logfinish(nodeid=item.nodeid, location=item.location)
        return True


def _run(items: list[pytest.Item]) -> dict[str, list[pytest.TestReport]]:
    """What became of tests of one module."""
    needs = _needs(items[0])
    try:
        lab = prepare()
        for part, wanted in ((IGB, needs.igb), (NETDEVSIM, needs.netdevsim)):
            if wanted and part in lab.missing:
                raise Unavailable(f"{part}: {lab.missing[part]}")
    except Unavailable as reason:
        return {item.nodeid: [_skipped(item, f"no virtual machine for it: {reason}")] for item in items}
    records = DIRECTORY / "records"
    records.mkdir(exist_ok=True)
    record = Path(tempfile.mkdtemp(prefix=f"{items[0].path.stem}-", dir=records))
    argv = [
        sys.executable,
        "-m",
        "pytest",
        "-p",
        "no:cacheprovider",
        "-p",
        "no:xdist",
        "--timeout=0",  # the guest has a deadline of its own
        *(item.nodeid for item in items),
    ]
    hardware = Hardware(needs.memory_mib, needs.processors, needs.igb)
    environment = {REPORTS: str(WORK / "reports"), "PYTHONDONTWRITEBYTECODE": "1"}
    try:
        said = run_in_guest(lab, argv, record, hardware, environment, needs.deadline_s).output
    except LabError as fault:
        said = str(fault)
    found = _read(items[0].config, record / "reports")
    for item in items:
        if not any(report.when == "teardown" for report in found.get(item.nodeid, ())):
            found.setdefault(item.nodeid, []).append(
                _failed(item, f"the guest did not finish this test.\n{said[-3000:]}")
            )
    reports = [report for item in items for report in found[item.nodeid]]
    if any(report.failed for report in reports):
        tail = "\n".join((record / "console.log").read_text().splitlines()[-_TAIL:])
        next(report for report in reports if report.failed).sections.append((f"console, see {record}", tail))
    else:
        shutil.rmtree(record)
    return found


def _needs(item: pytest.Item) -> Needs:
    marker = item.get_closest_marker("guest")
    return Needs(**marker.kwargs) if marker else Needs()


def _read(config: pytest.Config, file: Path) -> dict[str, list[pytest.TestReport]]:
    found: dict[str, list[pytest.TestReport]] = {}
    for line in file.read_text().splitlines() if file.exists() else ():
        report: Any = config.hook.pytest_report_from_serializable(config=config, data=json.loads(line))
        if isinstance(report.longrepr, list):
            report.longrepr = tuple(report.longrepr)  # of a skipped one; JSON has no tuples
        found.setdefault(report.nodeid, []).append(report)
    return found


def _skipped(item: pytest.Item, reason: str) -> pytest.TestReport:
    where = (str(item.path), (item.location[1] or 0) + 1, f"Skipped: {reason}")
    return pytest.TestReport(item.nodeid, item.location, {}, "skipped", where, "setup")


def _failed(item: pytest.Item, why: str) -> pytest.TestReport:
    return pytest.TestReport(item.nodeid, item.location, {}, "failed", why, "call")
