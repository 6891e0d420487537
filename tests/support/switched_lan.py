"""Instances in namespaces on a real Open vSwitch, its flow entries and meters written by ovs-ofctl from compiled text.

Every instance has its VIF as eth0. The outside stands behind the uplink, with its own eth0.
"""

from __future__ import annotations

import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pyroute2 import netns

from controller.compiler.bridge import Bridge
from controller.compiler.compile import compile_bridge
from controller.dataplane.entries import NOTHING, SwitchState
from controller.dataplane.pipeline import PIPELINE, check
from controller.dataplane.text import flow_lines, key_text, mac, meter_text
from tests.support.bridges import UPLINK_OFPORT, Vif
from tests.support.ovs_sandbox import PrivateOvs

BRIDGE = "br0"
OUTSIDE_MAC = "02:00:00:00:ff:ff"
QUICK_S = 5.0


class Instance:
    """A namespace with eth0. Its sockets are made there and used from here."""

    def __init__(self, namespace: str, mac_address: str):
        self.namespace, self.mac = namespace, mac_address

    def run(self, *argv: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        enter = ["nsenter", f"--net=/run/netns/{self.namespace}", "--"]
        done = subprocess.run([*enter, *argv], capture_output=True, text=True, timeout=30)
        assert not check or done.returncode == 0, f"{argv!r}: {done.stderr}{done.stdout}"
        return done

    def pings(self, address: str) -> bool:
        return self.run("ping", "-c1", "-i0.5", "-w2", "-n", address, check=False).returncode == 0

    def socket(self, *kind: Any) -> socket.socket:
        return inside(self.namespace, lambda: socket.socket(*kind))

    def raw(self) -> socket.socket:
        """Sends whole frames, and receives all that arrive from now on."""

        def make() -> socket.socket:
            raw = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
            raw.bind(("eth0", 3))
            raw.settimeout(QUICK_S)
            return raw

        return inside(self.namespace, make)


def inside(namespace: str, make: Callable[[], socket.socket]) -> socket.socket:
    netns.pushns(namespace)
    try:
        return make()
    finally:
        netns.popns()


class SwitchedLan:
    """vifs: by name. After `hold(bridge)` the switch holds what the bridge compiles to."""

    def __init__(self, ovs: PrivateOvs, vifs: dict[str, Vif]):
        self.ovs, self.vifs = ovs, vifs
        self.instances: dict[str, Instance] = {}
        self._meters: set[int] = set()
        self._held: SwitchState | None = None

    def start(self) -> None:
        bridge = ["datapath_type=netdev", "fail_mode=secure", "protocols=OpenFlow10,OpenFlow13,OpenFlow15"]
        self.ovs.vsctl("add-br", BRIDGE, "--", "set", "bridge", BRIDGE, *bridge, "other_config:disable-in-band=true")
        names = [f"flow_tables:{table.id}=@t{table.id}" for table in PIPELINE]
        rows = [word for t in PIPELINE for word in ("--", f"--id=@t{t.id}", "create", "Flow_Table", f"name={t.name}")]
        self.ovs.vsctl(*rows, "--", "set", "bridge", BRIDGE, *names)
        for name, vif in self.vifs.items():
            self._plug(name, vif.number, mac(vif.mac), vif.addresses)
        self._plug("outside", UPLINK_OFPORT, OUTSIDE_MAC, ())

    def _plug(self, name: str, ofport: int, address: str, addresses: Sequence[str]) -> None:
        instance = Instance(f"{self.ovs.namespace}-{name}", address)
        subprocess.run(["ip", "netns", "add", instance.namespace], check=True)
        self.instances[name] = instance
        run, port = self.ovs.run, f"v{name}"
        run("ip", "link", "add", port, "type", "veth", "peer", "name", "eth0", "netns", instance.namespace)
        run("ip", "link", "set", port, "up")
        instance.run("ip", "link", "set", "lo", "up")
        instance.run("ethtool", "-K", "eth0", "tx", "off")
        instance.run("ip", "link", "set", "eth0", "address", address, "up")
        for own in addresses:
            instance.run("ip", "address", "add", own, "dev", "eth0", *(["nodad"] if ":" in own else []))
        self.ovs.vsctl("add-port", BRIDGE, port, "--", "set", "interface", port, f"ofport_request={ofport}")

    def hold(self, bridge: Bridge) -> None:
        """Meters first, then the difference of the flow entries as one bundle; what the switch has learned stays."""
        state = compile_bridge(bridge)
        if state == self._held:
            return
        assert check(state) == []
        for number, body in state.meters.items():
            self.ovs.ofctl("mod-meter" if number in self._meters else "add-meter", BRIDGE, meter_text(number, body))
        self._meters |= set(state.meters)
        file = Path(self.ovs.rundir) / "flows.txt"
        before = NOTHING if self._held is None else self._held
        gone = [f"delete_strict {key_text(key, names=False)}" for key in before.flows.keys() - state.flows.keys()]
        new = {key: body for key, body in state.flows.items() if before.flows.get(key) != body}
        lines = gone + [f"add {line}" for line in flow_lines(SwitchState(new), names=False)]
        file.write_text("\n".join(lines) + "\n")
        self.ovs.ofctl("--bundle", "add-flows", BRIDGE, str(file))
        self._held = state
        self.ovs.appctl("revalidator/wait")  # until then the datapath goes by what it has cached

    def stop(self) -> None:
        for instance in self.instances.values():
            subprocess.run(["ip", "netns", "delete", instance.namespace], check=False)


@contextmanager
def switched_lan(vifs: dict[str, Vif]) -> Iterator[SwitchedLan]:
    with PrivateOvs() as ovs:
        lan = SwitchedLan(ovs, vifs)
        try:
            lan.start()
            yield lan
        finally:
            lan.stop()


def arrivals_by(receiver: socket.socket, send_last: Callable[[], object], last: bytes) -> list[bytes]:
    """What a raw socket got of all that was sent before `send_last`, which sends a frame that ends in `last`.

    Of one batch the switch sends those frames last that it knows what to do with: so one sent before may come after the
    first such frame, and none after the second. Raises AssertionError when they do not come.
    """
    send_last()
    found = arrivals_until(receiver, last)
    send_last()
    return found + arrivals_until(receiver, last)


def arrivals_until(receiver: socket.socket, last: bytes) -> list[bytes]:
    """What a raw socket got before a frame that ends in `last`. Raises AssertionError when that does not come."""
    found: list[bytes] = []
    end_s = time.monotonic() + QUICK_S
    while time.monotonic() < end_s:
        try:
            frame = receiver.recv(65535)
        except TimeoutError:
            break
        if last in frame:
            return found
        found.append(frame)
    raise AssertionError(f"the last frame did not arrive; {len(found)} others did")
