"""The network as it runs: Mininet, Open vSwitch, Weir DB, controller and agents, in a network namespace of their own.

Nothing of it touches the machine's Open vSwitch or network, and nothing is left of it when the block ends.
"""

from __future__ import annotations

import json
import os
import socket
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from mininet.net import Mininet
from mininet.node import Controller, OVSSwitch

from controller.config import StateDir
from controller.host import namespace
from lab.children import run, wait_until, within
from mininet_tests.topology import UPLINK, Place, Plan, Planned
from tests.support.ovs_sandbox import Daemon, PrivateOvs, WeirDbServer

_BIN = Path(sys.executable).parent
_PORT = 6653
PROTOCOLS = "OpenFlow10,OpenFlow13"
Mininet.inited = True  # else it changes limits of the whole machine, and leaves them so


class RyuManager(Controller):  # type: ignore[misc]
    """The controller as an operator starts it. It can be killed and started again while the network runs."""

    def __init__(self, name: str, ovs: PrivateOvs, state: StateDir) -> None:
        self._ovs, self._state = ovs, state
        self._daemon: Daemon | None = None
        super().__init__(name, port=_PORT)

    def checkListening(self) -> None:
        """Nobody can be: the namespace is new."""

    def start(self) -> None:
        listen = [f"--ofp-listen-host={self.ip}", f"--ofp-tcp-listen-port={self.port}"]
        argv = [str(_BIN / "ryu-manager"), "controller.app", *listen]
        environment = {"WEIR_STATE_DIR": str(self._state.path), "PYTHONUNBUFFERED": "1"}
        self._daemon = Daemon(argv, self._state.log / "controller.log", self._ovs.namespace, environment)

    def kill(self) -> None:
        """As `kill -9` would."""
        if self._daemon is not None:
            self._daemon.stop(kill=True)
            self._daemon = None

    def stop(self, *args: Any, **kwargs: Any) -> None:
        if self._daemon is not None:
            self._daemon.stop()
            self._daemon = None


class Host:
    """A Mininet host: commands run in it, sockets are made in it and used from here. namespace: its name."""

    def __init__(self, place: Place, namespace_name: str) -> None:
        self.place, self.namespace = place, namespace_name
        self.name, self.mac, self.v4, self.v6 = place.name, place.mac, place.v4, place.v6
        self.device = f"{place.name}-eth0"

    def run(self, *argv: str) -> str:
        return run(within(self.namespace, argv))

    def ping(self, address: str, *options: str) -> str:
        """What one echo request came to, in ping's words."""
        return run(within(self.namespace, ["ping", "-n", "-c1", "-W5", *options, address]), check=False)

    def next_hop(self, address: str) -> str:
        """The MAC that its frames to this address go to, as it has learned; it has sent some before."""
        (route,) = json.loads(self.run("ip", "-json", "route", "get", address))
        (neighbour,) = json.loads(self.run("ip", "-json", "neigh", "show", "to", route.get("gateway", address)))
        return str(neighbour["lladdr"])

    def socket(self, family: int, kind: int, protocol: int = 0) -> socket.socket:
        with namespace.entered(namespace.named(self.namespace)):
            return socket.socket(family, kind, protocol)


class WeirNetwork:
    """hosts: by name. Commands of `weir` act on this system."""

    def __init__(self, plan: Plan, ovs: PrivateOvs, state: StateDir) -> None:
        self.plan, self.ovs, self.state = plan, ovs, state
        self.controller: RyuManager
        self.hosts: dict[str, Host] = {}
        self.applied = ""

    def start(self, stack: ExitStack) -> None:
        """Returns when every host is a VIF in force."""
        self._start_mininet(stack)
        for switch in self.plan.switches:
            stack.callback(self._start_agent(switch).stop)
        wait_until(self._chassis_known, "all switches are known as chassis")
        self.apply(self.plan.policy())
        for place in self.plan.places:
            self.adopt(place)

    def weir(self, *argv: str) -> str:
        """Standard output. Raises LabError with the command's words when it fails."""
        return run([str(_BIN / "weir"), *argv], environment={"WEIR_STATE_DIR": str(self.state.path)})

    def apply(self, text: str) -> None:
        """In force on all switches when this returns."""
        if text != self.applied:
            file = self.state.path / "policy.yaml"
            file.write_text(text)
            self.weir("policy", "apply", str(file))
            self.applied = text

    def adopt(self, place: Place, *addresses: str) -> None:
        """Marks the host's port as whoever made it would, and makes it a VIF; in force when this returns.

        addresses: options that say which; else those of its place.
        """
        self.ovs.vsctl("set", "interface", place.port, f"external_ids:iface-id={place.name}")
        own = addresses or ("--ip", f"{place.v4}/24", "--ip", f"{place.v6}/64")
        where = ["--kind", "port", "--policy", place.name, "--segment", place.segment.name]
        self.weir("vif", "create", place.name, *where, "--mac", place.mac, *own)

    def _start_mininet(self, stack: ExitStack) -> None:
        self.controller = RyuManager("c0", self.ovs, self.state)
        stack.callback(self.controller.stop)
        net = Mininet(
            topo=Planned(self.plan),
            switch=lambda name, **given: OVSSwitch(name, datapath="user", protocols=PROTOCOLS, **given),
            controller=self.controller,
            waitConnected=False,
        )
        stack.callback(net.stop)
        net.start()
        for place in (*self.plan.places, *self.plan.outsiders):
            self.hosts[place.name] = self._prepared_host(place, net.get(place.name).pid, stack)

    def _prepared_host(self, place: Place, pid: int, stack: ExitStack) -> Host:
        host = Host(place, f"{self.ovs.namespace}-{place.name}")
        run(["ip", "netns", "attach", host.namespace, str(pid)])
        stack.callback(run, ["ip", "netns", "delete", host.namespace])
        host.run("ethtool", "-K", host.device, "tx", "off")  # the userspace datapath fills in no checksums
        host.run("ip", "address", "add", f"{place.v6}/64", "dev", host.device, "nodad")
        for gateway in place.segment.gateways:
            host.run("ip", "route", "add", "default", "via", gateway)
        return host

    def _start_agent(self, switch: str) -> Daemon:
        argv = [str(_BIN / "weir"), "agent", "--bridge", switch, "--chassis", switch]
        argv += [f"--uplink={UPLINK}={device}" for device in self.plan.uplinks[switch]]
        environment = {"WEIR_STATE_DIR": str(self.state.path), "OVS_RUNDIR": str(self.ovs.rundir)}
        return Daemon(argv, self.state.log / f"agent-{switch}.log", self.ovs.namespace, environment)

    def _chassis_known(self) -> bool:
        dump = run(["ovsdb-client", "dump", f"unix:{self.state.weir_db_socket}", "Weir", "Chassis", "name"])
        return all(switch in dump for switch in self.plan.switches)

    def flows(self, switch: str) -> str:
        return self.ovs.ofctl("--names", "dump-flows", switch)

    def connected(self) -> bool:
        """Whether each switch has its controller."""
        return "false" not in self.ovs.vsctl("--columns=is_connected", "list", "controller")

    def logs(self) -> str:
        parts = []
        for log in sorted(self.state.log.glob("*.log")):
            parts += [f"==== {log.name}", *log.read_text(errors="replace").splitlines()[-40:]]
        return "\n".join(parts)


@contextmanager
def weir_network(plan: Plan) -> Iterator[WeirNetwork]:
    with ExitStack() as stack:
        ovs = stack.enter_context(PrivateOvs())
        state = StateDir(ovs.rundir / "s")
        for directory in (state.run, state.log):
            directory.mkdir(parents=True)
        stack.enter_context(WeirDbServer(state.run))
        stack.enter_context(_inside(ovs))
        network = WeirNetwork(plan, ovs, state)
        try:
            network.start(stack)
        except BaseException:
            print(network.logs())
            raise
        yield network


@contextmanager
def _inside(ovs: PrivateOvs) -> Iterator[None]:
    """Mininet makes everything where this process is, and finds Open vSwitch through its environment."""
    before = {name: os.environ.get(name) for name in ovs.env}
    os.environ.update(ovs.env)
    try:
        with namespace.entered(namespace.named(ovs.namespace)):
            yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
