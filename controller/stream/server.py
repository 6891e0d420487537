"""The controller's end of the stream: takes the agents' samples, sends them rates. Serves from memory."""

from __future__ import annotations

import contextlib
import logging
import os
import time
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from pathlib import Path

import eventlet
from eventlet.green import socket
from eventlet.greenthread import GreenThread
from eventlet.queue import Empty, LightQueue

from controller.stream.messages import Hello, HostSample, MessageError, Rates, Repairs, encode, whole
from controller.stream.messages import decode as decode_message

LONGEST_LINE_BYTES = 4 << 20  # a sample of 10,000 VIFs has about 2 MB
SEND_DEADLINE_S = 5.0
SIGN_S = 2.0

log = logging.getLogger("weir.stream")


@dataclass(eq=False, slots=True)
class _Agent:
    """One connection. Of its two green threads one only reads and one only writes, so that neither waits for the other.

    news: holds something while there are rates to send; however many, the newest are sent.
    """

    connection: socket.socket
    chassis: str
    news: LightQueue = field(default_factory=lambda: LightQueue(1))
    writer: GreenThread | None = None
    sample: HostSample | None = None  # the last, whole

    def wake(self) -> None:
        if self.news.empty():
            self.news.put(True)

    def hang_up(self) -> None:
        """Its reader sees the end and cleans up."""
        with contextlib.suppress(OSError):
            self.connection.shutdown(socket.SHUT_RDWR)


class StreamServer:
    """Listens on a Unix socket that only its owner may open; one connection an agent, the newest counts.

    on_sample and on_repairs are called in the connection's green thread; they must not wait.
    """

    def __init__(
        self,
        path: Path,
        on_sample: Callable[[HostSample], None],
        on_repairs: Callable[[Repairs], None],
        send_deadline_s: float = SEND_DEADLINE_S,
    ) -> None:
        self._path = path
        self._on_sample, self._on_repairs = on_sample, on_repairs
        self._send_deadline_s = send_deadline_s
        self._agents: dict[str, _Agent] = {}
        self._rates: dict[str, Rates] = {}
        self.cpu_s = 0.0  # processor time that reading what agents say has taken

    def serve(self) -> None:
        """Runs for ever in a green thread of its own. Raises OSError when the path cannot be bound."""
        self._path.unlink(missing_ok=True)
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        listener.bind(os.fspath(self._path))
        os.chmod(self._path, 0o600)
        listener.listen(64)
        while True:
            connection, _ = listener.accept()
            eventlet.spawn_n(self._receive, connection)

    def set_rates(self, chassis: str, rates: Rates) -> None:
        """Keeps the rates for an agent that comes later; one that is there gets them if they differ. Never waits."""
        if self._rates.get(chassis, Rates()) != rates:
            self._rates[chassis] = rates
            if chassis in self._agents:
                self._agents[chassis].wake()

    def keep(self, chassis: Collection[str]) -> None:
        """Nothing is kept for others than these; of those, an agent that is there is told that nothing is enforced."""
        for gone in self._rates.keys() - chassis:
            del self._rates[gone]
            if gone in self._agents:
                self._agents[gone].wake()

    def _receive(self, connection: socket.socket) -> None:
        agent = None
        try:
            with connection, connection.makefile("rb") as lines:
                agent = self._greeted(connection, lines.readline(LONGEST_LINE_BYTES))
                while line := lines.readline(LONGEST_LINE_BYTES):
                    begun_s = time.thread_time()
                    self._take(_told(line, agent.chassis), agent)
                    self.cpu_s += time.thread_time() - begun_s
        except (MessageError, OSError) as fault:
            log.warning("agent of %s: connection ended: %s", agent.chassis if agent else "unknown chassis", fault)
        except Exception:
            log.exception("agent of %s: its connection failed", agent.chassis if agent else "unknown chassis")
        finally:
            if agent is not None:
                self._forget(agent)

    def _take(self, message: HostSample | Repairs, agent: _Agent) -> None:
        if isinstance(message, Repairs):
            self._on_repairs(message)
        else:
            agent.sample = whole(message, agent.sample)
            self._on_sample(agent.sample)

    def _greeted(self, connection: socket.socket, line: bytes) -> _Agent:
        """A connection begins with Hello, and is sent all rates."""
        hello = decode_message(line)
        if not isinstance(hello, Hello):
            raise MessageError(f"a connection begins with Hello, not {type(hello).__name__}")
        agent = _Agent(connection, hello.chassis)
        before = self._agents.get(agent.chassis)
        self._agents[agent.chassis] = agent
        agent.wake()
        agent.writer = eventlet.spawn(self._write, agent)
        if before is not None:
            before.hang_up()
        return agent

    def _forget(self, agent: _Agent) -> None:
        if self._agents.get(agent.chassis) is agent:
            del self._agents[agent.chassis]
        if agent.writer is not None:
            agent.writer.kill()

    def _write(self, agent: _Agent) -> None:
        try:
            while True:
                line = self._news(agent)
                with eventlet.Timeout(self._send_deadline_s, OSError("it does not read what it is sent")):
                    agent.connection.sendall(line)
        except OSError as fault:
            log.warning("agent of %s: rates not sent: %s", agent.chassis, fault)
            agent.hang_up()

    def _news(self, agent: _Agent) -> bytes:
        """Rates as soon as there are new ones; after SIGN_S without any an empty line, a sign of life."""
        try:
            agent.news.get(timeout=SIGN_S)
        except Empty:
            return b"\n"
        return encode(self._rates.get(agent.chassis, Rates()))


def _told(line: bytes, chassis: str) -> HostSample | Repairs:
    message = decode_message(line)
    if not isinstance(message, HostSample | Repairs) or message.chassis != chassis:
        raise MessageError(f"it may send samples and repairs of {chassis}, not {line[:80]!r}")
    return message
