"""What `weir up` and `weir down` decide before and besides what they make."""

from __future__ import annotations

from pathlib import Path

import pytest

from controller import config
from controller.config import Found, StateDir, System, Uplink
from controller.host import send_buffer
from controller.host.errors import HostError
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


def test_buffers_that_cannot_be_put_back_are_told_and_their_record_stays(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def put_back(record: Path) -> None:
        if record.name == "raised-buffers.h1.json":
            raise HostError("no right", "Be root")
        record.unlink()

    monkeypatch.setattr(processes, "of_system", lambda path: [])
    monkeypatch.setattr(send_buffer, "put_back", put_back)
    directory = StateDir(tmp_path)
    directory.run.mkdir()
    for name in ("raised-buffers.h1.json", "raised-buffers.h2.json", "raised-buffers.h1.new"):
        (directory.run / name).touch()
    notes = lifecycle.stop(None, directory)
    assert notes == ["buffers of Open vSwitch stay raised: no right. Be root."]
    assert [left.name for left in directory.run.iterdir()] == ["raised-buffers.h1.json"]


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
