"""Asks a controller through its Unix socket. Plain Python: for the command line."""

from __future__ import annotations

import http.client
import json
import socket
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

_DEADLINE_S = 5.0


class ApiError(RuntimeError):
    """The controller did not answer, or not with what was asked."""


class NotThere(ApiError):
    """It does not know what it was asked for."""


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
    response, text = _asked(api_socket, path)
    try:
        body: dict[str, Any] = json.loads(text)
    except ValueError as fault:
        raise _silent(api_socket, fault) from fault
    if response.status != http.client.OK:
        kind = NotThere if response.status == http.client.NOT_FOUND else ApiError
        raise kind(f"{api_socket}{path}: {response.status} {body.get('error', response.reason)}")
    return body


def get_text(api_socket: Path, path: str) -> str:
    """The plain text at `path`: "/metrics". Raises ApiError likewise."""
    response, text = _asked(api_socket, path)
    if response.status != http.client.OK:
        raise ApiError(f"{api_socket}{path}: {response.status} {response.reason}")
    return text.decode()


def query(path: str, **parameters: str | float | None) -> str:
    """The path with those of the parameters that are not None."""
    given = {name: str(value) for name, value in parameters.items() if value is not None}
    return f"{path}?{urlencode(given)}" if given else path


def _asked(api_socket: Path, path: str) -> tuple[http.client.HTTPResponse, bytes]:
    connection = _UnixConnection(api_socket)
    try:
        connection.request("GET", path)
        response = connection.getresponse()
        return response, response.read()
    except (OSError, http.client.HTTPException) as fault:
        raise _silent(api_socket, fault) from fault
    finally:
        connection.close()


def _silent(api_socket: Path, fault: Exception) -> ApiError:
    return ApiError(f"{api_socket}: the controller does not answer: {fault}. See weir status.")
