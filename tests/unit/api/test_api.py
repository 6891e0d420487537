"""Server and client over a real Unix socket; the client is plain Python, so it asks from a thread."""

from __future__ import annotations

import os
import shutil
import socket
import tempfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import eventlet
import pytest
from eventlet import tpool

from controller.api import client, server
from tests.unit.runtime.runtime_worlds import green_until


def fail() -> Mapping[str, Any]:
    raise ZeroDivisionError("surprise")


def square(parameters: Mapping[str, str]) -> Mapping[str, Any]:
    side = server.seconds(parameters, "since")
    if side is None:
        raise server.NotThere("no square without a side")
    return {"square": side * side, "of": parameters.get("vif")}


QUESTIONS = {"/v1/square": server.Question(frozenset({"since", "vif"}), square)}
TEXTS = {"/metrics": lambda: "# größe\nweir 1\n"}
DOCUMENTS: Mapping[str, Callable[[], Mapping[str, Any]]] = {
    "/v1/vifs": lambda: {"vifs": {}},
    "/v1/large": lambda: {"values": list(range(100_000))},
    "/v1/broken": fail,
}


@pytest.fixture
def path() -> Iterator[Path]:
    directory = Path(tempfile.mkdtemp(prefix="w", dir="/tmp"))
    path = directory / "api.sock"
    path.touch()  # what an earlier process left
    thread = eventlet.spawn(server.serve, path, server.Api(DOCUMENTS, QUESTIONS, TEXTS))
    green_until(path.is_socket, "the socket")
    yield path
    thread.kill()
    shutil.rmtree(directory)


def ask(path: Path, document: str) -> Any:
    return tpool.execute(client.get, path, document)


def test_documents_come_whole_and_again(path: Path) -> None:
    assert ask(path, "/v1/vifs") == {"vifs": {}}
    assert ask(path, "/v1/large") == {"values": list(range(100_000))}
    assert os.stat(path).st_mode & 0o777 == 0o600


def test_what_is_not_there_is_said_with_what_there_is(path: Path) -> None:
    with pytest.raises(client.ApiError, match=r"404 /v1/nosuch: not here\. There are /metrics, /v1/broken, /v1/large"):
        ask(path, "/v1/nosuch")


def test_a_question_has_parameters(path: Path) -> None:
    asked = client.query("/v1/square", since=1.5, vif="a b&c=d", other=None)
    assert ask(path, asked) == {"square": 2.25, "of": "a b&c=d"}
    assert client.query("/v1/square") == "/v1/square"


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("", "404 /v1/square: no square without a side"),
        ("?until=3", r"400 /v1/square: there is no parameter 'until'\. Give since, vif\."),
        *(
            (f"?since={wrong}", f"400 /v1/square: since='{wrong}' is no number")
            for wrong in ("x", "-1", "nan", "inf", "")
        ),
    ],
)
def test_a_wrong_question_is_answered_with_what_is_wrong(path: Path, query: str, said: str) -> None:
    with pytest.raises(client.ApiError, match=said):
        ask(path, f"/v1/square{query}")


def test_what_is_not_there_can_be_told_from_other_faults(path: Path) -> None:
    with pytest.raises(client.NotThere):
        ask(path, "/v1/square")
    with pytest.raises(client.ApiError) as wrong:
        ask(path, "/v1/square?since=x")
    assert not isinstance(wrong.value, client.NotThere)


def test_a_text_is_a_text(path: Path) -> None:
    assert tpool.execute(client.get_text, path, "/metrics") == TEXTS["/metrics"]()
    with pytest.raises(client.ApiError, match="404"):
        tpool.execute(client.get_text, path, "/v1/nosuch")


def test_a_document_that_fails_ends_nothing(path: Path) -> None:
    with pytest.raises(client.ApiError):
        ask(path, "/v1/broken")
    assert ask(path, "/v1/vifs") == {"vifs": {}}


def test_it_only_reads(path: Path) -> None:
    def post() -> bytes:
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(5)
            connection.connect(str(path))
            connection.sendall(b"POST /v1/vifs HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n")
            return connection.recv(100)

    assert b" 405 " in tpool.execute(post)


def test_a_client_that_says_nothing_is_cut_off(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def wait_for_end() -> bytes:
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(server.IDLE_S + 5)
            connection.connect(str(path))
            connection.sendall(b"GET /v1/vifs HT")
            return connection.recv(1)

    monkeypatch.setattr(server, "IDLE_S", 0.2)
    second = path.with_name("impatient.sock")
    thread = eventlet.spawn(server.serve, second, server.Api(DOCUMENTS))
    green_until(second.is_socket, "the socket")
    path = second
    assert tpool.execute(wait_for_end) in (b"", b"H")  # the end, or a 4xx before it
    thread.kill()


def test_no_controller_is_said(tmp_path: Path) -> None:
    with pytest.raises(client.ApiError, match=r"the controller does not answer: .*See weir status"):
        client.get(tmp_path / "api.sock", "/v1/vifs")
