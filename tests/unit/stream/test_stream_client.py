"""The agent's end of the stream against a socket played by the test; the clock is a number."""

from __future__ import annotations

import select
import shutil
import socket
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from controller.stream.client import HANGS_S, StreamClient
from controller.stream.messages import Hello, HostSample, QueueSample, Rates, VifSample, decode, encode, whole

SAMPLE = HostSample("h1", 1.5, {7: VifSample(shaper=QueueSample(10, 1, 0, 0))})


@pytest.fixture
def path() -> Iterator[Path]:
    directory = Path(tempfile.mkdtemp(prefix="w", dir="/tmp"))
    yield directory / "stream.sock"
    shutil.rmtree(directory)


def listen(path: Path) -> socket.socket:
    path.unlink(missing_ok=True)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    listener.bind(str(path))
    listener.listen()
    listener.settimeout(5)
    return listener


def accept(listener: socket.socket) -> socket.socket:
    connection, _ = listener.accept()
    connection.settimeout(5)
    return connection


def await_input(client: StreamClient) -> None:
    assert client.descriptor is not None
    assert select.select([client.descriptor], [], [], 5)[0]


def test_it_says_hello_then_sends_samples_and_takes_rates(path: Path) -> None:
    with listen(path) as listener:
        client = StreamClient(path, "h1")
        client.run(0)
        client.send(SAMPLE, 0)
        with accept(listener) as connection, connection.makefile("rb") as lines:
            assert decode(lines.readline()) == Hello("h1")
            assert decode(lines.readline()) == SAMPLE
            line = encode(Rates({7: 500}, {}))
            connection.sendall(line[:9])
            await_input(client)
            client.run(1)
            assert client.rates(1, 3) == Rates()
            connection.sendall(line[9:])
            await_input(client)
            client.run(1)
            assert client.rates(1, 3) == Rates({7: 500}, {})
        client.close()


def test_what_has_not_changed_is_not_sent_again_but_whole_after_a_new_connection(path: Path) -> None:
    vifs = {number: VifSample(shaper=QueueSample(number, 1, 0, 0)) for number in (7, 8, 9)}
    moved = HostSample("h1", 2.5, {**vifs, 8: VifSample(shaper=QueueSample(88, 2, 0, 0))})
    with listen(path) as listener:
        client = StreamClient(path, "h1")
        client.run(0)
        client.send(HostSample("h1", 1.5, vifs), 0)
        client.send(moved, 1)
        with accept(listener) as connection, connection.makefile("rb") as lines:
            lines.readline()
            first, second = decode(lines.readline()), decode(lines.readline())
            assert isinstance(first, HostSample) and isinstance(second, HostSample)
            assert not first.part and second.part and set(second.vifs) == {8} and whole(second, first) == moved
        client.send(moved, 2)  # finds the connection ended
        client.run(10)
        client.send(moved, 10)
        with accept(listener) as connection, connection.makefile("rb") as lines:
            lines.readline()
            assert decode(lines.readline()) == moved
        client.close()


def test_rates_are_kept_for_a_while_without_controller_then_forgotten_and_it_comes_back(path: Path) -> None:
    client = StreamClient(path, "h1")
    with listen(path) as listener:
        client.run(0)
        with accept(listener) as connection:
            connection.sendall(encode(Rates({7: 500}, {})))
            await_input(client)
            client.run(1)
    await_input(client)
    client.run(10)
    assert client.descriptor is None
    assert client.rates(12, 3).egress_kbps == {7: 500}
    assert client.rates(14, 3) == Rates()
    with listen(path) as listener:
        assert client.due_s is not None
        client.run(client.due_s)
        with accept(listener) as connection, connection.makefile("rb") as lines:
            assert decode(lines.readline()) == Hello("h1")
            connection.sendall(encode(Rates({7: 400}, {})))
            await_input(client)
            client.run(20)
            assert client.rates(20, 3).egress_kbps == {7: 400}
    client.close()


def test_a_controller_that_hangs_enforces_nothing_until_it_shows_life(path: Path) -> None:
    with listen(path) as listener:
        client = StreamClient(path, "h1")
        client.run(0)
        with accept(listener) as connection:
            connection.sendall(encode(Rates({7: 500}, {})))
            await_input(client)
            client.run(1)
            last_s = 1 + HANGS_S
            assert client.rates(last_s, 3).egress_kbps == {7: 500} and client.rates(last_s + 1, 3) == Rates()
            connection.sendall(b"\n")
            await_input(client)
            client.run(20)
            assert client.rates(20, 3).egress_kbps == {7: 500}
        await_input(client)
        client.run(21 + HANGS_S)  # hung once more, and killed
        assert client.descriptor is None and client.rates(21 + HANGS_S, 3) == Rates()
        client.close()


def test_without_a_controller_it_waits_longer_and_longer_but_never_long(path: Path) -> None:
    client, now_s, pauses = StreamClient(path, "h1"), 0.0, []
    for _ in range(8):
        client.run(now_s)
        assert client.due_s is not None
        pauses.append(client.due_s - now_s)
        now_s = client.due_s
    assert pauses == sorted(pauses)
    assert pauses[-1] == 2.0
    client.send(SAMPLE, now_s)  # dropped, not kept
    assert not client.has_unsent


def test_a_controller_that_does_not_read_costs_no_memory(path: Path) -> None:
    def big(second: int) -> HostSample:
        queue = QueueSample(second, 1, 1, 1)
        return HostSample("h1", 1.0, {number: VifSample(shaper=queue) for number in range(1, 5000)})

    with listen(path) as listener:
        client = StreamClient(path, "h1")
        client.run(0)
        with accept(listener):
            for second in range(20):
                client.send(big(second), second)
            assert client.has_unsent
            assert len(client._to_send) <= len(encode(big(20)))
        client.close()


def test_nonsense_ends_the_connection_not_the_agent(path: Path) -> None:
    with listen(path) as listener:
        client = StreamClient(path, "h1")
        client.run(0)
        with accept(listener) as connection:
            connection.sendall(b"{]\n")
            await_input(client)
            client.run(1)
            assert client.descriptor is None
