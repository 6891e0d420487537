"""A Ryu application that lets a test in another process use the session and target of a connected switch.

`ryu-manager tests.support.openflow_probe` runs the real `controller.app` with a controller of its own in the place of
wiring. Questions come over a Unix socket (OPENFLOW_PROBE_SOCKET), pickled: the name of one of `Probe`'s answers and
its arguments; the reply is (True, value) or (False, exception and traceback as text).
"""

from __future__ import annotations

import os
import pickle
import socket
import struct
import sys
import traceback
import types
from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

SOCKET_VARIABLE = "OPENFLOW_PROBE_SOCKET"
_LENGTH = struct.Struct("!I")


class ProbeFailed(Exception):
    """What was asked raised an exception in the probe."""


def send(connection: socket.socket, value: object) -> None:
    data = pickle.dumps(value)
    connection.sendall(_LENGTH.pack(len(data)) + data)


def receive(connection: socket.socket) -> Any:
    return pickle.loads(_exactly(connection, _LENGTH.unpack(_exactly(connection, _LENGTH.size))[0]))


def _exactly(connection: socket.socket, size: int) -> bytes:
    data = b""
    while len(data) < size:
        more = connection.recv(size - len(data))
        if not more:
            raise ProbeFailed("the probe has gone")
        data += more
    return data


class ProbeClient:
    """`client.read("0000000000000001")` asks the probe for `read` of that switch."""

    def __init__(self, path: Path):
        self._path = path

    def __getattr__(self, name: str) -> Any:
        def ask(*args: object) -> Any:
            with socket.socket(socket.AF_UNIX) as connection:
                connection.settimeout(60)
                connection.connect(str(self._path))
                send(connection, (name, args))
                done, value = receive(connection)
            if not done:
                raise ProbeFailed(value)
            return value

        return ask


def _named(rows: Mapping[int, tuple[int, ...]], columns: tuple[str, ...]) -> dict[int, SimpleNamespace]:
    return {number: SimpleNamespace(**dict(zip(columns, row, strict=True))) for number, row in rows.items()}


class Probe:
    """The controller that the probe's application drives, and the answers that it gives."""

    def __init__(self) -> None:
        self.sessions: dict[str, Any] = {}
        self.events: list[tuple[str, str]] = []
        self.punts: list[Any] = []
        self.wanting: Any = None

    def start(self) -> None:
        from ryu.lib import hub

        path = os.environ[SOCKET_VARIABLE]
        hub.spawn(hub.StreamServer((path, 0), self._answer).serve_forever)

    def stop(self) -> None:
        pass

    def switch_up(self, session: Any) -> None:
        self.sessions[session.datapath_id] = session
        self.events.append(("up", session.datapath_id))

    def switch_down(self, datapath_id: str) -> None:
        self.sessions.pop(datapath_id)
        self.events.append(("down", datapath_id))

    def punted(self, punt: Any) -> None:
        """Keeps it, and rejects its packet."""
        from controller.services.rejects import answer_to

        self.punts.append(punt)
        answer = answer_to(punt.frame)
        if answer is not None:
            self.packet_out(punt.datapath_id, punt.in_port, answer)

    def _answer(self, connection: Any, _address: object) -> None:
        name, args = receive(connection)
        try:
            send(connection, (True, getattr(self, name)(*args)))
        except Exception as fault:
            send(connection, (False, f"{type(fault).__name__}: {fault}\n{traceback.format_exc()}"))
        connection.close()

    def connected(self) -> list[str]:
        return sorted(self.sessions)

    def seen(self) -> list[tuple[str, str]]:
        return self.events

    def read(self, switch: str) -> Any:
        return self._target(switch).read()

    def want(self, switch: str, wanted: Any) -> None:
        """From now on `read_wanted` is by one target."""
        self.wanting = self._target(switch), wanted

    def read_wanted(self) -> Any:
        """What is read, and whether it is given as the objects of what is wanted."""
        target, wanted = self.wanting
        found = target.read(wanted)
        return found, found.flows is wanted.flows

    def look(self, switch: str, stages: Any) -> Any:
        return self._target(switch).look(stages)

    def apply(self, switch: str, stages: Any) -> Any:
        return self._target(switch).apply(stages)

    def modify_meters(self, switch: str, meters: Mapping[int, Any]) -> Any:
        return self._target(switch).modify_meters(meters)

    def counters(self, switch: str) -> Any:
        """As the loop reads them: meters and ports by number, with their columns as attributes."""
        from controller.openflow import meter_codec, port_codec
        from controller.openflow.stats import read_counters

        found = read_counters(self.sessions[switch])
        return SimpleNamespace(
            meters=_named(found.meters.rows(), meter_codec.COLUMNS),
            ports=_named(found.ports.rows(), port_codec.COLUMNS),
        )

    def rule_counters(self, switch: str) -> Any:
        from controller.openflow.stats import read_rule_counters

        return read_rule_counters(self.sessions[switch])

    def sent_up(self) -> list[Any]:
        """The packets since this was last asked."""
        punts, self.punts = self.punts, []
        return punts

    def packet_out(self, switch: str, port: int, frame: bytes) -> None:
        self.sessions[switch].packet_out(port, frame)

    def ask(self, switch: str, frame: Any) -> Any:
        return self.sessions[switch].ask(frame)

    def together(self, switch: str, stages: Any, frames: Any) -> tuple[Any, Any]:
        """Applies a change while other messages are delivered: its failures, and the others' errors."""
        from ryu.lib import hub

        applying = hub.eventlet.spawn(self.apply, switch, stages)
        errors = self.sessions[switch].deliver(frames)
        return applying.wait(), {index: str(error) for index, error in errors.items()}

    def _target(self, switch: str) -> Any:
        from controller.openflow.target import SwitchTarget

        return SwitchTarget(self.sessions[switch])


if "ryu.base.app_manager" in sys.modules:  # loaded by ryu-manager, not by a test
    wiring = types.ModuleType("controller.wiring")
    wiring.build = lambda environ: Probe()  # type: ignore[attr-defined]
    sys.modules["controller.wiring"] = wiring
    import controller.app

    class ProbeApp(controller.app.WeirApp):
        pass
