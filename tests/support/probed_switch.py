"""A bridge on a private Open vSwitch and the real `ryu-manager` with the probe in it, which meet at a Unix socket.

with probed_switch() as switch:
    switch.become(SwitchState(entries(3)))
"""

from __future__ import annotations

import itertools
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from controller.dataplane.actions import Action, Instructions
from controller.dataplane.cookies import CookieKind, encode
from controller.dataplane.entries import FlowBody, FlowKey, SwitchState
from controller.dataplane.match import match
from controller.dataplane.stages import stages
from tests.support.openflow_probe import SOCKET_VARIABLE, ProbeClient
from tests.support.ovs_sandbox import Daemon, PrivateOvs, wait_until

ROOT = Path(__file__).resolve().parents[2]
BRIDGE, SWITCH = "br0", "00000000000000aa"
COOKIE = encode(CookieKind.VIF, 5)


class ProbedSwitch:
    """address: the Unix socket at which ryu-manager listens. probe: asks the ryu-manager that runs."""

    def __init__(self, ovs: PrivateOvs) -> None:
        self.ovs = ovs
        self.address = ovs.rundir / "openflow.sock"
        self.log = ovs.rundir / "ryu.log"
        self._probes = map(ovs.rundir.joinpath, map("probe{}".format, itertools.count()))
        self.start_manager()

    def start_manager(self) -> None:
        """Returns when it answers, before any switch need have connected."""
        path = next(self._probes)
        self.manager = Daemon(
            [str(Path(sys.executable).with_name("ryu-manager")), "tests.support.openflow_probe"],
            self.log,
            self.ovs.namespace,
            {SOCKET_VARIABLE: str(path), "WEIR_OPENFLOW": f"unix:{self.address}", "PYTHONPATH": str(ROOT)},
        )
        self.probe = ProbeClient(path)
        wait_until(lambda: self.manager.check_alive() or path.exists(), "the probe answers")

    def add_bridge(self) -> None:
        self.ovs.vsctl(
            *("add-br", BRIDGE, "--", "set", "bridge", BRIDGE, "datapath_type=netdev", "protocols=OpenFlow13"),
            *("fail_mode=secure", f"other_config:datapath-id={SWITCH}", "other_config:disable-in-band=true"),
            *("--", "add-port", BRIDGE, "p1", "--", "set", "interface", "p1", "ofport_request=1"),
            *("--", "set-controller", BRIDGE, f"unix:{self.address}", "--", "set", "controller", BRIDGE),
            "max_backoff=1000",
        )

    def await_connected(self) -> None:
        wait_until(lambda: self.probe.connected() == [SWITCH], "the switch connects")

    def change(self, before: SwitchState, after: SwitchState) -> list[str]:
        """Applies the difference; failures as text."""
        return list(map(str, self.probe.apply(SWITCH, stages(after, before))))

    def become(self, state: SwitchState) -> None:
        failures = self.change(self.read(), state)
        assert failures == [], failures

    def read(self) -> SwitchState:
        state = self.probe.read(SWITCH)
        assert isinstance(state, SwitchState)
        return state

    def flows(self) -> list[str]:
        return [line for line in self.ovs.ofctl("dump-flows", BRIDGE).splitlines() if "cookie=" in line]

    def clear(self) -> None:
        """Nothing of ours stays, nor of anybody else."""
        self.ovs.ofctl("del-flows", BRIDGE)
        self.ovs.ofctl("del-meters", BRIDGE)


@contextmanager
def probed_switch() -> Iterator[ProbedSwitch]:
    with PrivateOvs(dummy=True) as ovs, probed(ovs) as switch:
        yield switch


@contextmanager
def probed(ovs: PrivateOvs) -> Iterator[ProbedSwitch]:
    """Port 1 of the bridge is p1, which is there already unless the datapath is a dummy."""
    switch = ProbedSwitch(ovs)
    try:
        switch.add_bridge()
        switch.await_connected()
        yield switch
    finally:
        switch.manager.stop()
        print(switch.log.read_text())


def entries(count: int, table: int = 1) -> dict[FlowKey, FlowBody]:
    return {FlowKey(table, number, match(in_port=number)): body(goto=10) for number in range(1, count + 1)}


def body(*apply: Action, meter_id: int | None = None, goto: int | None = None) -> FlowBody:
    return FlowBody(COOKIE, Instructions(meter_id, apply, goto))
