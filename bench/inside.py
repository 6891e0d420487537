"""A Ryu application: the real `controller.app` with a measuring controller in the place of wiring.

`ryu-manager bench.inside` with WEIR_BENCH=CASE:DIRECTORY takes the first switch that connects, brings the case into it
and changes it as the case says, by a keeper, then leaves DIRECTORY/live.json and ends.
"""

from __future__ import annotations

import os
import sys
import time
import traceback
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import eventlet

from bench.cases import CASES, Case
from bench.figures import Live, LiveChange, peak_mib, write
from bench.worlds import CHASSIS
from controller.dataplane.entries import NOTHING, SwitchState
from controller.dataplane.stages import Failure, Stages
from controller.runtime.follower import FlowStatus
from controller.runtime.keeper import Duty, Keeper
from controller.world.desired import World, read_world
from ovsdb.rows import Snapshot

VARIABLE = "WEIR_BENCH"
_DEADLINE_S, _LOOK_EVERY_S = 120.0, 0.002


class Timed:
    """A switch whose every call is timed. times: seconds by the name of the call, since somebody emptied them."""

    def __init__(self, switch: Any) -> None:
        self._switch = switch
        self.times: dict[str, float] = {}

    def __getattr__(self, name: str) -> Any:
        return getattr(self._switch, name)

    def read(self, wanted: SwitchState = NOTHING) -> Any:
        with self._timed("read"):
            return self._switch.read(wanted)

    def look(self, stages: Stages) -> Any:
        with self._timed("look"):
            return self._switch.look(stages)

    def apply(self, stages: Stages) -> tuple[Failure, ...]:
        with self._timed("apply"):
            return tuple(self._switch.apply(stages))

    @contextmanager
    def _timed(self, name: str) -> Iterator[None]:
        start_s = time.perf_counter()
        yield
        self.times[name] = self.times.get(name, 0.0) + time.perf_counter() - start_s


class Site:
    """What a keeper is given, and what it says."""

    def __init__(self, switch: Timed) -> None:
        self._switch, self._world = switch, World()
        self._said: FlowStatus | None = None
        duty = Duty(lambda: self._world, dict, self._report, time.monotonic, lambda chassis, drifted: None)
        self._keeper = Keeper(CHASSIS, switch, duty)
        self._thread = eventlet.spawn(self._keeper.run)

    def bring(self, snapshot: Snapshot) -> float:
        """Seconds until it is in force. Raises RuntimeError when it cannot be."""
        world = read_world(snapshot, self._world, 0.0)
        self._switch.times.clear()
        start_s = time.perf_counter()
        self._world, self._said = world, None
        self._keeper.poke()
        while not self._is_done():
            if time.perf_counter() > start_s + _DEADLINE_S:
                raise RuntimeError(f"it does not come into force within {_DEADLINE_S:g} s: {self._said}")
            eventlet.sleep(_LOOK_EVERY_S)
        return time.perf_counter() - start_s

    def end(self) -> SwitchState:
        """Ends the keeper; what it has planned last."""
        self._thread.kill()
        plan = self._keeper._plan
        assert plan is not None
        return plan.state

    def _is_done(self) -> bool:
        """Raises RuntimeError when it cannot be."""
        if self._said is not None and self._said.flow_error:
            raise RuntimeError(self._said.flow_error)
        return self._said is not None and self._said.flow_cfg is not None

    def _report(self, _chassis: str, status: FlowStatus) -> None:
        self._said = status


class Bench:
    """In the place of the controller."""

    def __init__(self, case: Case, directory: Path, connected: Any) -> None:
        self._case, self._directory, self._connected = case, directory, connected

    def start(self) -> None: ...

    def stop(self) -> None: ...

    def switch_down(self, datapath_id: str) -> None: ...

    def punted(self, punt: object) -> None: ...

    def switch_up(self, session: Any) -> None:
        eventlet.spawn(self._run, session)

    def _run(self, session: Any) -> None:
        status = 1
        try:
            write(self._directory / "live.json", self._measure(Timed(self._connected(session))))
            status = 0
        except Exception:
            traceback.print_exc()
        sys.stderr.flush()
        os._exit(status)

    def _measure(self, switch: Timed) -> Live:
        first, changes = self._case.build()
        site = Site(switch)
        load_s = site.bring(first)
        measured = []
        for change in changes:
            total_s = site.bring(change.after)
            times = switch.times
            read_s = times.get("look", 0.0) + times.get("read", 0.0)
            measured.append(LiveChange(change.label, times.get("apply", 0.0), read_s, total_s))
        peak = peak_mib()
        audit_s, cpu_s = _audit(switch, site.end())
        return Live(load_s, peak, audit_s, cpu_s, measured)


def _audit(switch: Timed, state: SwitchState) -> tuple[float, float]:
    """Seconds, and seconds of the processor, of the second reading that finds everything as it should be."""
    assert switch.read(state) == state
    start_s, start_cpu_s = time.perf_counter(), time.process_time()
    switch.read(state)
    return time.perf_counter() - start_s, time.process_time() - start_cpu_s


def _build(environ: Mapping[str, str]) -> Bench:
    name, _, directory = environ[VARIABLE].partition(":")
    return Bench(CASES[name], Path(directory), ConnectedSwitch)


if "ryu.base.app_manager" in sys.modules:  # loaded by ryu-manager
    import controller.app
    from controller import wiring
    from controller.connected_switch import ConnectedSwitch

    wiring.build = _build  # type: ignore[assignment]

    class BenchApp(controller.app.WeirApp):
        pass
