"""Program: a command to which /dev/net/tun is open whoever it is, as udev leaves it; some machines have no udev.

    unshare --mount python open_tun.py COMMAND...

In a mount namespace of its own, as root: the machine's device stays as it is. Becomes the command.
"""

from __future__ import annotations

import os
import stat
import subprocess
import sys

_DEVICE, _DIRECTORY = "/dev/net/tun", "/dev/net"
_OPEN = stat.S_IFCHR | 0o666


def main() -> None:
    number = os.stat(_DEVICE).st_rdev
    subprocess.run(["mount", "-t", "tmpfs", "-o", "mode=0755", "tmpfs", _DIRECTORY], check=True)
    os.umask(0)
    os.mknod(_DEVICE, _OPEN, number)
    os.execvp(sys.argv[1], sys.argv[1:])


if __name__ == "__main__":
    main()
