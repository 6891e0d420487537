"""The stock `ryu-manager` on every supported Python that this machine has, from the lock, nothing patched by hand."""

from __future__ import annotations

import glob
import os
import shutil
import socket
import struct
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.openflow_probe import SOCKET_VARIABLE, ProbeClient
from tests.support.ovs_sandbox import Daemon, short_dir, wait_until

ROOT = Path(__file__).resolve().parents[2]
PYTHONS = ("3.10", "3.11", "3.12", "3.13")
HELLO, FEATURES_REQUEST, FEATURES_REPLY, PORT_DESC_REQUEST = 0, 5, 6, 18
SWITCH = 0xABC


def uv() -> str:
    found = os.environ.get("UV") or shutil.which("uv") or shutil.which(ROOT / ".tools" / "bin" / "uv")
    if not found:
        pytest.skip("uv is not installed: run make install, or name it in UV")
    return found


def python(version: str) -> str:
    """A working interpreter of this version. Each is tried: a name on the path may be an empty shim."""
    candidates = [shutil.which(f"python{version}"), *glob.glob(f"/usr/*bin/python{version}")]
    candidates += sorted(Path.home().glob(f".pyenv/versions/{version}.*/bin/python{version}"))
    candidates += sorted(Path.home().glob(f".local/share/uv/python/cpython-{version}*/bin/python{version}"))
    for candidate in candidates:
        if candidate and subprocess.run([candidate, "-c", ""], capture_output=True, check=False).returncode == 0:
            return str(candidate)
    pytest.skip(f"NOT TESTED on Python {version}: this machine has none")


@pytest.fixture(params=PYTHONS)
def installed(request: pytest.FixtureRequest) -> Iterator[Path]:
    """The bin directory of a fresh environment made from the lock."""
    interpreter, directory = python(request.param), short_dir()
    try:
        argv = [uv(), "sync", "--frozen", "--no-dev", "--no-editable", "--reinstall-package=weir", "--quiet"]
        subprocess.run(
            [*argv, f"--python={interpreter}"],
            cwd=ROOT,
            env={**os.environ, "UV_PROJECT_ENVIRONMENT": str(directory / "venv"), "UV_PYTHON_DOWNLOADS": "never"},
            check=True,
        )
        yield directory / "venv" / "bin"
    finally:
        shutil.rmtree(directory, ignore_errors=True)


def test_a_switch_connects(installed: Path) -> None:
    """Ryu's WSGI imports too: `ryu-manager` always does that."""
    directory, port = short_dir(), free_port()
    log = directory / "ryu.log"
    application = ["--ofp-tcp-listen-port", str(port), "tests.support.openflow_probe"]
    probe = ProbeClient(directory / "probe")
    manager = Daemon(
        [str(installed / "ryu-manager"), *application],
        log,
        env={SOCKET_VARIABLE: str(directory / "probe"), "PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1"},
    )
    try:
        with connection(manager, port) as switch:
            play_handshake(switch)
            wait_until(lambda: probe.connected() == [f"{SWITCH:016x}"], "the switch is known")
        wait_until(lambda: probe.seen()[-1] == ("down", f"{SWITCH:016x}"), "the switch is missed")
        assert "Eventlet is deprecated" not in log.read_text()
    finally:
        manager.stop()
        print(log.read_text())
        shutil.rmtree(directory, ignore_errors=True)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def connection(manager: Daemon, port: int) -> socket.socket:
    def attempt() -> socket.socket | None:
        manager.check_alive()
        try:
            return socket.create_connection(("127.0.0.1", port), timeout=20)
        except ConnectionRefusedError:
            return None

    made = wait_until(attempt, "ryu-manager listens")
    assert made is not None
    return made


def play_handshake(switch: socket.socket) -> None:
    """As an OpenFlow 1.3 switch without ports: hello, features, port descriptions."""
    switch.sendall(struct.pack("!BBHI", 4, HELLO, 8, 1))
    kind, xid = next_message(switch)
    while kind != FEATURES_REQUEST:
        kind, xid = next_message(switch)
    switch.sendall(struct.pack("!BBHIQIBB2xII", 4, FEATURES_REPLY, 32, xid, SWITCH, 0, 254, 0, 0, 0))
    while kind != PORT_DESC_REQUEST:
        kind, xid = next_message(switch)
    switch.sendall(struct.pack("!BBHIHH4x", 4, PORT_DESC_REQUEST + 1, 16, xid, 13, 0))


def next_message(switch: socket.socket) -> tuple[int, int]:
    """Type and xid."""
    head = switch.recv(8, socket.MSG_WAITALL)
    _, kind, length, xid = struct.unpack("!BBHI", head)
    if length > 8:
        switch.recv(length - 8, socket.MSG_WAITALL)
    return kind, xid
