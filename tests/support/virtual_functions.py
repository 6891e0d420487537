"""A NIC with virtual functions as a guest of the VM lab has it, and the kind vf at work on it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any
from unittest import mock

from controller.config import StateDir
from controller.host import links as links_module
from controller.host.agent import AgentConfig
from controller.host.kinds.kind import Made, PassView
from controller.host.kinds.vf import VirtualFunctions
from controller.host.link_table import LinkTable
from controller.host.making import Making
from controller.host.sriov import drivers, ledger
from ovsdb.rows import Snapshot, VirtualInterface
from policies.parser import parse
from tests.support.ovs_sandbox import wait_until

NIC, PEER = "0000:01:00.0", "0000:02:00.0"
POLICY = """
weir: 1
segments:
  lab: {type: internal, subnets: [10.30.0.0/24]}
policies:
  strict: {unmatched: allow, egress: {limit: 20500 kbit}}
  free: {unmatched: allow, best-effort: true, egress: {guarantee: 3 mbit, limit: 20500 kbit}}
"""
POLICIES = parse({"p.yaml": POLICY})


def run(*argv: str) -> str:
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{argv}: {done.stderr or done.stdout}"
    return done.stdout


def make_vfs(count: int, address: str = NIC) -> str:
    """Returns the NIC's network device, up. The VFs' network devices are there."""
    here = Path("/sys/bus/pci/devices") / address
    (here / "sriov_numvfs").write_text("0")
    device = wait_until(lambda: next((path.name for path in (here / "net").glob("*")), ""), "the NIC's device")
    run("ip", "link", "set", device, "up")
    (here / "sriov_numvfs").write_text(str(count))
    for index in range(count):
        wait_until(partial(_has_device, here / f"virtfn{index}"), f"the device of VF {index}")
    return device


def _has_device(path: Path) -> bool:
    return any((path / "net").glob("*"))


def vf(name: str, number: int = 7, **changes: Any) -> VirtualInterface:
    fields: dict[str, Any] = {
        "policy": "free", "segment": "lab", "kind": "vf", "mac": f"02:00:00:00:0a:{number:02x}", "chassis": "h1",
        "addresses": (f"10.30.0.{number}/24",), "options": {"device": NIC, "representor": "none"},
    }  # fmt: skip
    return VirtualInterface(name=name, number=number, **{**fields, **changes})


def nic_state(device: str) -> dict[str, Any]:
    """All that may be changed of the VFs of a NIC, as it is, without what depends on time."""
    (link,) = json.loads(run("ip", "-j", "-d", "link", "show", device))
    settings = [{key: one[key] for key in one if key != "stats"} for one in link["vfinfo_list"]]
    devices = {}
    for one in json.loads(run("ip", "-j", "-d", "link")):
        if one.get("parentdev", "").startswith(NIC[:5]) and one["ifname"] != device:
            keys = ("address", "mtu", "operstate", "group", "ifalias", "qdisc")
            devices[one["ifname"]] = {key: one.get(key) for key in (*keys, "parentdev")}
    bound = {}
    for link_ in sorted(Path("/sys/bus/pci/devices", NIC).glob("virtfn*")):
        target = link_.resolve()
        driver = (target / "driver").resolve().name if (target / "driver").exists() else None
        bound[target.name] = (driver, (target / "driver_override").read_text().strip())
    return {"settings": settings, "devices": devices, "bound": bound}


@dataclass
class Agent:
    """The kind vf as an agent has it, in the place of one that is gone or killed."""

    directory: Path
    links: LinkTable = field(default_factory=LinkTable)
    now_s: float = 0.0

    def __post_init__(self) -> None:
        state = StateDir(self.directory)
        self.config = AgentConfig("h1", "br-weir", state, self.directory, "weir-t", datapath_type="system")
        self.making = Making(self.config, self.links)
        self.kind = next(one for one in self.making._kinds if isinstance(one, VirtualFunctions))

    def made(self, *wanted: VirtualInterface) -> dict[str, Made]:
        """What passes make until none waits for a driver; long enough after the last that failures are tried again.

        Raises what is left.
        """
        self.now_s += 100.0
        (found,) = wait_until(lambda: self._passed(wanted), "no driver is waited for")
        return found

    def _passed(self, wanted: Sequence[VirtualInterface]) -> tuple[dict[str, Made], ...]:
        """Empty while a driver is waited for."""
        snapshot = Snapshot(interfaces={vif.name: vif for vif in wanted})
        view = PassView(snapshot, {}, (), self.now_s, POLICIES)
        found = self.making.converge(self.making.wanted(snapshot), view)
        left = self.making.sweep(self.making.wanted(snapshot), view)
        assert not left, left
        return () if self.kind._waiting else (found,)

    def close(self) -> None:
        self.links.close()


def killed_at_step(step: int, body: Callable[[], None]) -> bool:
    """Runs `body` in a process that is killed before its effect number `step`. Returns whether it came so far."""
    child = os.fork()
    if child == 0:
        try:
            with _counted(step):
                body()
            os._exit(0)
        except BaseException as fault:
            print(f"step {step}: {fault!r}", file=sys.stderr, flush=True)
            os._exit(3)
    _, status = os.waitpid(child, 0)
    assert os.WIFSIGNALED(status) or os.WEXITSTATUS(status) == 0, f"step {step}: it ended with {status}"
    return os.WIFSIGNALED(status)


@contextmanager
def _counted(step: int) -> Iterator[None]:
    """Every write to sysfs, to the record, and by netlink counts."""
    done = 0

    def counting(effect: Callable[..., Any]) -> Callable[..., Any]:
        def counted(*args: Any, **kwargs: Any) -> Any:
            nonlocal done
            if args[:1] != ("get",):
                if done == step:
                    os.kill(os.getpid(), signal.SIGKILL)
                done += 1
            return effect(*args, **kwargs)

        return counted

    read = links_module.Netlink.__getattr__

    def of_netlink(self: Any, name: str) -> Any:
        found = read(self, name)
        return counting(found) if name in ("link", "addr", "route") else found

    with (
        mock.patch.object(drivers, "_write", counting(drivers._write)),
        mock.patch.object(ledger.Ledger, "_write", counting(ledger.Ledger._write)),
        mock.patch.object(links_module.Netlink, "__getattr__", of_netlink),
    ):
        yield


def ping(namespace: str, address: str, deadline_s: float = 30.0) -> None:
    """Returns when one is answered."""
    argv = ["ip", "netns", "exec", namespace, "ping", "-c1", "-W1", address]
    end_s = time.monotonic() + deadline_s
    while subprocess.run(argv, capture_output=True, check=False).returncode != 0:
        assert time.monotonic() < end_s, f"{namespace} does not reach {address}"


def devices_inside(namespace: str) -> Sequence[dict[str, Any]]:
    found: Sequence[dict[str, Any]] = json.loads(run("ip", "-n", namespace, "-j", "-d", "addr"))
    return found
