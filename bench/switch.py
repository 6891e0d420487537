"""A switch on the dummy datapath, what Open vSwitch's own tool needs to fill and change it, and what Weir needs."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from bench.figures import Live, read_live
from bench.worlds import BRIDGE, DATAPATH_ID
from lab.children import LabError, run
from lab.private_ovs import PrivateOvs

ROOT = Path(__file__).resolve().parents[1]


@dataclass(frozen=True, slots=True)
class Limit:
    """`ovs-ofctl --bundle` with the same entries, its own start with it. growth_mib: of vswitchd while it took them."""

    load_s: float
    growth_mib: float
    changes_s: list[float]


@contextmanager
def empty_switch() -> Iterator[PrivateOvs]:
    with PrivateOvs(dummy=True) as ovs:
        ovs.vsctl(
            *("add-br", BRIDGE, "--", "set", "bridge", BRIDGE, "datapath_type=dummy", "protocols=OpenFlow13"),
            *("fail_mode=secure", f"other_config:datapath-id={DATAPATH_ID}", "other_config:disable-in-band=true"),
        )
        yield ovs


def by_ofctl(directory: Path) -> Limit:
    """directory: where bench.paper has left the entries."""
    with empty_switch() as ovs:
        before_mib = _resident_mib(ovs.vswitchd_pid)
        load_s = _bundle(ovs, directory / "all.flows")
        growth_mib = _resident_mib(ovs.vswitchd_pid) - before_mib
        changes = sorted(directory.glob("change-*.flows"), key=lambda path: int(path.stem.partition("-")[2]))
        return Limit(load_s, growth_mib, [_bundle(ovs, path) for path in changes])


def by_weir(case: str, directory: Path) -> Live:
    """Raises LabError when it does not come to an end."""
    with empty_switch() as ovs:
        address = f"unix:{ovs.rundir / 'openflow.sock'}"
        ovs.vsctl("set-controller", BRIDGE, address, "--", "set", "controller", BRIDGE, "max_backoff=1000")
        argv = [str(Path(sys.executable).with_name("ryu-manager")), "bench.inside"]
        path = os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])
        run(argv, environment={"WEIR_OPENFLOW": address, "WEIR_BENCH": f"{case}:{directory}", "PYTHONPATH": path})
        return read_live(directory / "live.json")


def _bundle(ovs: PrivateOvs, flows: Path) -> float:
    start_s = time.perf_counter()
    ovs.ofctl("--bundle", "add-flows", BRIDGE, str(flows))
    return time.perf_counter() - start_s


def _resident_mib(pid: int) -> float:
    status = Path(f"/proc/{pid}/status").read_text()
    found = status.partition("VmRSS:")[2].split()
    if not found:
        raise LabError(f"ovs-vswitchd (pid {pid}) has ended")
    return int(found[0]) / 1024
