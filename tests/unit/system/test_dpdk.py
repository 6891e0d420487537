"""What an embedded OVS-DPDK is told, and which huge pages are whose."""

from __future__ import annotations

from pathlib import Path

import pytest

from controller.config import Dpdk, StateDir, System, load, save
from controller.system import dpdk


@pytest.fixture
def pages(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    file = tmp_path / "nr_hugepages"
    monkeypatch.setattr(dpdk, "_PAGES", file)
    return file


def test_a_switch_without_dpdk_is_told_nothing() -> None:
    assert set(dpdk.other_config(None).values()) == {None}
    assert dpdk.other_config(None).keys() == dpdk.other_config(Dpdk(512, "0x2")).keys()


@pytest.mark.parametrize(
    ("now", "left"),
    [
        (300, 44),  # as they were added: 256 above the 44 of before
        (400, 144),  # somebody added 100 more
        (100, 44),  # somebody took some of them away
        (20, 20),  # or more than that
    ],
)
def test_only_what_was_added_is_taken_back(pages: Path, now: int, left: int) -> None:
    pages.write_text(f"{now}\n")
    dpdk.take_hugepages_back(Dpdk(512, "0x2", hugepages=256, hugepages_before=44))
    assert int(pages.read_text()) == left


def test_pages_that_were_not_asked_for_are_not_touched(pages: Path) -> None:
    told = Dpdk(512, "0x2")
    dpdk.add_hugepages(told)
    assert not pages.exists()
    pages.write_text("300\n")
    dpdk.take_hugepages_back(told)
    assert pages.read_text() == "300\n"


def test_it_is_remembered_with_the_system(tmp_path: Path) -> None:
    for told in (None, Dpdk(1024, "0x6", 10, 3)):
        save(System("h1", datapath="dpdk", dpdk=told), StateDir(tmp_path))
        assert load(StateDir(tmp_path)).dpdk == told
