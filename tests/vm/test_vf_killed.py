"""An agent that is killed before any of the things that it does to a virtual function leaves nothing that stays."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from ovsdb.rows import VirtualInterface
from tests.support.virtual_functions import Agent, killed_at_step, make_vfs, nic_state, run, vf

pytestmark = pytest.mark.guest(igb=True)


@pytest.fixture(scope="module", autouse=True)
def modules() -> None:
    run("modprobe", "-a", "igb", "igbvf", "vfio-pci")


@pytest.fixture
def nic() -> str:
    """Its device, with two VFs that nobody uses."""
    return make_vfs(2)


@pytest.mark.parametrize("binding", [{}, {"pci": "vfio"}], ids=["device", "vfio"])
def test_killed_before_any_step_of_creating_it_leaks_nothing(nic: str, tmp_path: Path, binding: dict[str, str]) -> None:
    before, wanted, steps = nic_state(nic), vf("a", binding=binding), 0
    while killed_at_step(steps, lambda: _made_whole(tmp_path, wanted)):
        if steps % 2:
            _check(Agent(tmp_path).made(wanted)["a"].fault)
        _swept(tmp_path)
        _same(nic_state(nic), before, steps)
        steps += 1
    assert steps > 5
    _swept(tmp_path)
    _same(nic_state(nic), before, steps)


@pytest.mark.parametrize("binding", [{}, {"pci": "vfio"}], ids=["device", "vfio"])
def test_killed_before_any_step_of_deleting_it_leaks_nothing(nic: str, tmp_path: Path, binding: dict[str, str]) -> None:
    before, wanted, steps = nic_state(nic), vf("a", binding=binding), 0
    while True:
        _made_whole(tmp_path, wanted)
        went_on = killed_at_step(steps, lambda: _swept(tmp_path))
        _swept(tmp_path)
        _same(nic_state(nic), before, steps)
        steps += 1
        if not went_on:
            break
    assert steps > 5


def _made_whole(directory: Path, wanted: VirtualInterface) -> None:
    _check(Agent(directory).made(wanted)["a"].fault)


def _swept(directory: Path) -> None:
    agent = Agent(directory)
    agent.made()
    assert agent.kind._ledger.taken() == {}
    agent.making.remove_all()


def _check(fault: str | None) -> None:
    assert fault is None, fault


def _same(found: dict[str, Any], before: dict[str, Any], step: int) -> None:
    """But for the MAC that the VF's driver makes up at every start."""
    assert found["settings"] == before["settings"], f"step {step}"
    assert found["bound"] == before["bound"], f"step {step}"
    assert found["devices"].keys() == before["devices"].keys(), f"step {step}"
