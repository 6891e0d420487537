"""Real containers of real runtimes for tests: a root file system of busybox alone, and the daemons where one is needed.

The runtimes are unpacked, not installed (lab.runtimes). What they make outside of a test's directory goes with it.

Runtimes refuse a hybrid of both kinds of control groups, so each is started in a mount namespace of its own that shows
them the second kind; nothing of that is seen outside.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType

from tests.support.ovs_sandbox import Daemon, wait_until

_VIEW = 'mount -t cgroup2 none /sys/fs/cgroup && exec "$@"'
_SLEEP = "/bin/sleep"
_MAKE_OUTSIDE = tuple(
    map(Path, ("/etc/docker", "/run/containerd", "/run/docker", "/opt/containerd", "/run/crun", "/etc/cni"))
)


def apart(*argv: str) -> list[str]:
    """The command in a mount namespace in which there are control groups of the second kind only."""
    return ["unshare", "--mount", "sh", "-c", _VIEW, "sh", *argv]


def run(*argv: str, **environment: str) -> str:
    """Output goes to a file: a container that is left running keeps what it was given open."""
    with tempfile.TemporaryFile("w+") as output:
        done = subprocess.run(
            argv, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT, check=False, timeout=60,
            env={**os.environ, **environment},
        )  # fmt: skip
        output.seek(0)
        text = output.read()
    assert done.returncode == 0, f"{' '.join(argv)}: {text}"
    return text


class RootFs:
    """A directory with a root file system, and a bundle for crun and runc beside it; gone afterwards."""

    def __init__(self) -> None:
        self.path = Path(tempfile.mkdtemp(prefix="wc", dir="/tmp"))
        self.name = f"wc{os.getpid()}"  # of containers
        self.daemons: list[Daemon] = []
        self._left = [place for place in _MAKE_OUTSIDE if not place.exists()]

    def __enter__(self) -> RootFs:
        binaries = self.root / "bin"
        binaries.mkdir(parents=True)
        shutil.copy("/bin/busybox", binaries)
        (binaries / "sleep").symlink_to("busybox")
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        for daemon in reversed(self.daemons):
            daemon.stop()
        for place in (self.path, *self._left):
            shutil.rmtree(place, ignore_errors=True)

    @property
    def root(self) -> Path:
        return self.path / "root"

    def bundle(self) -> Path:
        """For crun: without limits, which not every machine lets one set."""
        run("sh", "-c", f"cd {self.path} && rm -f config.json && crun spec")
        file = self.path / "config.json"
        spec = json.loads(file.read_text())
        spec["root"] = {"path": str(self.root)}
        spec["process"] |= {"args": [_SLEEP, "1000"], "terminal": False}
        del spec["process"]["rlimits"]
        spec["linux"].pop("resources", None)
        file.write_text(json.dumps(spec))
        return self.path

    def start(self, argv: Sequence[str], socket: Path) -> None:
        """A daemon, ready when its socket is there."""
        self.daemons.append(Daemon(apart(*argv), self.path / f"{argv[0]}.log"))
        wait_until(socket.is_socket, f"{argv[0]} on {socket}")


def podman_run(files: RootFs, name: str) -> None:
    limits = ("--ulimit=nofile=1024:1024", "--ulimit=nproc=1000:1000", "--cgroups=disabled")
    argv = ("podman", "run", "--detach", f"--name={name}", "--network=none", *limits, "--rootfs", str(files.root))
    run(*apart(*argv, _SLEEP, "1000"))


def podman(*argv: str) -> None:
    run(*apart("podman", *argv))
