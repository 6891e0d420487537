"""Container runtimes that are asked by their own program: Podman without a service, crun and runc, containerd."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

from controller.host.container_answer import Answer, Silent
from controller.host.errors import HostError

TIMEOUT_S = 5.0
_RUNS = ("running", "paused")
_FULL_ID = 64
_CONTAINERD = Path("/run/containerd/containerd.sock")


def podman(container: str) -> Answer | None:
    """None: it has no such container. Raises Silent; HostError when several are called so."""
    done = _run("podman", "container", "inspect", "--", container)
    if done.returncode != 0:
        words = _words(done)
        if "no such container" in words or "no such object" in words:
            return None
        if "more than one" in words or "multiple" in words:
            raise HostError(
                f"container {container}: podman has several that begin so", "Give the whole id, or the name"
            )
        raise Silent(f"podman: {words}")
    state = _json("podman", done)[0]["State"]
    return Answer(int(state["Pid"]) if state["Running"] else 0, str(state["Status"]))


def oci(program: str, container: str) -> Answer | None:
    """crun and runc know whole ids alone. None: no such container. Raises Silent."""
    done = _run(program, "state", container)
    if done.returncode != 0:
        return None
    state = _json(program, done)
    return Answer(int(state["pid"]) if state["status"] in _RUNS else 0, str(state["status"]))


def containerd(container: str) -> Answer | None:
    """In every namespace of containerd; the start of an id will do. None: no such task. Raises Silent, HostError."""
    if not _CONTAINERD.is_socket():  # ctr would wait for it
        raise Silent(f"nothing listens on {_CONTAINERD}")
    found: dict[str, Answer] = {}
    for space in _succeed("ctr", "namespaces", "list", "--quiet").split():
        table = _succeed("ctr", "--namespace", space, "tasks", "list").splitlines()[1:]
        for task, pid, state in (line.split()[:3] for line in table if len(line.split()) >= 3):
            if task == container or (len(task) == _FULL_ID and task.startswith(container)):
                found[f"{space}/{task}"] = Answer(int(pid) if state.lower() in _RUNS else 0, state.lower())
    if len(found) > 1:
        raise HostError(f"container {container}: containerd has {', '.join(sorted(found))}", "Give the whole id")
    return next(iter(found.values()), None)


def _succeed(*argv: str) -> str:
    done = _run(*argv)
    if done.returncode != 0:
        raise Silent(f"{argv[0]}: {_words(done)}")
    return done.stdout


def _run(*argv: str) -> subprocess.CompletedProcess[str]:
    try:
        return subprocess.run(
            argv, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=TIMEOUT_S, check=False
        )
    except subprocess.TimeoutExpired as fault:
        raise Silent(f"{argv[0]} has not answered within {TIMEOUT_S:g} s", lasts=True) from fault
    except OSError as fault:
        raise Silent(f"{argv[0]} cannot be run ({fault.strerror})") from fault


def _json(program: str, done: subprocess.CompletedProcess[str]) -> Any:
    try:
        return json.loads(done.stdout)
    except ValueError as fault:
        raise Silent(f"{program} answers what cannot be read") from fault


def _words(done: subprocess.CompletedProcess[str]) -> str:
    lines = done.stderr.strip().splitlines()
    return lines[-1].strip().rstrip(".") if lines else f"exit status {done.returncode}"
