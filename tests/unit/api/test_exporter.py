"""The port that Prometheus asks, over real sockets. A controller is played: it answers, or it does not."""

from __future__ import annotations

import shutil
import socketserver
import tempfile
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest

from controller.api.exporter import Exporter

TEXT = b"# TYPE weir_loop_fault gauge\nweir_loop_fault 0\n"


class Answer(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", str(len(TEXT)))
        self.end_headers()
        self.wfile.write(TEXT)

    def address_string(self) -> str:
        return "-"

    def log_message(self, format: str, *args: object) -> None: ...


@pytest.fixture
def api_socket() -> Iterator[Path]:
    directory = Path(tempfile.mkdtemp(prefix="w", dir="/tmp"))
    yield directory / "api.sock"
    shutil.rmtree(directory)


@dataclass
class Clock:
    now_s: float = 100.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def url(api_socket: Path, clock: Clock) -> Iterator[str]:
    with Exporter("127.0.0.1", 0, api_socket, clock) as exporter:
        thread = threading.Thread(target=exporter.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield f"http://127.0.0.1:{exporter.server_address[1]}"
        exporter.shutdown()
        thread.join()


def test_it_hands_on_what_the_controller_says_and_when_it_is_silent(url: str, api_socket: Path, clock: Clock) -> None:
    with pytest.raises(urllib.error.HTTPError) as silent:
        urllib.request.urlopen(f"{url}/metrics")
    assert silent.value.code == 503 and b"the controller does not answer" in silent.value.read()
    clock.now_s += 1.0
    with socketserver.UnixStreamServer(str(api_socket), Answer) as controller:
        threading.Thread(target=controller.handle_request, daemon=True).start()
        with urllib.request.urlopen(f"{url}/metrics") as answer:
            assert answer.read() == TEXT and answer.headers["Content-Type"].startswith("text/plain; version=0.0.4")


def test_however_many_ask_the_controller_is_asked_once_a_second(url: str, api_socket: Path, clock: Clock) -> None:
    asked = list[float]()

    class Counted(Answer):
        def do_GET(self) -> None:
            asked.append(clock.now_s)
            super().do_GET()

    def look(_: int) -> bytes:
        with urllib.request.urlopen(f"{url}/metrics", timeout=10) as answer:
            return bytes(answer.read())

    with socketserver.UnixStreamServer(str(api_socket), Counted) as controller:
        threading.Thread(target=controller.serve_forever, args=(0.01,), daemon=True).start()
        for _ in range(2):
            with ThreadPoolExecutor(8) as pool:
                assert set(pool.map(look, range(16))) == {TEXT}
            clock.now_s += 1.0
        controller.shutdown()
    assert asked == [100.0, 101.0]


def test_there_is_nothing_else(url: str) -> None:
    with pytest.raises(urllib.error.HTTPError) as wrong:
        urllib.request.urlopen(f"{url}/v1/vifs")
    assert wrong.value.code == 404 and b"There is /metrics." in wrong.value.read()
