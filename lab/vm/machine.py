"""An emulated machine under way: what its console says, and how it ends.

    with Machine(lab.emulator, Boot(lab.kernel.image, initrd), devices, console=log) as machine:
        machine.await_line("ready", 30)

It dies with us, whatever happens.
"""

from __future__ import annotations

import os
import re
import subprocess
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

from lab.children import LabError, wait_until, within
from lab.vm.emulator import Emulator

# Without KVM. String instructions are emulated byte by byte: hidden, the guest's kernel copies four times as fast.
_ALWAYS = (
    "-accel", "tcg,thread=multi,tb-size=256", "-machine", "q35", "-cpu", "max,-erms,-fsrm", "-nodefaults",
    "-display", "none", "-no-reboot", "-monitor", "none", "-chardev", "stdio,id=console,signal=off",
    "-serial", "chardev:console", "-device", "virtio-rng-pci",
)  # fmt: skip
_COMMAND_LINE = "console=ttyS0 quiet panic=-1 mitigations=off random.trust_cpu=on nokaslr net.ifnames=0"
_ESCAPES = re.compile(r"\x1b(\[[0-9;?=]*[A-Za-z]|c)|\r")
_GRACE_S = 5.0


@dataclass(frozen=True, slots=True)
class Boot:
    """command_line: more words for the kernel."""

    image: Path
    initrd: Path
    memory_mib: int = 256
    processors: int = 1  # emulated ones get in each other's way: one is the fastest for most things
    command_line: str = ""


class Machine:
    """Starts with the object; `with` ends it."""

    def __init__(
        self,
        emulator: Emulator,
        boot: Boot,
        devices: Sequence[str] = (),
        console: Path | None = None,
        namespace: str | None = None,
    ) -> None:
        """devices: more arguments of QEMU. console: file for all that is said. namespace: where taps are found."""
        argv = [
            *emulator.argv, *_ALWAYS, "-smp", str(boot.processors), "-m", str(boot.memory_mib),
            "-kernel", str(boot.image), "-initrd", str(boot.initrd),
            "-append", f"{_COMMAND_LINE} {boot.command_line}", *devices,
        ]  # fmt: skip
        self.lines: list[str] = []
        self._log = console.open("w") if console else None
        self._process = subprocess.Popen(
            ["setpriv", "--pdeathsig", "KILL", *(within(namespace, argv) if namespace else argv)],
            env={**os.environ, **emulator.environment},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            bufsize=1,
            start_new_session=True,  # a ^C is ours to handle
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def __enter__(self) -> Machine:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.end()

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def runs(self) -> bool:
        return self._process.poll() is None

    def tell(self, line: str) -> None:
        """One line to what reads the guest's console."""
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(line + "\n")
            self._process.stdin.flush()
        except OSError as fault:
            raise self._fault("it does not run any more") from fault

    def await_line(self, pattern: str, deadline_s: float, after: int = 0) -> str:
        """The first line of the console with a match, from line `after` on; already said or to come."""
        wanted = re.compile(pattern)

        def look() -> str | None:
            ended = not self.runs and not self._reader.is_alive()
            found = next((line for line in self.lines[after:] if wanted.search(line)), None)
            if ended and found is None:
                raise self._fault(f"ended without saying '{pattern}'")
            return found

        try:
            return wait_until(look, f"the console says '{pattern}'", deadline_s) or ""
        except LabError as fault:
            raise self._fault(str(fault)) from None

    def await_end(self, deadline_s: float) -> None:
        """Returns when the guest has switched itself off. Raises LabError when it has not by then."""
        try:
            self._process.wait(deadline_s)
        except subprocess.TimeoutExpired:
            raise self._fault(f"still runs after {deadline_s:g} s") from None
        self._reader.join(_GRACE_S)

    def end(self) -> None:
        """As if its power were cut."""
        if self.runs:
            self._process.kill()
        self._process.wait()
        self._reader.join(_GRACE_S)
        if self._log is not None:
            self._log.close()

    def _fault(self, what: str) -> LabError:
        return LabError(f"the virtual machine: {what}; it said: {' | '.join(self.lines[-5:])}")

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            plain = _ESCAPES.sub("", line).rstrip()
            if not plain:
                continue
            self.lines.append(plain)
            if self._log is not None:
                print(f"{time.strftime('%H:%M:%S')} {plain}", file=self._log, flush=True)
