"""Prepares the VM lab, or runs a command in a guest:  python -m lab.vm [--igb] [COMMAND...]

Without a command it prints a line `NAME: REASON` for each part of the lab that cannot be had on this machine. Exit
status 3: there can be no lab here at all.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from lab.vm.guest import Hardware, run_in_guest
from lab.vm.packages import Unavailable
from lab.vm.prepare import prepare

_NO_LAB = 3


def main(arguments: list[str]) -> int:
    igb = arguments[:1] == ["--igb"]
    command = arguments[1:] if igb else arguments
    try:
        lab = prepare(say=lambda text: print(text, file=sys.stderr, flush=True))
    except Unavailable as reason:
        print(reason)
        return _NO_LAB
    if not command:
        for name, why in lab.missing.items():
            print(f"{name}: {why}")
        return 0
    with tempfile.TemporaryDirectory(prefix="weir-guest-") as record:
        done = run_in_guest(lab, command, Path(record), Hardware(igb=igb))
    print(done.output)
    return done.status


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
