"""Played sockets of vswitchd: when they are raised, what is on disk by then, and what is said when that fails."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest

from controller.host import send_buffer
from controller.host.errors import HostError
from controller.host.process import Process, start_time
from controller.host.rooms import RAISED_SEND_BYTES
from controller.host.send_buffer import LOOK_S, RAISED_RECEIVE_BYTES, SendBuffer, put_back

SMALL = 212_992


class Socket:
    """One size, whichever is asked for."""

    def __init__(self, size_bytes: int = SMALL) -> None:
        self.size_bytes = size_bytes

    def getsockopt(self, level: int, option: int) -> int:
        return self.size_bytes

    def setsockopt(self, level: int, option: int, half_bytes: int) -> None:
        self.size_bytes = 2 * half_bytes


class Vswitchd:
    """This process, with played sockets. fault: why they cannot be looked at."""

    def __init__(self, ports: int) -> None:
        self.sockets = {"socket:[0]": ("send", Socket())}
        self.sockets |= {f"socket:[{number}]": ("receive", Socket()) for number in range(1, ports + 1)}
        self.process = Process(os.getpid(), start_time(os.getpid()) or 0)
        self.fault: HostError | None = None

    def found(self, pid: int, known: set[str], seen: set[str]) -> Iterator[tuple[str, str, Socket]]:
        assert pid == self.process.pid
        if self.fault is not None:
            raise self.fault
        for link, (kind, opened) in self.sockets.items():
            if link not in known:
                yield link, kind, opened
            seen.add(link)

    @property
    def sizes(self) -> set[int]:
        return {opened.size_bytes for _, opened in self.sockets.values()}


@pytest.fixture
def vswitchd(monkeypatch: pytest.MonkeyPatch) -> Vswitchd:
    played = Vswitchd(ports=20)
    monkeypatch.setattr(send_buffer, "vswitchd", lambda rundir: SimpleNamespace(process=played.process))
    monkeypatch.setattr(send_buffer, "_packet_sockets", played.found)
    return played


def test_all_are_raised_with_one_record_and_put_back(
    vswitchd: Vswitchd, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    synced = list[int]()
    monkeypatch.setattr(os, "fsync", synced.append)
    record = tmp_path / "raised.json"
    raising = SendBuffer(tmp_path, record)
    assert raising.size_bytes(0.0) == RAISED_SEND_BYTES
    assert vswitchd.sizes == {RAISED_SEND_BYTES, RAISED_RECEIVE_BYTES} and len(synced) == 1
    assert json.loads(record.read_text())["sockets"].keys() == vswitchd.sockets.keys()
    del vswitchd.sockets["socket:[1]"]
    vswitchd.sockets["socket:[99]"] = "receive", Socket()
    assert raising.size_bytes(LOOK_S) == RAISED_SEND_BYTES
    assert vswitchd.sizes == {RAISED_SEND_BYTES, RAISED_RECEIVE_BYTES} and len(synced) == 2
    assert json.loads(record.read_text())["sockets"].keys() == vswitchd.sockets.keys()  # what is closed is forgotten
    put_back(record)
    assert vswitchd.sizes == {SMALL} and not list(tmp_path.iterdir())


def test_the_sizes_before_are_kept_before_any_is_changed(
    vswitchd: Vswitchd, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def fail(*_: object) -> None:
        raise HostError("no", "Try")

    record = tmp_path / "raised.json"
    raising = SendBuffer(tmp_path, record)
    with monkeypatch.context() as broken:
        broken.setattr(send_buffer, "_force", fail)
        with pytest.raises(HostError):
            raising.size_bytes(0.0)
    assert json.loads(record.read_text())["sockets"]["socket:[0]"] == ["send", SMALL]
    assert raising.size_bytes(LOOK_S) == RAISED_SEND_BYTES


def test_a_socket_that_is_made_meanwhile_is_recorded_first_too(
    vswitchd: Vswitchd, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def fsync(_: int) -> None:
        vswitchd.sockets.setdefault("socket:[99]", ("receive", Socket()))

    monkeypatch.setattr(os, "fsync", fsync)
    record = tmp_path / "raised.json"
    raising = SendBuffer(tmp_path, record)
    raising.size_bytes(0.0)
    assert vswitchd.sockets["socket:[99]"][1].size_bytes == SMALL
    raising.size_bytes(LOOK_S)
    assert vswitchd.sockets["socket:[99]"][1].size_bytes == RAISED_RECEIVE_BYTES
    put_back(record)
    assert vswitchd.sizes == {SMALL}


def test_a_fault_is_told_until_the_next_look_and_then_no_longer(vswitchd: Vswitchd, tmp_path: Path) -> None:
    seeing = SendBuffer(tmp_path, None)
    vswitchd.fault = HostError("they cannot be looked at", "Wait")
    for now_s in (0.0, 0.2, 0.4):
        with pytest.raises(HostError, match="cannot be looked at"):
            seeing.size_bytes(now_s)
        vswitchd.fault = None
    assert seeing.size_bytes(LOOK_S) == SMALL


def test_nothing_is_raised_that_cannot_be_recorded(vswitchd: Vswitchd, tmp_path: Path) -> None:
    record = tmp_path / "absent" / "raised.json"
    raising = SendBuffer(tmp_path, record)
    with pytest.raises(HostError, match=r"raised\.json: .* \(No such file or directory\)\. Make room"):
        raising.size_bytes(0.0)
    assert vswitchd.sizes == {SMALL}
    record.parent.mkdir()
    assert raising.size_bytes(LOOK_S) == RAISED_SEND_BYTES


@pytest.mark.parametrize("text", ["", "[]", '{"process": [1, 2], "sockets": []}', '{"process": [1]}'])
def test_a_damaged_record_is_replaced_but_puts_nothing_back(vswitchd: Vswitchd, tmp_path: Path, text: str) -> None:
    record = tmp_path / "raised.json"
    record.write_text(text)
    with pytest.raises(HostError, match=r"raised\.json: it cannot be read"):
        put_back(record)
    assert record.exists()
    assert SendBuffer(tmp_path, record).size_bytes(0.0) == RAISED_SEND_BYTES
    put_back(record)
    assert vswitchd.sizes == {SMALL}


def test_a_record_that_cannot_be_read_or_removed_is_a_fault_in_words(tmp_path: Path) -> None:
    (tmp_path / "raised.json").mkdir()
    with pytest.raises(HostError, match=r"raised\.json: .* \(Is a directory\)"):
        put_back(tmp_path / "raised.json")


def test_of_a_process_that_has_ended_only_the_record_is_left(tmp_path: Path) -> None:
    record = tmp_path / "raised.json"
    record.write_text(json.dumps({"process": [os.getpid(), 1], "sockets": {"socket:[0]": ["send", SMALL]}}))
    put_back(record)
    assert not record.exists()
