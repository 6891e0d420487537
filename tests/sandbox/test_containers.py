"""Instances in containers, by real runtimes: found by id, its start or name; gone, and back with it."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from functools import partial
from itertools import pairwise
from pathlib import Path

import pytest

from controller.host import container_api
from controller.host.containers import Containers
from controller.host.errors import HostError
from controller.host.process import Process
from lab import runtimes
from lab.vm.packages import Unavailable
from tests.support.agent_host import Host, vif
from tests.support.container_lab import RootFs, apart, podman, podman_run, run
from tests.support.ovs_sandbox import wait_until

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")


@pytest.fixture(scope="module")
def unpacked() -> Path:
    try:
        return runtimes.prepare()
    except Unavailable as reason:
        pytest.skip(f"NOT RUN: containers of real runtimes: their Debian packages cannot be had here: {reason}")


@pytest.fixture
def files(unpacked: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[RootFs]:
    with RootFs() as files:
        for name, value in runtimes.environment(unpacked, files.path).items():
            monkeypatch.setenv(name, value)
        yield files


@pytest.fixture
def container(files: RootFs) -> Iterator[str]:
    """One of Podman, running."""
    podman_run(files, files.name)
    yield files.name
    subprocess.run(["podman", "rm", "--force", "--time=0", files.name], capture_output=True, check=False, timeout=60)


def inspected(name: str, what: str) -> str:
    return run("podman", "inspect", "--format", "{{" + what + "}}", name).strip()


def refusal(name: str, runtime: str) -> str:
    """ "": it has a process."""
    try:
        Containers().process(name, runtime)
    except HostError as fault:
        return str(fault)
    return ""


def test_podman_without_a_service_is_asked_by_its_program(container: str) -> None:
    containers = Containers()
    pid, whole = int(inspected(container, ".State.Pid")), inspected(container, ".Id")
    for text in (container, whole, whole[:12]):
        assert containers.process(text, "podman").pid == pid
    assert containers.process(whole, None).pid == pid  # crun knows it, too: the same process
    podman("stop", "--time=0", container)
    wait_until(lambda: "is not running (exited). Start it" in refusal(container, "podman"), "podman knows its end")
    with pytest.raises(HostError, match="podman knows no container no-such-one"):
        containers.process("no-such-one", "podman")


def test_podmans_service_is_asked_as_docker_is(container: str, files: RootFs) -> None:
    socket = files.path / "podman.sock"
    files.start(("podman", "system", "service", "--time=0", f"unix://{socket}"), socket)
    pid, whole = int(inspected(container, ".State.Pid")), inspected(container, ".Id")
    for text in (container, whole, whole[:12]):
        answer = container_api.ask(socket, text)
        assert answer is not None and answer.pid == pid
    assert container_api.ask(socket, "no-such-one") is None


def test_a_container_of_crun(files: RootFs) -> None:
    bundle = str(files.bundle())
    run(*apart("crun", "--cgroup-manager=disabled", "run", "--detach", f"--bundle={bundle}", files.name))
    try:
        found = Containers().process(files.name, "crun")
        assert found.runs and Containers().process(files.name, None) == found
    finally:
        run("crun", "delete", "--force", files.name)
    wait_until(lambda: not found.runs, "its end")
    with pytest.raises(HostError, match="crun knows no container"):
        Containers().process(files.name, "crun")


def test_a_container_of_containerd(files: RootFs) -> None:
    socket = Path("/run/containerd/containerd.sock")
    if any(path.read_text() == "containerd\n" for path in Path("/proc").glob("[0-9]*/comm")):
        pytest.skip("needs a machine without a containerd of its own: it would be reached instead of the test's")
    config = files.bundle() / "config.json"
    files.start(
        ("containerd", "--root", f"{files.path}/c", "--state", f"{files.path}/s", "--address", str(socket)), socket
    )
    ctr = partial(run, "ctr", "--namespace", files.name)
    whole = "ab" * 32
    ctr("run", "--detach", "--runc-binary", "crun", "--config", str(config), whole)
    try:
        found = Containers().process(whole[:9], "containerd")
        assert found.runs and Containers().process(whole, None) == found
        ctr("tasks", "kill", "--signal", "KILL", whole)
        wait_until(lambda: not found.runs, "its end")
        wait_until(lambda: "is not running (stopped)" in refusal(whole, "containerd"), "containerd knows its end")
    finally:
        ctr("tasks", "rm", "--force", whole)
        ctr("containers", "rm", whole)
        ctr("namespaces", "rm", files.name)


def test_containers_of_docker(files: RootFs) -> None:
    socket = files.path / "docker.sock"
    files.start(
        (
            "dockerd", "--iptables=false", "--ip6tables=false", "--bridge=none", "--storage-driver=vfs",
            f"--data-root={files.path}/d", f"--exec-root={files.path}/e", f"--pidfile={files.path}/pid",
            f"--host=unix://{socket}",
        ),
        socket,
    )  # fmt: skip
    docker = partial(run, "docker", f"--host=unix://{socket}")
    run("sh", "-c", f"tar -C {files.root} -c . | docker --host=unix://{socket} import - empty")
    containers = Containers({"docker": partial(container_api.ask, socket)})
    ids = [docker("run", "--detach", "--network=none", "empty", "/bin/sleep", "1000").strip() for _ in range(17)]
    pids = {one: containers.process(one, "docker").pid for one in ids}
    assert len(set(pids.values())) == len(ids)
    assert containers.process(ids[0][:12], "docker").pid == pids[ids[0]]
    firsts = [one[0] for one in ids]
    common = next(first for first in firsts if firsts.count(first) > 1)  # 17 ids, 16 digits
    with pytest.raises(HostError, match=r"prefix.*\. Give its whole id"):
        containers.process(common, "docker")
    docker("rm", "--force", *ids)
    with pytest.raises(HostError, match="docker knows no container"):
        containers.process(ids[0], "docker")


def test_a_container_that_ends_and_starts_again_gets_its_interface_back(host: Host, container: str) -> None:
    host.start()
    host.request(vif("web1", 7, binding={"container": container, "runtime": "podman"}))
    place = Path((host.await_state("web1", "ready")).details["place"])
    assert "10.9.0.7/24" in addresses(place)
    podman("stop", "--time=0", container)
    host.await_error("web1", f"container {container} is not running")
    assert host.links() == []
    podman("start", container)
    second = Path(host.await_state("web1", "ready").details["place"])
    assert second != place and "10.9.0.7/24" in addresses(second)
    host.await_tried(host.request(delete=("web1",)))
    assert "10.9.0.7" not in addresses(second)


def test_one_that_is_started_again_after_long_has_its_interface_within_two_seconds(
    host: Host, container: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Though its runtime is asked ever more seldom while it is not there. On a busy machine all takes longer."""
    asked, program = tmp_path / "asked", tmp_path / "podman"
    program.write_text(f'#!/bin/sh\ndate +%s.%N >> {asked}\nexec {shutil.which("podman")} "$@"\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    host.start()
    asked_s = time.monotonic()
    host.request(vif("web1", 7, binding={"container": container, "runtime": "podman"}))
    host.await_state("web1", "ready")
    first_s = time.monotonic() - asked_s
    podman("kill", container)
    host.await_error("web1", "is not running")
    before = len(asked.read_text().split())
    wait_until(lambda: longest_pause_s(asked, before) > 3, "it is asked less often")
    podman("start", container)
    started_s = time.monotonic()
    host.await_state("web1", "ready")
    assert time.monotonic() - started_s < 2 + first_s


def test_wrong_containers_are_errors_that_say_what_to_do(host: Host) -> None:
    host.start()
    host.request(
        vif("a", 7, binding={"container": "no-such-one"}), vif("b", 8, binding={"container": "x", "runtime": "docker"})
    )
    assert "Start it" in host.await_error("a", "no container runtime of this host knows a container no-such-one")
    host.await_error("b", r"docker knows no container x \(nothing listens on /run/docker.sock\)")


def longest_pause_s(times: Path, after: int) -> float:
    """Between two of the times that follow the first `after` - 1: one that still clears up is soon asked again."""
    found = [float(text) for text in times.read_text().split()[after - 1 :]]
    return max((last - before for before, last in pairwise(found)), default=0.0)


def addresses(place: Path) -> str:
    return run("nsenter", f"--net={place}", "--", "ip", "addr")


def test_a_process_is_known_by_its_start() -> None:
    assert not Process(os.getpid(), 1).runs
