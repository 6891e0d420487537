"""libvirt's own schemas, and a program that validates, of Debian packages that are unpacked below `.libvirt` in this
clone, not installed. Prepared once; some seconds, 30 MB.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

from lab.unpacked import LIBRARIES, unpacked
from lab.vm.packages import Packages

DIRECTORY = Path(__file__).resolve().parents[1] / ".libvirt"
_SCHEMAS, _PROGRAM = "usr/share/libvirt/schemas", "usr/bin/xmllint"
_DOMAIN = """\
<domain type='qemu'>
  <name>vm</name>
  <memory unit='MiB'>512</memory>
  <os><type>hvm</type></os>
  <devices>
{device}
  </devices>
</domain>
"""


def prepare(say: Callable[[str], None] = print) -> Path:
    """The root directory of what was unpacked. Raises lab.vm.packages.Unavailable."""
    return unpacked(DIRECTORY, _fetch, lambda: say(f"unpacking libvirt's schemas in {DIRECTORY}: some seconds, 30 MB"))


def _fetch(packages: Packages, root: Path) -> None:
    packages.fetch(root, "libvirt0")  # without what it needs to run
    packages.fetch_with_needs(root, "libxml2-utils")


def faults(root: Path, device: str) -> str:
    """What is wrong with a domain that has this device, XML, in the validator's words; "": nothing."""
    schema = root / _SCHEMAS / "domain.rng"
    environment = {**os.environ, "LD_LIBRARY_PATH": os.pathsep.join(map(str, root.glob(LIBRARIES)))}
    done = subprocess.run(
        [str(root / _PROGRAM), "--noout", "--nonet", "--relaxng", str(schema), "-"],
        input=_DOMAIN.format(device=device),
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    return "" if done.returncode == 0 else done.stderr or f"{_PROGRAM} ended with {done.returncode}"
