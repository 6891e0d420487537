"""Asks a controller through its Unix socket. Plain Python: for the command line."""

from __future__ import annotations

import http.client
import json
import socket
from pathlib import Path
from typing import Any

_DEADLINE_S = 5.0


class ApiError(RuntimeError):
    """The controller did not answer, or not with what was asked."""


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: Path) -> None:
        super().__init__("localhost", timeout=_DEADLINE_S)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(_DEADLINE_S)
        self.sock.connect(str(self._path))


def get(api_socket: Path, path: str) -> dict[str, Any]:
    """The document at `path`, for example "/v1/vifs". Raises ApiError when no controller answers."""
    connection = _UnixConnection(api_socket)
    try:
        connection.request("GET", path)
        response = connection.getresponse()
        body: dict[str, Any] = json.loads(response.read())
    except (OSError, http.client.HTTPException, ValueError) as fault:
        raise ApiError(f"{api_socket}: the controller does not answer: {fault}. See weir status.") from fault
    finally:
        connection.close()
    if response.status != http.client.OK:
        raise ApiError(f"{api_socket}{path}: {response.status} {body.get('error', response.reason)}")
    return body
