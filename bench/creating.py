"""VIFs from being asked for until the first ping is answered: by Weir, and the same done by hand in the same run.

By hand: the same namespaces, veths, addresses, offloads, shapers and ports, and the same flow entries and meters, read
off Weir's own switch; with the usual programs, on another switch of the same kind that holds what Weir's held before.
"""

from __future__ import annotations

import itertools
import os
import re
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

from controller.intent.creation import insert
from controller.intent.vif_checks import VifRequest
from lab.children import LabError, run, within
from lab.outside import Outside
from lab.private_ovs import PrivateOvs
from lab.system import System

TIMES, MANY = 5, 100
# times as long as by hand: a command is mostly its own start (see docs/bench.md), and shows when that grows by half
MOST_OF_COMMAND, MOST = 3.0, 1.0
_BRIDGE, _PEER, _DEADLINE_S = "br-weir", "peer", 60.0
_POLICY = """
weir: 1
segments:
  lab: {type: internal, subnets: [10.30.0.0/16]}
policies:
  bench: {unmatched: allow, egress: {limit: 100 mbit}}
"""


@dataclass(frozen=True, slots=True)
class Row:
    """weir_s, hand_s: until the last of the first pings is answered. parts: what Weir's time is made of. most: times as
    long as by hand that it may take."""

    what: str
    weir_s: float
    hand_s: float
    parts: str
    most: float = MOST


@dataclass(frozen=True, slots=True)
class _Vif:
    """What a VIF is on its switch, as Weir made it."""

    name: str
    number: str  # of its link
    mac: str
    address: str  # with prefix length
    ofport: int


@dataclass(frozen=True, slots=True)
class _Held:
    """flows, meters: as ovs-ofctl prints and reads them."""

    flows: frozenset[str]
    meters: frozenset[str]


@dataclass(frozen=True, slots=True)
class _Step:
    """VIFs that were made together, and what the switch held before and after."""

    vifs: tuple[_Vif, ...]
    before: _Held
    after: _Held
    seconds: float
    parts: dict[str, float]


def measure(say: Callable[[str], None]) -> list[Row]:
    """Raises LabError."""
    say("create to first answered ping, by Weir ...")
    with _directory() as path, Outside() as outside, System(outside) as system:
        policy = Path(path, "policy.yaml")
        policy.write_text(_POLICY)
        system.weir("up", "--policy", str(policy))
        system.create_vif(_PEER, "bench", "lab")
        peer = _vif(system, _PEER)
        start_up = median(_timed(lambda: system.weir("vif", "list")) for _ in range(TIMES))
        by_command = [_made(system, [f"c{turn}"], peer, _command) for turn in range(TIMES)]
        in_python = [_made(system, [f"p{turn}"], peer, _python) for turn in range(TIMES)]
        many = _made(system, [f"m{turn}" for turn in range(1, MANY + 1)], peer, _count)
        many_again = [f"n{turn}" for turn in range(1, MANY + 1)]
        many_in_python = _made(system, many_again, peer, _python)
    say("create to first answered ping, by hand ...")
    one_s = [_by_hand([step], peer)[0] for step in by_command]
    many_s = _by_hand([many], peer)[0]
    starting = f"`weir vif list` alone {start_up:.3f} s; "
    return [
        Row(
            "one, `weir vif create`", _median(by_command), median(one_s), starting + _parts(by_command), MOST_OF_COMMAND
        ),
        Row("one, from Python", _median(in_python), median(one_s), _parts(in_python)),
        Row(f"each of {MANY}, `weir vif create --count`", many.seconds / MANY, many_s / MANY, _parts([many])),
        Row(f"each of {MANY}, from Python", many_in_python.seconds / MANY, many_s / MANY, _parts([many_in_python])),
    ]


def table(rows: Sequence[Row]) -> str:
    """Markdown."""
    lines = ["### create to first answered ping", "", "| what | Weir | by hand | ratio | made of |"]
    lines.append("| --- | --- | --- | --- | --- |")
    for row in rows:
        ratio = row.weir_s / row.hand_s
        lines.append(f"| {row.what} | {row.weir_s:.3f} s | {row.hand_s:.3f} s | {ratio:.1f} | {row.parts} |")
    return "\n".join(lines) + "\n"


def faults(rows: Sequence[Row]) -> list[str]:
    """What must not be, a sentence each."""
    slow = [row for row in rows if row.weir_s > row.most * row.hand_s]
    return [
        f"{row.what}: {row.weir_s / row.hand_s:.1f} times as long as by hand, more than {row.most}." for row in slow
    ]


@contextmanager
def _directory() -> Iterator[str]:
    """Of this run alone. What is started meanwhile keeps byte code in it: `make bench` forbids that beside the sources,
    and every command would compile again what was edited since."""
    before = {name: os.environ.pop(name, None) for name in ("PYTHONDONTWRITEBYTECODE", "PYTHONPYCACHEPREFIX")}
    try:
        with tempfile.TemporaryDirectory(prefix="weir-bench-", dir="/tmp") as path:
            os.environ["PYTHONPYCACHEPREFIX"] = f"{path}/byte-code"
            yield path
    finally:
        os.environ.pop("PYTHONPYCACHEPREFIX", None)
        os.environ.update({name: value for name, value in before.items() if value is not None})


_Maker = Callable[[System, Sequence[str]], dict[str, float]]


def _made(system: System, names: Sequence[str], peer: _Vif, make: _Maker) -> _Step:
    before = _held(system)
    start_s = time.perf_counter()
    parts = make(system, names)
    pinging_s = time.perf_counter()
    for name in names:
        _first_ping(system.namespace_of(name), peer)
    end_s = time.perf_counter()
    parts["first pings"] = end_s - pinging_s
    vifs = tuple(_vif(system, name) for name in names)
    return _Step(vifs, before, _held(system), end_s - start_s, parts)


def _command(system: System, names: Sequence[str]) -> dict[str, float]:
    return {"command": _timed(lambda: system.weir("vif", "create", names[0], "--policy", "bench"))}


def _count(system: System, names: Sequence[str]) -> dict[str, float]:
    stem = names[0].rstrip("1")
    argv = ("vif", "create", stem, "--policy", "bench", "--count", str(len(names)))
    return {"command": _timed(lambda: system.weir(*argv))}


def _python(system: System, names: Sequence[str]) -> dict[str, float]:
    """In a process that is there already; says when what was done."""
    with system.database() as database:
        start_s = time.perf_counter()
        cfg, _ = insert(database, [VifRequest(name=name, policy="bench") for name in names])
        seen = {"written": time.perf_counter() - start_s}
        while "switch" not in seen:
            database.run()
            (host,) = database.snapshot().chassis.values()
            now_s = time.perf_counter() - start_s
            if host.agent_cfg >= cfg:
                seen.setdefault("host", now_s)
            if host.agent_cfg >= cfg and host.flow_cfg >= cfg:
                seen["switch"] = now_s
            elif now_s > _DEADLINE_S:
                raise LabError(f"it does not come into force within {_DEADLINE_S:g} s: {host}")
            else:
                database.wait(1.0)
        marks = [0.0, *seen.values()]
        return dict(zip(seen, (after - before for before, after in itertools.pairwise(marks)), strict=True))


def _by_hand(steps: Sequence[_Step], peer: _Vif) -> list[float]:
    """Seconds that each step takes."""
    with PrivateOvs() as ovs:
        ovs.vsctl(
            *("add-br", _BRIDGE, "--", "set", "bridge", _BRIDGE, "datapath_type=netdev", "fail_mode=secure"),
            "protocols=OpenFlow13",
        )
        made = [peer.name]
        try:
            _fill(ovs, _Held(frozenset(), frozenset()), steps[0].before)
            _links(ovs, [peer])
            _ports(ovs, [peer])
            return [_step_by_hand(ovs, step, peer, made) for step in steps]
        finally:
            for name in made:
                run(["ip", "netns", "delete", _namespace(ovs, name)], check=False)


def _step_by_hand(ovs: PrivateOvs, step: _Step, peer: _Vif, made: list[str]) -> float:
    made += [vif.name for vif in step.vifs]
    start_s = time.perf_counter()
    _links(ovs, step.vifs)
    _ports(ovs, step.vifs)
    _fill(ovs, step.before, step.after)
    for vif in step.vifs:
        _first_ping(_namespace(ovs, vif.name), peer)
    return time.perf_counter() - start_s


def _links(ovs: PrivateOvs, vifs: Sequence[_Vif]) -> None:
    for vif in vifs:
        inside = _namespace(ovs, vif.name)
        run(["ip", "netns", "add", inside])
        ovs.run("ip", "link", "add", vif.number, "type", "veth", "peer", "name", "eth0", "address", vif.mac)
        ovs.run("ip", "link", "set", "eth0", "netns", inside)
        ovs.run("ip", "link", "set", vif.number, "up")
        run(within(inside, ["ethtool", "-K", "eth0", "tx", "off", "tso", "off", "gso", "off"]))
        run(["ip", "-n", inside, "address", "add", vif.address, "dev", "eth0"])
        run(["ip", "-n", inside, "link", "set", "lo", "up"])
        run(["ip", "-n", inside, "link", "set", "eth0", "up"])
        shaper = ("tbf", "rate", "100mbit", "burst", "20k", "limit", "500k")
        run(within(inside, ["tc", "qdisc", "add", "dev", "eth0", "root", *shaper]))


def _ports(ovs: PrivateOvs, vifs: Sequence[_Vif]) -> None:
    words: list[str] = []
    for vif in vifs:
        words += ["--", "add-port", _BRIDGE, vif.number]
        words += ["--", "set", "interface", vif.number, f"ofport_request={vif.ofport}"]
    ovs.vsctl("--no-wait", *words[1:])


def _fill(ovs: PrivateOvs, before: _Held, after: _Held) -> None:
    """What differs: meters one by one, as there is no other way, and the entries as one bundle."""
    for meter in sorted(after.meters - before.meters):
        ovs.ofctl("add-meter", _BRIDGE, meter)
    gone = [re.sub(r"^cookie=[^,]*, | actions=.*", "", flow) for flow in before.flows - after.flows]
    changes = [f"delete_strict {flow}" for flow in gone]
    file = ovs.rundir / "changes.flows"
    file.write_text("\n".join([*changes, *(f"add {flow}" for flow in after.flows - before.flows)]) + "\n")
    ovs.ofctl("--bundle", "add-flows", _BRIDGE, str(file))


def _first_ping(namespace: str, peer: _Vif) -> None:
    argv = ["ping", "-q", "-c1", f"-w{_DEADLINE_S:.0f}", "-i0.02", "-W1", peer.address.partition("/")[0]]
    run(within(namespace, argv))


def _held(system: System) -> _Held:
    def ofctl(command: str, *options: str) -> str:
        words = ("ovs-ofctl", "-OOpenFlow13", "--no-names", *options, command, _BRIDGE)
        return system.outside.run(*words, OVS_RUNDIR=str(system.directory.run))

    flows = ofctl("dump-flows", "--no-stats").splitlines()
    meters = ofctl("dump-meters").replace("bands=\n", "bands=").splitlines()
    return _Held(
        frozenset(line.strip() for line in flows if "actions=" in line),
        frozenset(line.strip() for line in meters if line.startswith("meter=")),
    )


def _vif(system: System, name: str) -> _Vif:
    with system.database() as database:
        row = database.snapshot().interfaces[name]
    if row.port_name is None or row.ofport is None:
        raise LabError(f"VIF {name} has no port: {row.error}")
    address = next(text for text in row.addresses if ":" not in text)
    return _Vif(name, row.port_name, row.mac, address, row.ofport)


def _namespace(ovs: PrivateOvs, name: str) -> str:
    return f"{ovs.namespace}-{name}"


def _timed(action: Callable[[], Any]) -> float:
    start_s = time.perf_counter()
    action()
    return time.perf_counter() - start_s


def _median(steps: Sequence[_Step]) -> float:
    return median(step.seconds for step in steps)


def _parts(steps: Sequence[_Step]) -> str:
    names = steps[0].parts
    return ", ".join(f"{name} {median(step.parts[name] for step in steps):.3f}" for name in names)
