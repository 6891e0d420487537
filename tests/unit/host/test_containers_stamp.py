"""When it is worth to ask a container runtime again."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from controller.host import namespace
from controller.host.container_answer import Answer
from controller.host.containers import LOOK_S, Containers
from controller.host.errors import HostError


class Clock:
    now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


def test_a_stamp_changes_with_what_runtimes_have_and_is_looked_at_seldom(tmp_path: Path) -> None:
    clock, states = Clock(), tmp_path / "runtime-runc" / "moby"
    states.mkdir(parents=True)
    containers = Containers({}, clock, (str(tmp_path / "absent"), str(tmp_path / "runtime-*" / "*")))
    first = containers.stamp()
    os.utime(states, ns=(0, 5))
    assert containers.stamp() is first
    clock.now_s += LOOK_S
    second = containers.stamp()
    assert second != first
    clock.now_s += LOOK_S
    assert containers.stamp() == second


def test_the_longer_asking_takes_the_more_seldom_it_is_done_for_a_stamp(tmp_path: Path) -> None:
    clock = Clock()

    def slow(container: str) -> Answer | None:
        clock.now_s += 1.0
        return None

    containers = Containers({"slow": slow}, clock, (str(tmp_path),))
    containers.stamp()
    for _ in range(10):
        with pytest.raises(HostError, match="knows no container"):
            containers.process("gone", "slow")
    clock.now_s += LOOK_S
    before = containers.stamp()
    os.utime(tmp_path, ns=(0, 5))
    clock.now_s += 49
    assert containers.stamp() is before
    clock.now_s += 1
    assert containers.stamp() != before


def test_a_network_that_one_cannot_see_is_not_the_hosts(monkeypatch: pytest.MonkeyPatch) -> None:
    answer = Answer(os.getpid(), "running")
    monkeypatch.setattr(namespace, "identity", lambda path: None)
    assert Containers({"x": lambda container: answer}).process("c1", "x").pid == os.getpid()
