"""The controller's metrics on a TCP port, for Prometheus: a process of its own, which asks the controller each time.

The controller itself is in a network namespace where nobody could reach a port of it. Plain Python.
"""

from __future__ import annotations

import socket
import time
from collections.abc import Callable
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Lock

from controller.api import client

PATH = "/metrics"
_KIND = "text/plain; version=0.0.4; charset=utf-8"
_IDLE_S = 10.0  # a client that says nothing for so long is cut off
_KEPT_S = 1.0  # an answer: to write one takes the controller as long as a tick or more, and anybody here may ask


class Exporter(ThreadingHTTPServer):
    """Bound when it is made. Raises OSError when the address cannot be had."""

    daemon_threads = True

    def __init__(self, address: str, port: int, api_socket: Path, clock: Callable[[], float] = time.monotonic) -> None:
        self.address_family = socket.AF_INET6 if ":" in address else socket.AF_INET
        self._api_socket, self._clock = api_socket, clock
        self._lock = Lock()
        self._kept: tuple[float, HTTPStatus, str] | None = None
        super().__init__((address, port), _Handler)

    def metrics(self) -> tuple[HTTPStatus, str]:
        """As the controller has told them a second ago at most, or why it has not. All who ask wait for one answer."""
        with self._lock:
            if self._kept is None or self._clock() - self._kept[0] >= _KEPT_S:
                status, text = self._asked()
                self._kept = self._clock(), status, text
            return self._kept[1:]

    def _asked(self) -> tuple[HTTPStatus, str]:
        try:
            return HTTPStatus.OK, client.get_text(self._api_socket, PATH)
        except client.ApiError as fault:
            return HTTPStatus.SERVICE_UNAVAILABLE, f"{fault}\n"


class _Handler(BaseHTTPRequestHandler):
    timeout = _IDLE_S
    server: Exporter

    def do_GET(self) -> None:
        if self.path.partition("?")[0] != PATH:
            self._say(HTTPStatus.NOT_FOUND, f"{self.path}: not here. There is {PATH}.\n")
            return
        self._say(*self.server.metrics())

    def _say(self, status: HTTPStatus, text: str) -> None:
        octets = text.encode()
        self.send_response(status)
        self.send_header("Content-Type", _KIND)
        self.send_header("Content-Length", str(len(octets)))
        self.end_headers()
        self.wfile.write(octets)

    def log_message(self, format: str, *args: object) -> None:
        """Nothing: a line for each look would fill the log."""
