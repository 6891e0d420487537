"""What `weir up` and `weir down` decide before and besides what they make."""

from __future__ import annotations

from pathlib import Path

import pytest

from controller import config
from controller.config import Found, StateDir, System, Uplink
from controller.system import lifecycle, processes, requirements
from controller.system.errors import SystemFault
from controller.system.processes import Running


def test_only_the_lock_itself_says_that_another_is_at_work(tmp_path: Path) -> None:
    directory = StateDir(tmp_path)
    with pytest.raises(BlockingIOError, match="from within"), lifecycle.exclusively(directory):
        raise BlockingIOError("from within")
    with (
        lifecycle.exclusively(directory),
        pytest.raises(SystemFault, match="another weir up or weir down"),
        lifecycle.exclusively(directory),
    ):
        pass


def test_down_gives_up_on_what_never_ends(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(processes, "of_system", lambda path: [Running("hydra", 4711, 1, leader=True)])
    monkeypatch.setattr(processes, "end", lambda running, grace_s: True)
    with pytest.raises(SystemFault, match=r"does not end, or starts anew: hydra \(pid 4711\)"):
        lifecycle.stop(None, StateDir(tmp_path))


@pytest.mark.parametrize(
    ("hostname", "chassis"),
    [("host-1.example", "host-1.example"), ("a b:c", "a-b-c"), ("", "host"), ("x" * 70, "x" * 64)],
)
def test_a_host_may_have_any_name(hostname: str, chassis: str) -> None:
    assert requirements.chassis_name(hostname) == chassis
    requirements.check_agent(chassis, "br-weir", ())


def test_a_record_is_read_as_it_was_written(tmp_path: Path) -> None:
    found = Found(up=True, promiscuous=False, mtu=1400, disable_ipv6=None, offloads=("tx-tcp-segmentation",))
    system = System(chassis="h", uplinks=(Uplink("out"), Uplink("wan", "eth1", found)))
    config.save(system, StateDir(tmp_path))
    assert config.load(StateDir(tmp_path)) == system
