"""Docker's HTTP API on a Unix socket, which Podman's service speaks as well: what it knows of one container.

https://docs.docker.com/engine/api: GET /containers/{id}/json, where {id} is an id, the start of one, or a name.
"""

from __future__ import annotations

import http.client
import json
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import quote

from controller.host.container_answer import Answer, Silent
from controller.host.errors import HostError

DOCKER, PODMAN = Path("/run/docker.sock"), Path("/run/podman/podman.sock")
TIMEOUT_S = 3.0
_MOST_BYTES = 4 << 20

Ask = Callable[[str], Answer | None]


def ask(server: Path, container: str) -> Answer | None:
    """None: it has no such container. Raises Silent; HostError when several are called so."""
    status, body = _get(server, f"/containers/{quote(container, safe='')}/json")
    if status == 404:
        return None
    if status != 200:
        raise HostError(f"container {container}: {server} says: {_words(body, status)}", "Give its whole id")
    try:
        state = json.loads(body)["State"]
        return Answer(int(state["Pid"]) if state["Running"] else 0, str(state["Status"]))
    except (ValueError, KeyError, TypeError) as fault:
        raise Silent(f"{server} answers what is not a container ({type(fault).__name__})") from fault


def or_else(server: Path, otherwise: Ask) -> Ask:
    """Asks the server, or the other one where no server listens."""

    def asked(container: str) -> Answer | None:
        try:
            return ask(server, container)
        except Silent as fault:
            if fault.lasts:
                raise
            return otherwise(container)

    return asked


class _Connection(http.client.HTTPConnection):
    def __init__(self, server: Path) -> None:
        super().__init__("localhost", timeout=TIMEOUT_S)
        self._server = server

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(TIMEOUT_S)
        self.sock.connect(str(self._server))


def _get(server: Path, path: str) -> tuple[int, bytes]:
    connection = _Connection(server)
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        return answer.status, answer.read(_MOST_BYTES)
    except (FileNotFoundError, ConnectionRefusedError) as fault:
        raise Silent(f"nothing listens on {server}") from fault
    except TimeoutError as fault:
        raise Silent(f"{server} has not answered within {TIMEOUT_S:g} s", lasts=True) from fault
    except (OSError, http.client.HTTPException) as fault:
        raise Silent(f"{server}: {fault or type(fault).__name__}") from fault
    finally:
        connection.close()


def _words(body: bytes, status: int) -> str:
    try:
        answer: Any = json.loads(body)
        return str(answer["message"]).strip().rstrip(".")
    except (ValueError, KeyError, TypeError):
        return f"HTTP status {status}"
