"""The controller's end of the stream: takes the agents' samples, sends them rates. Serves from memory."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable
from pathlib import Path

import eventlet
from eventlet.green import socket

from controller.stream.messages import Hello, HostSample, MessageError, Rates, encode
from controller.stream.messages import decode as decode_message

LONGEST_LINE_BYTES = 4 << 20  # a sample of 10,000 VIFs has about 2 MB
_SEND_DEADLINE_S = 5.0

log = logging.getLogger("weir.stream")


class StreamServer:
    """Listens on a Unix socket that only its owner may open; one connection an agent, the newest counts.

    on_sample is called in the connection's green thread; it must not wait.
    """

    def __init__(self, path: Path, on_sample: Callable[[HostSample], None]) -> None:
        self._path = path
        self._on_sample = on_sample
        self._agents: dict[str, socket.socket] = {}
        self._rates: dict[str, Rates] = {}

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
        """Keeps the rates for an agent that comes later, and sends them now when they differ from the last."""
        if self._rates.get(chassis, Rates()) != rates:
            self._rates[chassis] = rates
            self._send(chassis)

    def _receive(self, connection: socket.socket) -> None:
        chassis = None
        try:
            with connection, connection.makefile("rb") as lines:
                while line := lines.readline(LONGEST_LINE_BYTES):
                    message = decode_message(line)
                    if isinstance(message, Hello):
                        chassis = message.chassis
                        self._agents[chassis] = connection
                        self._send(chassis)
                    elif isinstance(message, HostSample):
                        self._on_sample(message)
        except (MessageError, OSError) as fault:
            log.warning("agent of %s: connection ended: %s", chassis or "unknown chassis", fault)
        finally:
            if chassis is not None and self._agents.get(chassis) is connection:
                del self._agents[chassis]

    def _send(self, chassis: str) -> None:
        connection = self._agents.get(chassis)
        if connection is None:
            return
        try:
            with eventlet.Timeout(_SEND_DEADLINE_S, OSError("it does not read what it is sent")):
                connection.sendall(encode(self._rates.get(chassis, Rates())))
        except OSError as fault:
            log.warning("agent of %s: rates not sent: %s", chassis, fault)
            self._agents.pop(chassis, None)
            connection.close()
