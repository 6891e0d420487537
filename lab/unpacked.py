"""Debian packages unpacked in a directory of this clone, once, and used from there."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

from lab.vm.packages import Packages
from lab.vm.prepare import alone

LIBRARIES = "usr/lib/*-linux-gnu*"  # below the root directory of what was unpacked


def unpacked(directory: Path, fetch: Callable[[Packages, Path], None], say: Callable[[], None]) -> Path:
    """The root directory of what was unpacked, which is done when it is not there; others who ask meanwhile wait.

    fetch: unpacks what is wanted into the path that it is given. say: is called before. Raises
    lab.vm.packages.Unavailable.
    """
    directory.mkdir(exist_ok=True)
    root, scratch = directory / "root", directory / "making"
    with alone(directory):
        if not root.exists():
            say()
            shutil.rmtree(scratch, ignore_errors=True)
            packages = Packages(scratch / "apt")
            packages.update()
            fetch(packages, scratch / "root")
            (scratch / "root").rename(root)
            shutil.rmtree(scratch)
    return root
