"""One TCP connection by iperf3, its congestion control named, its goodput as the receiver saw it."""

from __future__ import annotations

import json
import signal
import socket
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from lab.children import Child, LabError, wait_until

OMITTED_S = 2  # slow start is not the rate


@dataclass(frozen=True, slots=True)
class TcpFlow:
    """goodput_kbps: payload that arrived, slow start left out."""

    goodput_kbps: float
    retransmits: int


def has_congestion_control(name: str) -> bool:
    """Whether a connection of this machine can use it; a kernel module is loaded where that is needed."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as tried:
        try:
            tried.setsockopt(socket.IPPROTO_TCP, socket.TCP_CONGESTION, name.encode())
        except OSError:
            return False
    return True


class TcpSender:
    """A connection under way; `result` waits for its end."""

    def __init__(self, child: Child, lines: list[str], most_s: float) -> None:
        self._child, self._lines, self._most_s = child, lines, most_s

    def result(self) -> TcpFlow:
        """Raises LabError when the connection failed."""
        wait_until(lambda: not self._child.runs, "the TCP flow ends", self._most_s)
        self._child.finish()
        end = self._end("")
        return TcpFlow(end["sum_received"]["bits_per_second"] / 1000, end["sum_sent"]["retransmits"])

    def stop(self) -> int:
        """Ends it now. Returns how many segments it has sent again. Raises LabError when it had ended before."""
        self._child.process.send_signal(signal.SIGINT)
        wait_until(lambda: not self._child.runs, "the TCP flow ends when told to")
        self._child.end()
        retransmits: int = self._end("interrupt - the client has terminated")["sum_sent"]["retransmits"]
        return retransmits

    def _end(self, error: str) -> Mapping[str, Any]:
        """What the report says of the whole, if its error is this one."""
        report = json.loads("".join(self._lines))
        if report.get("error", "") != error:
            raise LabError(f"iperf3: {report.get('error', 'it ended by itself')}")
        end: Mapping[str, Any] = report["end"]
        return end


@contextmanager
def listening(namespace: str, port: int, *options: str) -> Iterator[None]:
    """Connections to the port are taken. options: for iperf3."""
    heard: list[str] = []
    with Child(namespace, ["iperf3", "-s", "-p", str(port), "--forceflush", *options], heard.append) as server:
        wait_until(lambda: any("listening" in line for line in heard) or not server.runs, "the iperf3 server listens")
        if not server.runs:
            raise server.fault("ended")
        yield


@contextmanager
def tcp_flow(
    sender: str, receiver: tuple[str, str, int], congestion: str, duration_s: int, options: Sequence[str] = ()
) -> Iterator[TcpSender]:
    """From namespace `sender` to (namespace, address, port), for so long after slow start. options: for iperf3."""
    namespace, address, port = receiver
    with listening(namespace, port, "-1"):
        said: list[str] = []
        argv = ["iperf3", "-c", address, "-p", str(port), "-C", congestion, "-J", "--connect-timeout", "3000"]
        with Child(sender, [*argv, "-t", str(duration_s), "-O", str(OMITTED_S), *options], said.append) as client:
            yield TcpSender(client, said, duration_s + OMITTED_S + 15)
