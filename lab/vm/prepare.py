"""The lab is prepared once, below `.vm` in this clone, of Debian packages that are unpacked and not installed.

lab = prepare()     # a minute the first time, a look at what is there from then on
"""

from __future__ import annotations

import fcntl
import json
import os
import platform
import shutil
import subprocess
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lab.vm import emulator, netdevsim
from lab.vm.emulator import Emulator
from lab.vm.kernel import Kernel, read_module
from lab.vm.packages import Packages, Unavailable

DIRECTORY = Path(__file__).resolve().parents[2] / ".vm"
NETDEVSIM, IGB = "netdevsim", "igb"
_VERSION = 1  # of what is prepared: an older one is made anew
_KERNELS = ("linux-image-6.12-amd64", "linux-image-amd64")  # the first that there is
_KEPT_PLAIN = (  # modules that guests load: decompression is slow in an emulated one
    "net", "lib", "crypto", "fs/9p", "fs/netfs", "fs/overlayfs", "drivers/vfio", "drivers/virtio", "drivers/vhost",
    "drivers/ptp", "drivers/dca", "drivers/i2c/algos", "drivers/net/*.ko.xz", "drivers/net/vxlan",
    "drivers/net/ethernet/intel",
)  # fmt: skip
_PATH = f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"  # where depmod is, for users whose path lacks it


@dataclass(frozen=True, slots=True)
class Lab:
    """missing: what could not be had, and why: NETDEVSIM, or IGB, real SR-IOV in QEMU."""

    kernel: Kernel
    emulator: Emulator
    missing: Mapping[str, str]


def prepare(say: Callable[[str], None] = print) -> Lab:
    """The lab, made when it is not there; others who ask meanwhile wait. Raises Unavailable when there can be none."""
    if platform.machine() != "x86_64":
        raise Unavailable(f"the VM lab is made for x86_64, and this machine is {platform.machine()}")
    DIRECTORY.mkdir(exist_ok=True)
    with alone(DIRECTORY):
        made, scratch = DIRECTORY / "lab", DIRECTORY / "making"
        document = _read(made)
        if document is None:
            say(f"preparing the VM lab in {DIRECTORY}: about a minute, 350 MB")
            for old in (made, scratch):
                shutil.rmtree(old, ignore_errors=True)
            _make(scratch)
            (scratch / "made").rename(made)
            shutil.rmtree(scratch)
            document = _read(made)
            assert document is not None
    chosen = emulator.unpacked(made / "qemu") or emulator.installed()
    if chosen is None:
        raise Unavailable(f"no {emulator.PROGRAM} runs here: install the package qemu-system-x86")
    missing = dict(document["missing"])
    if chosen.has_igb:
        missing.pop(IGB, None)
    return Lab(Kernel(made, document["release"]), chosen, missing)


def _read(made: Path) -> dict[str, Any] | None:
    try:
        document: dict[str, Any] = json.loads((made / "lab.json").read_text())
    except (OSError, ValueError):
        return None
    return document if document["version"] == _VERSION else None


@contextmanager
def alone(directory: Path) -> Iterator[None]:
    """No other process of this machine is in such a block for that directory."""
    descriptor = os.open(directory / "lock", os.O_RDWR | os.O_CREAT, 0o644)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _make(scratch: Path) -> None:
    """Leaves the lab in scratch/made. Raises Unavailable for what it cannot be without."""
    packages, made = Packages(scratch / "apt"), scratch / "made"
    packages.update()
    kernel = _unpack_kernel(packages, scratch, made)
    missing = dict[str, str]()
    with _noted(missing, NETDEVSIM):
        netdevsim.build(packages, kernel, scratch / "netdevsim")
    with _noted(missing, IGB):
        emulator.fetch(packages, made / "qemu")
    _keep_plain(kernel)
    (made / "lab.json").write_text(json.dumps({"version": _VERSION, "release": kernel.release, "missing": missing}))


@contextmanager
def _noted(missing: dict[str, str], name: str) -> Iterator[None]:
    """The lab is of use without this."""
    try:
        yield
    except Unavailable as reason:
        missing[name] = str(reason)


def _unpack_kernel(packages: Packages, scratch: Path, made: Path) -> Kernel:
    image = next(
        (name for meta in _KERNELS for name in packages.depends(meta) if name.startswith("linux-image-")), None
    )
    if image is None:
        raise Unavailable(f"apt knows none of {', '.join(_KERNELS)}: the lab boots Debian's kernel")
    release = image.removeprefix("linux-image-")
    packages.fetch(scratch / "kernel", image, "busybox-static")
    root = scratch / "kernel"
    made.mkdir()
    kernel = Kernel(made, release)
    _first(root, "boot").joinpath(f"vmlinuz-{release}").rename(kernel.image)
    kernel.modules.parent.mkdir()
    _first(root, "usr/lib/modules", "lib/modules").rename(kernel.modules)
    _first(root, "usr/bin/busybox", "bin/busybox").rename(kernel.busybox)
    return kernel


def _first(root: Path, *places: str) -> Path:
    return next(path for path in map(root.joinpath, places) if path.exists())


def _keep_plain(kernel: Kernel) -> None:
    tree = kernel.modules / kernel.release
    places = [path for pattern in _KEPT_PLAIN for path in (tree / "kernel").glob(pattern)]
    files = [file for place in places for file in ([place] if place.is_file() else place.rglob("*.ko.xz"))]
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        list(pool.map(_decompress, files))
    argv = ["depmod", "-b", str(kernel.directory), kernel.release]
    done = subprocess.run(argv, env={**os.environ, "PATH": _PATH}, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise Unavailable(f"depmod: {done.stderr.strip()}")


def _decompress(file: Path) -> None:
    file.with_suffix("").write_bytes(read_module(file))
    file.unlink()
