"""One TCP connection by iperf3, its congestion control named, its goodput as the receiver saw it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from lab.children import Child, LabError, wait_until

OMITTED_S = 2  # slow start is not the rate
_AVAILABLE = Path("/proc/sys/net/ipv4/tcp_available_congestion_control")


@dataclass(frozen=True, slots=True)
class TcpFlow:
    """goodput_kbps: payload that arrived, slow start left out."""

    goodput_kbps: float
    retransmits: int


def congestion_controls() -> set[str]:
    """Those that this kernel has ready."""
    return set(_AVAILABLE.read_text().split())


class TcpSender:
    """A connection under way; `result` waits for its end."""

    def __init__(self, child: Child, lines: list[str], most_s: float) -> None:
        self._child, self._lines, self._most_s = child, lines, most_s

    def result(self) -> TcpFlow:
        """Raises LabError when the connection failed."""
        wait_until(lambda: not self._child.runs, "the TCP flow ends", self._most_s)
        self._child.finish()
        report = json.loads("".join(self._lines))
        if "error" in report:
            raise LabError(f"iperf3: {report['error']}")
        end = report["end"]
        return TcpFlow(end["sum_received"]["bits_per_second"] / 1000, end["sum_sent"]["retransmits"])


@contextmanager
def tcp_flow(sender: str, receiver: tuple[str, str, int], congestion: str, duration_s: int) -> Iterator[TcpSender]:
    """From namespace `sender` to (namespace, address, port), for so long after slow start."""
    namespace, address, port = receiver
    heard: list[str] = []
    with Child(namespace, ["iperf3", "-s", "-1", "-p", str(port), "--forceflush"], heard.append) as server:
        wait_until(lambda: any("listening" in line for line in heard) or not server.runs, "the iperf3 server listens")
        if not server.runs:
            raise server.fault("ended")
        said: list[str] = []
        argv = ["iperf3", "-c", address, "-p", str(port), "-C", congestion, "-J", "--connect-timeout", "3000"]
        with Child(sender, [*argv, "-t", str(duration_s), "-O", str(OMITTED_S)], said.append) as client:
            yield TcpSender(client, said, duration_s + OMITTED_S + 15)
