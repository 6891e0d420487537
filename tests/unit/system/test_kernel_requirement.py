from __future__ import annotations

from pathlib import Path

import pytest

from controller.system import requirements
from controller.system.errors import SystemFault
from controller.system.requirements import Request

KERNEL = Request(datapath="kernel")


@pytest.fixture(autouse=True)
def programs_are_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(requirements.shutil, "which", lambda name: f"/usr/bin/{name}")


def test_a_loaded_module_is_enough(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(requirements, "_MODULE", tmp_path)
    requirements.check_machine(KERNEL, tmp_path)


@pytest.mark.parametrize(
    ("modules", "words"),
    [
        ("kernel/net/openvswitch/openvswitch.ko.xz:\n", "is not loaded. Run: modprobe openvswitch"),
        ("kernel/net/sched/sch_htb.ko.xz:\n", "has no module openvswitch. Boot a kernel that has it"),
        (None, "has no module openvswitch"),
    ],
)
def test_a_kernel_without_it_is_named(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, modules: str | None, words: str
) -> None:
    monkeypatch.setattr(requirements, "_MODULE", tmp_path / "none")
    monkeypatch.setattr(requirements, "_MODULES", tmp_path)
    if modules is not None:
        place = tmp_path / requirements.os.uname().release
        place.mkdir()
        (place / "modules.dep").write_text(modules)
    with pytest.raises(SystemFault) as fault:
        requirements.check_machine(KERNEL, tmp_path)
    assert words in str(fault.value)
    requirements.check_machine(Request(), tmp_path)
