"""What a host sees that tries to reach another: an answer, a refusal, nothing; and what is written on what arrives."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from lab.children import Child, LabError, program, run, wait_until, within

_PYTHON = [sys.executable, "-I", "-S"]  # without site packages it starts in 20 ms
_REFUSED = re.compile(r"^From (\S+) icmp_seq=\d+ (.+)$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Attempt:
    """answer: "connected", "datagram", the name of an error as in "ECONNREFUSED", or "nothing"."""

    answer: str
    after_s: float


def attempt(namespace: str, protocol: str, address: str, port: int, patience_s: float = 2.0) -> Attempt:
    """One connection by "tcp", or one datagram by "udp" and the answer to it."""
    argv = [*_PYTHON, program("attempt_maker.py"), protocol, address, str(port), str(patience_s)]
    return Attempt(**json.loads(run(within(namespace, argv))))


def echo_refusal(namespace: str, address: str) -> tuple[str, str] | None:
    """Who says what of an echo request that is not answered; None: nobody says anything."""
    found = _REFUSED.search(run(within(namespace, ["ping", "-n", "-c", "1", "-W", "1", address]), check=False))
    return None if found is None else (found[1], found[2])


@contextmanager
def marks(namespace: str, address: str, port: int) -> Iterator[list[int]]:
    """The DSCP of each datagram that has come to an address and port of the namespace so far."""
    said: list[str] = []
    came: list[int] = []

    def take(line: str) -> None:
        said.append(line)
        if line.strip().isdigit():
            came.append(int(line))

    with Child(namespace, [*_PYTHON, program("mark_reader.py"), address, str(port)], take) as reader:
        wait_until(lambda: "ready\n" in said or not reader.runs, "marks are read")
        if not reader.runs:
            raise reader.fault("ended")
        yield came


def unreachables(namespace: str) -> int:
    """ICMP and ICMPv6 errors that say "unreachable" and have reached a namespace since it was made."""
    text = run(within(namespace, ["cat", "/proc/net/snmp", "/proc/net/snmp6"]))
    names, values = (line.split()[1:] for line in text.splitlines() if line.startswith("Icmp:"))
    v6 = re.search(r"^Icmp6InDestUnreachs\s+(\d+)", text, re.MULTILINE)
    if v6 is None:
        raise LabError(f"namespace {namespace} counts no ICMPv6 errors")
    return int(values[names.index("InDestUnreachs")]) + int(v6[1])
