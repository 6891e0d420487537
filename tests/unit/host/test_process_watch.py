from __future__ import annotations

import select
import subprocess
from collections.abc import Iterator

import pytest

from controller.host.process import Process, start_time
from controller.host.process_watch import ProcessWatch


@pytest.fixture
def child() -> Iterator[subprocess.Popen[bytes]]:
    with subprocess.Popen(["sleep", "1000"]) as process:
        yield process
        process.kill()


def of(child: subprocess.Popen[bytes]) -> Process:
    started = start_time(child.pid)
    assert started is not None
    return Process(child.pid, started)


def test_an_end_is_told_once_and_whoever_has_ended_is_not_followed(child: subprocess.Popen[bytes]) -> None:
    watch, process = ProcessWatch(), of(child)
    watch.follow({process})
    watch.follow({process})
    (descriptor,) = watch.descriptors
    assert not watch.ended()
    child.kill()
    assert select.select([descriptor], [], [], 10)[0] == [descriptor]
    assert watch.ended() and not watch.ended()
    watch.follow({process})  # a zombie, until its parent asks for it
    assert not watch.descriptors


def test_whom_nobody_wants_to_know_about_is_let_go(child: subprocess.Popen[bytes]) -> None:
    watch, process = ProcessWatch(), of(child)
    watch.follow({process, Process(process.pid, process.started - 1)})  # another one had its number before
    assert len(watch.descriptors) == 1
    watch.close()
    assert not watch.descriptors and not watch.ended()
