"""The controller's read-only HTTP API, on a Unix socket in the state directory. Documents are JSON."""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import eventlet.wsgi
from eventlet.green import socket

StartResponse = Callable[[str, list[tuple[str, str]]], Any]

IDLE_S = 10.0  # a client that says nothing for so long is cut off

log = logging.getLogger("weir.api")


class Api:
    """A WSGI application: each path gives the document of the function that it is registered with."""

    def __init__(self, documents: Mapping[str, Callable[[], Mapping[str, Any]]]) -> None:
        self._documents = documents

    def __call__(self, environ: Mapping[str, Any], start_response: StartResponse) -> Iterable[bytes]:
        path = environ["PATH_INFO"]
        if path not in self._documents:
            status, body = (
                "404 Not Found",
                {"error": f"{path}: not here. There are {', '.join(sorted(self._documents))}."},
            )
        elif environ["REQUEST_METHOD"] not in ("GET", "HEAD"):
            status, body = "405 Method Not Allowed", {"error": "this API only answers GET"}
        else:
            status, body = "200 OK", dict(self._documents[path]())
        text = json.dumps(body).encode()
        start_response(status, [("Content-Type", "application/json"), ("Content-Length", str(len(text)))])
        return [text]


def serve(path: Path, api: Api) -> None:
    """Runs for ever in a green thread of its own; the socket opens to its owner alone.

    Raises OSError when the path cannot be bound.
    """
    path.unlink(missing_ok=True)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    listener.bind(os.fspath(path))
    os.chmod(path, 0o600)
    listener.listen(64)
    eventlet.wsgi.server(listener, api, log=log, log_output=False, debug=False, keepalive=False, socket_timeout=IDLE_S)
