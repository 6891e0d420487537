"""The controller's read-only HTTP API, on a Unix socket in the state directory. Documents are JSON."""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

import eventlet.wsgi
from eventlet.green import socket

StartResponse = Callable[[str, list[tuple[str, str]]], Any]
Answer = Callable[[], Mapping[str, Any]]
Text = Callable[[], str]
_NONE: Mapping[str, Any] = {}

IDLE_S = 10.0  # a client that says nothing for so long is cut off
JSON, PLAIN = "application/json", "text/plain; version=0.0.4; charset=utf-8"

log = logging.getLogger("weir.api")


class WrongQuestion(ValueError):
    """A parameter is missing, unknown or not what it should be."""


class NotThere(LookupError):
    """What was asked for is not known."""


@dataclass(frozen=True, slots=True)
class Question:
    """answer: is given the parameters by name, all of them among `parameters`. Raises WrongQuestion, NotThere."""

    parameters: frozenset[str]
    answer: Callable[[Mapping[str, str]], Mapping[str, Any]]


def seconds(parameters: Mapping[str, str], name: str) -> float | None:
    """A parameter that is a span. Raises WrongQuestion."""
    text = parameters.get(name)
    if text is None:
        return None
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value < float("inf"):
        raise WrongQuestion(f"{name}={text!r} is no number of seconds. Give one, as in {name}=600.")
    return value


class Api:
    """A WSGI application: each path gives the document or the text of the function that it is registered with."""

    def __init__(
        self,
        documents: Mapping[str, Answer],
        questions: Mapping[str, Question] = _NONE,
        texts: Mapping[str, Text] = _NONE,
    ) -> None:
        self._documents, self._questions, self._texts = documents, questions, texts
        self._paths = sorted({*documents, *questions, *texts})

    def __call__(self, environ: Mapping[str, Any], start_response: StartResponse) -> Iterable[bytes]:
        status, body = self._answer(environ["REQUEST_METHOD"], environ["PATH_INFO"], environ.get("QUERY_STRING", ""))
        kind, text = (PLAIN, body) if isinstance(body, str) else (JSON, json.dumps(body))
        octets = text.encode()
        start_response(status, [("Content-Type", kind), ("Content-Length", str(len(octets)))])
        return [octets]

    def _answer(self, method: str, path: str, query: str) -> tuple[str, Mapping[str, Any] | str]:
        if path not in self._paths:
            return "404 Not Found", {"error": f"{path}: not here. There are {', '.join(self._paths)}."}
        if method not in ("GET", "HEAD"):
            return "405 Method Not Allowed", {"error": "this API only answers GET"}
        try:
            return "200 OK", self._body(path, query)
        except WrongQuestion as fault:
            return "400 Bad Request", {"error": f"{path}: {fault}"}
        except NotThere as fault:
            return "404 Not Found", {"error": f"{path}: {fault}"}

    def _body(self, path: str, query: str) -> Mapping[str, Any] | str:
        if path in self._texts:
            return self._texts[path]()
        if path in self._documents:
            return dict(self._documents[path]())
        question = self._questions[path]
        asked = dict(parse_qsl(query, keep_blank_values=True))
        if unknown := sorted(asked.keys() - question.parameters):
            raise WrongQuestion(f"there is no parameter {unknown[0]!r}. Give {', '.join(sorted(question.parameters))}.")
        return question.answer(asked)


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
