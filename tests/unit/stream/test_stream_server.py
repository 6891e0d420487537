"""The controller's end of the stream over a real socket; agents are green threads of the test."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import eventlet
import pytest
from eventlet.green import socket

from controller.stream.messages import (
    Hello,
    HostSample,
    Message,
    QueueSample,
    Rates,
    Repairs,
    VifSample,
    decode,
    encode,
    part_of,
)
from controller.stream.server import StreamServer
from tests.support.other_thread import BURNT_S, burn_in_another_thread
from tests.unit.runtime.runtime_worlds import green_until

SAMPLE = HostSample("h1", 1.5, {7: VifSample(shaper=QueueSample(10, 1, 0, 0))})


class Served:
    """A server with a short patience, and what it was sent."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.samples: list[HostSample] = []
        self.repairs: list[Repairs] = []
        self.server = StreamServer(path, self.samples.append, self.repairs.append, send_deadline_s=0.2)
        self.thread = eventlet.spawn(self.server.serve)
        green_until(path.exists, "the socket")

    def connect(self, *messages: Message) -> socket.socket:
        connection = socket.socket(socket.AF_UNIX)
        connection.settimeout(5)
        connection.connect(str(self.path))
        connection.sendall(b"".join(map(encode, messages)))
        return connection


@pytest.fixture
def served() -> Iterator[Served]:
    directory = Path(tempfile.mkdtemp(prefix="w", dir="/tmp"))
    served = Served(directory / "stream.sock")
    yield served
    served.thread.kill()
    shutil.rmtree(directory)


def read(connection: socket.socket) -> Message | None:
    """The next message; signs of life are none."""
    line = b"\n"
    while line == b"\n":
        line = b""
        while not line.endswith(b"\n"):
            byte = connection.recv(1)
            if not byte:
                return None
            line += byte
    return decode(line)


def test_hello_brings_all_rates_and_samples_arrive(served: Served) -> None:
    served.server.set_rates("h1", Rates({7: 500}))
    with served.connect(Hello("h1"), SAMPLE) as agent:
        assert read(agent) == Rates({7: 500})
        green_until(lambda: served.samples == [SAMPLE], "the sample")
        served.server.set_rates("h1", Rates({7: 500}))  # no news
        served.server.set_rates("h2", Rates({8: 1}))  # another's
        served.server.set_rates("h1", Rates({7: 400}))
        served.server.set_rates("h1", Rates({7: 300}))
        assert read(agent) == Rates({7: 300})  # the newest is enough
    assert os.stat(served.path).st_mode & 0o777 == 0o600


def test_where_there_is_no_news_it_shows_life(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("controller.stream.server.SIGN_S", 0.05)
    with served.connect(Hello("h1")) as agent:
        assert read(agent) == Rates()
        assert agent.recv(1) == agent.recv(1) == b"\n"
        served.server.set_rates("h1", Rates({7: 400}))
        assert read(agent) == Rates({7: 400})


def test_rates_of_a_chassis_that_is_gone_are_not_kept_and_its_agent_is_told(served: Served) -> None:
    for chassis in ("h1", "h2"):
        served.server.set_rates(chassis, Rates({7: 500}))
    with served.connect(Hello("h1")) as agent, served.connect(Hello("h2")) as other:
        assert read(agent) == read(other) == Rates({7: 500})
        served.server.keep({"h2"})
        assert read(agent) == Rates() and set(served.server._rates) == {"h2"}
        for chassis in ("h1", "h2"):
            served.server.set_rates(chassis, Rates({7: 400}))
        assert read(agent) == read(other) == Rates({7: 400})


def test_what_it_costs_to_read_is_processor_time_of_this_thread(served: Served) -> None:
    taken: list[HostSample] = []

    def slowly(sample: HostSample) -> None:
        burn_in_another_thread()
        taken.append(sample)

    served.server._on_sample = slowly
    with served.connect(Hello("h1"), SAMPLE):
        green_until(lambda: served.server.cpu_s > 0, "the sample")
    assert taken == [SAMPLE] and served.server.cpu_s < BURNT_S / 2


def test_parts_of_samples_arrive_whole_and_a_part_of_nothing_ends_the_connection(served: Served) -> None:
    more = HostSample(
        "h1", 2.5, {7: VifSample(shaper=QueueSample(20, 2, 0, 0)), 8: VifSample(uplink=QueueSample(1, 1, 0, 0))}
    )
    with served.connect(Hello("h1"), SAMPLE, part_of(more, SAMPLE)):
        green_until(lambda: served.samples == [SAMPLE, more], "both samples")
    with served.connect(Hello("h1"), part_of(more, SAMPLE)) as agent:
        read(agent)
        assert agent.recv(1) == b"" and len(served.samples) == 2


def test_an_agent_that_comes_back_is_served_and_its_old_connection_closed(served: Served) -> None:
    with served.connect(Hello("h1")) as first:
        assert read(first) == Rates()
        with served.connect(Hello("h1")) as second:
            assert read(second) == Rates()
            assert read(first) is None
            served.server.set_rates("h1", Rates({7: 1}))
            assert read(second) == Rates({7: 1})
    with served.connect(Hello("h1")) as third:
        assert read(third) == Rates({7: 1})


@pytest.mark.parametrize(
    "line",
    [
        b"{]\n",
        b"\n",
        encode(SAMPLE),  # before Hello
        encode(Hello("h1")) + encode(Hello("h1")),
        encode(Hello("h1")) + encode(Rates()),
        encode(Hello("h2")) + encode(SAMPLE),  # another's sample
        b"x" * (5 << 20),
    ],
    ids=["garbage", "empty", "no hello", "hello twice", "rates", "not its own", "endless line"],
)
def test_nonsense_ends_the_connection_and_nothing_else(served: Served, line: bytes) -> None:
    with served.connect(Hello("good")) as good:
        assert read(good) == Rates()
        with served.connect() as bad:
            try:
                bad.sendall(line)
                while read(bad) is not None:
                    pass
            except OSError:
                pass  # reset
        assert not served.samples
        served.server.set_rates("good", Rates({1: 1}))
        assert read(good) == Rates({1: 1})


def test_who_does_not_read_holds_nobody_up_and_is_cut_off(served: Served) -> None:
    with served.connect(Hello("slow")), served.connect(Hello("quick")) as quick:
        assert read(quick) == Rates()
        for rate in range(1, 4):
            served.server.set_rates("slow", Rates({number: rate for number in range(1, 60_000)}))
            served.server.set_rates("quick", Rates({1: rate}))
            assert read(quick) == Rates({1: rate})
        green_until(lambda: "slow" not in served.server._agents, "the slow one cut off")
        served.server.set_rates("slow", Rates())  # waits for nobody


def test_a_sample_that_nobody_can_use_does_not_end_the_server(served: Served) -> None:
    def refuse(sample: HostSample) -> None:
        raise ZeroDivisionError("surprise")

    served.server._on_sample = refuse
    with served.connect(Hello("h1"), SAMPLE) as agent:
        read(agent)
        assert read(agent) is None
    with served.connect(Hello("h1")) as agent:
        assert read(agent) == Rates()


def test_a_path_that_cannot_be_bound_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(OSError):
        StreamServer(tmp_path / "missing" / "s", lambda sample: None, lambda repairs: None).serve()


def test_lines_are_json(served: Served) -> None:
    with served.connect(Hello("h1")) as agent:
        line = b""
        while not line.endswith(b"\n"):
            line += agent.recv(100)
        assert json.loads(line) == {"type": "Rates", "egress_kbps": {}, "ingress_kbps": {}, "class_kbps": {}}
