from __future__ import annotations

import socket

import pytest

from controller.system import listening
from controller.system.errors import SystemFault, WrongRequest


@pytest.mark.parametrize(
    ("text", "place", "again"),
    [
        ("9476", ("127.0.0.1", 9476), "127.0.0.1:9476"),
        (":9476", ("127.0.0.1", 9476), "127.0.0.1:9476"),
        ("localhost:80", ("127.0.0.1", 80), "127.0.0.1:80"),
        ("127.7.7.7:65535", ("127.7.7.7", 65535), "127.7.7.7:65535"),
        ("[::1]:1", ("::1", 1), "[::1]:1"),
    ],
)
def test_addresses_of_this_machine(text: str, place: tuple[str, int], again: str) -> None:
    assert listening.read("--metrics", text) == place
    assert listening.written(*place) == again and listening.read("--metrics", again) == place


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("0.0.0.0:9476", "0.0.0.0 can be reached from other machines"),
        ("[::]:9476", ":: can be reached"),
        ("192.0.2.7:9476", "Write 9476 alone, and let a proxy with TLS"),
        ("here:9476", "'here' is no IP address"),
        ("0", "names no port"),
        ("65536", "names no port"),
        ("http", "names no port"),
        ("", "names no port"),
        ("127.0.0.1:", "names no port"),
        ("²", "names no port"),
    ],
)
def test_what_is_refused(text: str, said: str) -> None:
    with pytest.raises(WrongRequest) as refused:
        listening.read("--metrics", text)
    assert str(refused.value).startswith("--metrics: ") and said in str(refused.value)


def test_a_port_that_is_taken_is_said() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(SystemFault, match=f"--metrics: 127.0.0.1:{port} cannot be listened at: Address already"):
            listening.check_free("--metrics", "127.0.0.1", port)
    listening.check_free("--metrics", "127.0.0.1", port)
