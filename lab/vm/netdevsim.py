"""The kernel's netdevsim, a NIC of which only the control side is simulated: Debian leaves it out of its packages.

Built from the very source of the kernel that it is for, outside the kernel's tree.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

from lab.vm.kernel import Kernel
from lab.vm.packages import Packages, Unavailable

_PLACE = "drivers/net/netdevsim"
_MOST_S = 600.0


def build(packages: Packages, kernel: Kernel, scratch: Path) -> None:
    """Adds the module to the kernel's. scratch: a directory for what is needed meanwhile. Raises Unavailable."""
    tree = kernel.modules / kernel.release
    if list((tree / "kernel" / _PLACE).glob("netdevsim.ko*")):
        return
    for program in ("make", "gcc-12", "strip"):
        if shutil.which(program) is None:
            raise Unavailable(f"netdevsim is built from source, and {program} is missing (packages make, gcc-12)")
    headers = _headers(packages, kernel.release, scratch)
    source = _source(packages, kernel.release, scratch)
    arguments = [f"-j{os.cpu_count()}", "-C", str(headers), f"M={source}", "CONFIG_NETDEVSIM=m", "modules"]
    _run("make", "-s", *arguments)
    (tree / "updates").mkdir(exist_ok=True)
    _run("strip", "--strip-debug", "-o", str(tree / "updates" / "netdevsim.ko"), str(source / "netdevsim.ko"))


def _headers(packages: Packages, release: str, scratch: Path) -> Path:
    flavour_of = re.sub(r"-amd64$", "", release)
    names = (f"linux-headers-{release}", f"linux-headers-{flavour_of}-common", f"linux-kbuild-{flavour_of}")
    packages.fetch(scratch / "headers", *names)
    headers = scratch / "headers" / "usr" / "src" / f"linux-headers-{release}"
    makefile = headers / "Makefile"
    makefile.write_text(makefile.read_text().replace("include /usr/src", f"include {scratch}/headers/usr/src"))
    (headers / "vmlinux").unlink(missing_ok=True)  # without it no type information is made, which takes more tools
    return headers


def _source(packages: Packages, release: str, scratch: Path) -> Path:
    series = ".".join(release.split(".")[:2])
    package, version = f"linux-source-{series}", packages.version(f"linux-image-{release}")
    tarball = scratch / "source.tar.xz"
    packages.fetch_file(f"{package}={version}", f"./usr/src/{package}.tar.xz", tarball)
    _run("tar", "-xJf", str(tarball), "-C", str(scratch), f"{package}/{_PLACE}")
    return scratch / package / _PLACE


def _run(*argv: str) -> None:
    done = subprocess.run(argv, capture_output=True, text=True, timeout=_MOST_S, check=False)
    if done.returncode != 0:
        said = [line for line in (done.stdout + done.stderr).splitlines() if line.strip()]
        raise Unavailable(f"building netdevsim: {argv[0]}: {' '.join(said[-3:])}")
