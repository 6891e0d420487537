"""Agents that die at a step: forked from a process that has everything loaded, and killed by their own hand.

A step is one effect outside of the process: a netlink message that changes something, a setting written, a mount or
another change of namespaces, an ioctl, a file made or removed, an OVSDB transaction sent. Between two steps nothing
outside changes, so death after step N is death before step N + 1; of a transaction that was sent nobody knows whether
it was carried out: that is one death of its own.

    python -m tests.support.dying_agent '{"chassis": ..., "bridge": ..., ...}'

reads orders from stdin, one a line: `N before|after` (0: it lives until SIGTERM). Answers: `pid` at once, and
`end STATUS STEPS` when it has ended (STATUS as in os.waitstatus_to_exitcode).
"""

from __future__ import annotations

import fcntl
import json
import logging
import mmap
import os
import select
import signal
import struct
import subprocess
import sys
import traceback
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any

from controller.config import StateDir
from controller.host import links, namespace
from controller.host.agent import AgentConfig, run
from controller.host.kinds.vhost_user import TYPE
from controller.host.qdisc_socket import QdiscSocket
from ovsdb.library import idl
from ovsdb.open_vswitch import OpenVSwitch

_ORDER_OF_GET = 2  # of each four rtnetlink message types: new, delete, get, set


class Steps:
    """Counts effects, in memory that outlives the process; kills it at the one it was told."""

    def __init__(self, counter: mmap.mmap, die_at: int, after: bool) -> None:
        self._counter, self._die_at, self._after = counter, die_at, after
        self._depth = 0

    def take(self, effect: Callable[[], Any]) -> Any:
        """One that is made of others is one step for each of those only once."""
        if self._depth:
            return effect()
        (count,) = struct.unpack_from("=I", self._counter)
        struct.pack_into("=I", self._counter, 0, count + 1)
        mortal = count + 1 == self._die_at
        if mortal and not self._after:
            os.kill(os.getpid(), signal.SIGKILL)
        self._depth += 1
        try:
            return effect()
        finally:
            self._depth -= 1
            if mortal:
                os.kill(os.getpid(), signal.SIGKILL)

    def watch(self, owner: Any, name: str, counts: Callable[..., bool] = lambda *_, **__: True) -> None:
        """Every call of that function is a step, if `counts` says so of its arguments."""
        original = getattr(owner, name)

        def counted(*arguments: Any, **named: Any) -> Any:
            if not counts(*arguments, **named):
                return original(*arguments, **named)
            return self.take(lambda: original(*arguments, **named))

        setattr(owner, name, counted)


def watch_all(steps: Steps) -> None:
    full = links.Netlink.__getattr__

    def attribute(self: links.Netlink, name: str) -> Any:
        found = full(self, name)
        if name not in ("link", "addr", "route"):
            return found
        return lambda command, *given, **named: (
            found(command, *given, **named)
            if command in ("get", "dump")
            else steps.take(lambda: found(command, *given, **named))
        )

    links.Netlink.__getattr__ = attribute  # type: ignore[method-assign]
    steps.watch(QdiscSocket, "_send", lambda _, requests: any(one.type % 4 != _ORDER_OF_GET for one in requests))
    steps.watch(namespace, "_call", lambda function, *_: function != "setns")
    steps.watch(fcntl, "ioctl")
    steps.watch(os, "open", lambda _, flags, *__, **___: bool(flags & os.O_CREAT))
    for name in ("write_text", "unlink", "mkdir", "touch", "chmod", "replace", "rename"):
        steps.watch(Path, name)
    for name in ("chown", "chmod"):
        steps.watch(os, name)
    connection = idl.ovs.jsonrpc.Connection
    steps.watch(connection, "send", lambda _, message: getattr(message, "method", None) == "transact")


class Nursery:
    """The process from which agents are forked, in the namespace of their Open vSwitch."""

    def __init__(self, config: AgentConfig, inside: str, log: Path) -> None:
        given = {name: getattr(config, name) for name in ("chassis", "bridge", "system", "interval_s")}
        given |= {
            "state": str(config.state.path),
            "ovs_rundir": str(config.ovs_rundir),
            "uplinks": dict(config.uplinks),
        }
        with log.open("ab") as output:
            self._process = subprocess.Popen(
                ["setpriv", "--pdeathsig", "KILL", "nsenter", f"--net=/run/netns/{inside}", "--", sys.executable, "-m",
                 "tests.support.dying_agent", json.dumps(given)],
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=output, text=True, bufsize=1,
            )  # fmt: skip
        self.pid = 0

    def __enter__(self) -> Nursery:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if self.pid:
            self.end(kill=True)
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(timeout=10)

    def bear(self, die_at: int = 0, when: str = "after") -> None:
        """One agent at a time."""
        assert self._process.stdin is not None
        self._process.stdin.write(f"{die_at} {when}\n")
        self.pid = int(self._answer())

    def await_death(self) -> int:
        """Waits for its end. Returns how many steps it took."""
        _, status, steps = self._answer().split()
        self.pid = 0
        assert int(status) in (0, -signal.SIGKILL), f"it ended with {status}"
        return int(steps)

    def end(self, kill: bool) -> int:
        """Ends one that lives. Returns how many steps it took."""
        os.kill(self.pid, signal.SIGKILL if kill else signal.SIGTERM)
        return self.await_death()

    def is_dead(self, wait_s: float = 0.0) -> bool:
        """Whether it dies within this time; its end is still to be taken by `await_death`."""
        assert self._process.stdout is not None
        return bool(select.select([self._process.stdout], [], [], wait_s)[0])

    def kill(self) -> None:
        """The nursery has seen the end of one that is gone, so nobody else has its pid before the next is born."""
        with suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGKILL)

    def _answer(self) -> str:
        assert self._process.stdout is not None
        return self._process.stdout.readline().strip()


def pretend_dpdk() -> None:
    """The agent takes Open vSwitch for one that has DPDK. That refuses the port: then the agent has done its part."""
    real = OpenVSwitch.port_types
    OpenVSwitch.port_types = lambda self: real(self) | {TYPE}  # type: ignore[method-assign]


def main() -> None:
    logging.basicConfig(format="%(asctime)s %(process)d %(levelname)s %(message)s")
    given = json.loads(sys.argv[1])
    state, ovs_rundir = StateDir(Path(given.pop("state"))), Path(given.pop("ovs_rundir"))
    config = AgentConfig(**given, state=state, ovs_rundir=ovs_rundir)
    counter = mmap.mmap(-1, mmap.PAGESIZE)
    pretend_dpdk()
    for order in sys.stdin:
        die_at, when = order.split()
        struct.pack_into("=I", counter, 0, 0)
        child = os.fork()
        if child == 0:
            null = os.open(os.devnull, os.O_RDWR)
            os.dup2(null, 0)
            os.dup2(null, 1)
            status = 1
            try:
                watch_all(Steps(counter, int(die_at), when == "after"))
                status = run(config)
            except BaseException:
                traceback.print_exc()
            finally:
                os._exit(status)
        print(child, flush=True)
        _, ended = os.waitpid(child, 0)
        (steps,) = struct.unpack_from("=I", counter)
        print("end", os.waitstatus_to_exitcode(ended), steps, flush=True)


if __name__ == "__main__":
    main()
