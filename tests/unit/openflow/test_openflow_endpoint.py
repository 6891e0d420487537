"""The Unix socket in the place of Ryu's listener: who may open it, what it replaces, what it leaves."""

from __future__ import annotations

import os
import socket as blocking
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import ryu.base.app_manager  # noqa: F401  (before ryu.controller.controller, which cannot be imported first)
from eventlet.green import socket
from ryu import cfg
from ryu.controller import controller
from ryu.lib import hub

from controller.openflow.endpoint import UnixServer, listen_where_told


@pytest.fixture
def module(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Ryu's module of the listener, put back afterwards."""
    monkeypatch.setattr(controller, "StreamServer", controller.StreamServer)
    cfg.CONF([], project="ryu")
    yield controller
    cfg.CONF.clear_default("ofp_tcp_listen_port")
    cfg.CONF.reset()


def no_handle(connection: object, address: str) -> None:
    """For a server that is not connected to."""


def test_without_the_variable_ryu_listens_as_it_does(module: Any) -> None:
    stock = module.StreamServer
    for environ in ({}, {"WEIR_OPENFLOW": ""}):
        listen_where_told(environ)
        assert module.StreamServer is stock and cfg.CONF.ofp_tcp_listen_port is None


def test_ryu_listens_once_and_on_the_socket(module: Any, tmp_path: Path) -> None:
    path = tmp_path / "s"
    listen_where_told({"WEIR_OPENFLOW": f"unix:{path}"})
    assert cfg.CONF.ofp_tcp_listen_port  # told no port, Ryu would make a second listener
    server = module.StreamServer(("0.0.0.0", 6653), no_handle, keyfile="k", certfile="c")
    assert isinstance(server, UnixServer) and path.is_socket()


@pytest.mark.parametrize("target", ["tcp:127.0.0.1:6653", "unix:", "unix:run/s", "/run/s"])
def test_what_is_no_unix_socket_is_refused(module: Any, target: str) -> None:
    with pytest.raises(ValueError, match=r"WEIR_OPENFLOW='.*' is no Unix socket\. Write unix:/PATH"):
        listen_where_told({"WEIR_OPENFLOW": target})


def test_a_connection_takes_what_ryu_sets_for_tcp(tmp_path: Path) -> None:
    def echo(connection: Any, address: str) -> None:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 5000)
        connection.sendall(connection.recv(3) + address.encode())
        connection.close()

    path = tmp_path / "s"
    thread = hub.spawn(UnixServer(path, echo).serve_forever)
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(str(path))
        client.sendall(b"hi ")
        assert client.makefile("rb").read() == b"hi " + os.fsencode(path)
    hub.kill(thread)


def test_only_the_owner_may_open_it_whatever_the_umask(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        UnixServer(tmp_path / "s", no_handle)
    finally:
        os.umask(before)
    assert (tmp_path / "s").stat().st_mode & 0o777 == 0o600


def test_a_socket_that_was_left_is_replaced_and_a_file_is_not(tmp_path: Path) -> None:
    stale, file = tmp_path / "stale", tmp_path / "file"
    with blocking.socket(blocking.AF_UNIX) as dead:
        dead.bind(str(stale))
    UnixServer(stale, no_handle)
    with blocking.socket(blocking.AF_UNIX) as client:
        client.connect(str(stale))
    file.write_text("mine")
    with pytest.raises(OSError, match="in use"):
        UnixServer(file, no_handle)
    assert file.read_text() == "mine"


def test_it_removes_its_own_socket_and_nobody_elses(tmp_path: Path) -> None:
    path = tmp_path / "s"
    first = UnixServer(path, no_handle)
    second = UnixServer(path, no_handle)
    first._remove()
    assert path.is_socket()
    second._remove()
    second._remove()
    assert not path.exists()
