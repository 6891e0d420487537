"""Commands to the vswitchd of this host over its control socket, as `ovs-appctl` gives them, without a process each."""

from __future__ import annotations

import json
import socket
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from controller.host.process import Process, start_time

_CHUNK_BYTES = 1 << 16


@dataclass(frozen=True, slots=True)
class Vswitchd:
    process: Process
    control: Path  # its socket


class Silent(Exception):
    """vswitchd does not answer, or refuses."""


def vswitchd(rundir: Path) -> Vswitchd | None:
    """The one whose files are there, built with DPDK or without; None: it does not run."""
    for file in sorted(rundir.glob("ovs-vswitchd*.pid")):
        with suppress(OSError, ValueError):
            pid = int(file.read_text())
            started = start_time(pid)
            if started is not None and Path(f"/proc/{pid}/comm").read_text().startswith("ovs-vswitchd"):
                return Vswitchd(Process(pid, started), rundir / f"{file.stem}.{pid}.ctl")
    return None


def answers(control: Path, commands: Sequence[Sequence[str]], deadline_s: float) -> list[str]:
    """What each command prints. deadline_s: for each answer. Raises Silent."""
    decoder, text, found = json.JSONDecoder(), "", list[str]()
    try:
        with socket.socket(socket.AF_UNIX) as opened:
            opened.settimeout(deadline_s)
            opened.connect(str(control))
            for number, command in enumerate(commands):
                request = {"method": command[0], "params": list(command[1:]), "id": number}
                opened.sendall(json.dumps(request).encode())
                while True:
                    with suppress(json.JSONDecodeError):
                        reply, end = decoder.raw_decode(text)
                        break
                    more = opened.recv(_CHUNK_BYTES)
                    if not more:
                        raise Silent("it has closed its control socket")
                    text += more.decode()
                text = text[end:].lstrip()
                if reply["error"] is not None:
                    raise Silent(f"{' '.join(command)}: {reply['error']}")
                found.append(str(reply["result"]))
    except (OSError, UnicodeDecodeError) as fault:
        raise Silent(str(fault)) from fault
    return found
