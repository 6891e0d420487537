"""Container runtimes for tests, of Debian packages that are unpacked below `.runtimes` in this clone, not installed.

Installed, each of them starts a service: nothing that a test may do to a machine. Prepared once; a minute, 300 MB.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path

from lab.unpacked import LIBRARIES, unpacked
from lab.vm.packages import Packages

DIRECTORY = Path(__file__).resolve().parents[1] / ".runtimes"
_PACKAGES = ("podman", "conmon", "crun", "runc", "containerd", "docker.io")
_PROGRAMS = ("usr/bin", "usr/sbin", "sbin", "bin")
_CONTAINERS_CONF = """\
[engine]
static_dir = "{scratch}/libpod"
tmp_dir = "{scratch}/tmp"
volume_path = "{scratch}/volumes"
lock_type = "file"
conmon_path = ["{conmon}"]
cgroup_manager = "cgroupfs"
events_logger = "none"
[engine.runtimes]
crun = ["{crun}"]
[network]
network_config_dir = "{scratch}/cni"
[containers]
seccomp_profile = "{seccomp}"
"""
_STORAGE_CONF = """\
[storage]
driver = "vfs"
graphroot = "{scratch}/storage"
runroot = "{scratch}/run"
"""


def prepare(say: Callable[[str], None] = print) -> Path:
    """The root directory of what was unpacked. Raises lab.vm.packages.Unavailable."""
    return unpacked(
        DIRECTORY, _fetch, lambda: say(f"unpacking container runtimes in {DIRECTORY}: about a minute, 300 MB")
    )


def _fetch(packages: Packages, root: Path) -> None:
    packages.fetch_with_needs(root, *_PACKAGES)


def environment(root: Path, scratch: Path) -> Mapping[str, str]:
    """Variables with which the programs are found, and Podman keeps all it has below `scratch`."""
    places = [root / place for place in _PROGRAMS]
    libraries = sorted(map(str, root.glob(LIBRARIES)))
    found = {name: shutil.which(name, path=os.pathsep.join(map(str, places))) for name in ("conmon", "crun")}
    seccomp = root / "usr" / "share" / "containers" / "seccomp.json"
    containers, storage = scratch / "containers.conf", scratch / "storage.conf"
    containers.write_text(_CONTAINERS_CONF.format(scratch=scratch, seccomp=seccomp, **found))
    storage.write_text(_STORAGE_CONF.format(scratch=scratch))
    return {
        "PATH": os.pathsep.join([*map(str, places), os.environ["PATH"]]),
        "LD_LIBRARY_PATH": os.pathsep.join(libraries),
        "CONTAINERS_CONF": str(containers),
        "CONTAINERS_STORAGE_CONF": str(storage),
    }
