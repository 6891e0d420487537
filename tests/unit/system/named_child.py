"""A process that has given itself a name, which need not be text."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

_CODE = """
import ctypes, os, time
ctypes.CDLL(None).prctl(15, {!r}, 0, 0, 0)  # PR_SET_NAME, see prctl(2)
os.setuid({})
print(flush=True)
time.sleep(1000)
"""


@contextmanager
def named_child(
    name: bytes, environment: Mapping[str, str] | None = None, user: int | None = None
) -> Iterator[subprocess.Popen[bytes]]:
    """name: of at most 15 bytes. environment, user: of this process unless given."""
    code = _CODE.format(name, os.getuid() if user is None else user)
    with subprocess.Popen([sys.executable, "-I", "-S", "-c", code], env=environment, stdout=subprocess.PIPE) as child:
        try:
            assert child.stdout is not None
            assert child.stdout.readline()
            yield child
        finally:
            child.kill()
