"""A DPDK application in the place of a VM: dpdk-testpmd, which serves the socket of a vhost-user port."""

from __future__ import annotations

import re
import tempfile
import threading
from collections.abc import Sequence
from pathlib import Path

from lab.children import DEADLINE_S, Child, Hosted, LabError, wait_until

PROGRAM = "dpdk-testpmd"
MEMORY_MB = 128


class Testpmd(Hosted):
    """Forwards from its start until the block ends. mode: as in `set fwd`; more: arguments of the application.

    Its memory is MEMORY_MB of the machine's huge pages, without any file.
    """

    __test__ = False  # no test of pytest's, whatever its name

    def __init__(self, namespace: str, socket: Path, mac: str, mode: str, more: Sequence[str] = ()) -> None:
        self._namespace = namespace
        device = f"net_virtio_user0,path={socket},server=1,mac={mac},queues=1"
        memory = ["--in-memory", "-m", str(MEMORY_MB), "--single-file-segments"]
        self._directory = Path(tempfile.mkdtemp(prefix="testpmd-", dir="/tmp"))
        self._argv = [
            "env", f"RUNTIME_DIRECTORY={self._directory}", "stdbuf", "-oL", PROGRAM,
            "--lcores", "0@0,1@0", "--no-pci", "--no-telemetry", *memory, f"--vdev={device}", "--",
            "-i", "--total-num-mbufs=8192", f"--forward-mode={mode}", *more,
        ]  # fmt: skip
        self._heard = threading.Condition()
        self._lines: list[str] = []

    def __enter__(self) -> Testpmd:
        self._child = Child(self._namespace, self._argv, self._on_line)
        try:
            wait_until(lambda: "Done" in self._said() or not self._child.runs, f"{PROGRAM} is ready", 60.0)
            if not self._child.runs:
                raise self._child.fault("ended")
            self._child.tell("start")
        except BaseException:
            self.end()
            raise
        return self

    def packets(self) -> tuple[int, int]:
        """Received and sent since its start."""
        with self._heard:
            self._lines.clear()
            self._child.tell("show port stats 0")
            if not self._heard.wait_for(lambda: "TX-packets" in "".join(self._lines), DEADLINE_S):
                raise LabError(f"{PROGRAM} does not show its counters")
            said = "".join(self._lines)
        found = re.search(r"RX-packets: (\d+).*TX-packets: (\d+)", said, re.DOTALL)
        assert found is not None
        return int(found[1]), int(found[2])

    def _said(self) -> str:
        with self._heard:
            return "".join(self._lines)

    def _on_line(self, line: str) -> None:
        with self._heard:
            self._lines.append(line)
            self._heard.notify_all()
