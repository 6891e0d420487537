"""What an embedded Open vSwitch with DPDK needs of the machine: its program, huge pages, processors of its own.

Its memory has no file and no mount (--in-memory), its few other files lie in the state directory: what ends it frees
all of it. Huge pages are the machine's: they are added only when that is asked for, and taken back by `weir down`.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from controller.config import Dpdk
from controller.system.errors import SystemFault, WrongRequest

VSWITCHD = Path("/usr/lib/openvswitch-switch-dpdk/ovs-vswitchd-dpdk")  # whatever `ovs-vswitchd` leads to
MEMORY_MB = 512  # of each NUMA node: enough for some tens of ports
_LEAST_MB, _MOST_MB = 128, 1 << 20
# A queue may be given to a core without keeping the core from all other queues: with one core those would starve.
_SHARING = {"pmd-rxq-assign": "group", "pmd-rxq-isolate": "false"}
_SIZES = Path("/sys/kernel/mm/hugepages")
_NODES = Path("/sys/devices/system/node")
_PAGES = Path("/proc/sys/vm/nr_hugepages")  # of the default size
_KEYS = ("dpdk-init", "dpdk-socket-mem", "dpdk-socket-limit", "dpdk-extra", "pmd-cpu-mask", *_SHARING)
_EXTRA = "--no-pci --in-memory --no-telemetry --iova-mode=va"


def check_options(memory_mb: int | None, pmd_cpu_mask: str | None, hugepages: int) -> None:
    """Raises WrongRequest."""
    if memory_mb is not None and not _LEAST_MB <= memory_mb <= _MOST_MB:
        raise WrongRequest(f"--dpdk-memory: {memory_mb} is no amount of memory", f"Write {_LEAST_MB} or more megabytes")
    if hugepages < 0:
        raise WrongRequest(f"--hugepages: {hugepages} is no number of pages", "Write how many shall be added")
    if pmd_cpu_mask is not None:
        _processors(pmd_cpu_mask)


def check_machine(memory_mb: int | None, pmd_cpu_mask: str | None, hugepages: int) -> None:
    """Raises SystemFault when the program, huge pages or processors are missing."""
    if not os.access(VSWITCHD, os.X_OK):
        raise SystemFault(
            f"--datapath dpdk: there is no {VSWITCHD}",
            "Install the package openvswitch-switch-dpdk; what ovs-vswitchd leads to is of no importance",
        )
    if pmd_cpu_mask is not None and (missing := _processors(pmd_cpu_mask) - os.sched_getaffinity(0)):
        raise SystemFault(
            f"--pmd-cpu-mask {pmd_cpu_mask}: this machine has no processor {min(missing)} for it", "See nproc"
        )
    wanted_kb, free_kb, size_kb = (memory_mb or MEMORY_MB) * _nodes() << 10, _free_kb(), _memory_kb("Hugepagesize")
    if hugepages * size_kb > (available_kb := _memory_kb("MemAvailable")):
        raise SystemFault(
            f"--hugepages {hugepages}: {hugepages * size_kb >> 10} MB, and {available_kb >> 10} MB are available",
            "Ask for fewer, or free memory",
        )
    if free_kb + hugepages * size_kb < wanted_kb:
        pages = -(-(wanted_kb - free_kb) // size_kb)
        total = int(_PAGES.read_text()) + pages
        raise SystemFault(
            f"--datapath dpdk: it needs {wanted_kb >> 10} MB of free huge pages, and {free_kb >> 10} MB are free",
            f"Run: sysctl -w vm.nr_hugepages={total}; or let weir add them for its time: --hugepages {pages}",
        )


def plan(memory_mb: int | None, pmd_cpu_mask: str | None, hugepages: int) -> Dpdk:
    """What the system will be told. The last processor is given to packets; it is busy all the time from then on."""
    mask = pmd_cpu_mask or hex(1 << max(os.sched_getaffinity(0)))
    return Dpdk(memory_mb or MEMORY_MB, mask, hugepages, int(_PAGES.read_text()) if hugepages else 0)


def add_hugepages(dpdk: Dpdk) -> None:
    """Raises SystemFault when the kernel cannot find as many."""
    if not dpdk.hugepages:
        return
    wanted = dpdk.hugepages_before + dpdk.hugepages
    _PAGES.write_text(f"{wanted}\n")
    if (found := int(_PAGES.read_text())) < wanted:
        raise SystemFault(
            f"--hugepages {dpdk.hugepages}: the kernel found memory in one piece for {found - dpdk.hugepages_before}",
            "Free memory, or reserve huge pages when the machine boots (hugepages=N on the kernel's command line)",
        )


def take_hugepages_back(dpdk: Dpdk) -> None:
    """Those that are still there of what was added. Nothing may be using them."""
    now = int(_PAGES.read_text())
    surplus = min(dpdk.hugepages, now - dpdk.hugepages_before)
    if dpdk.hugepages and surplus > 0:
        _PAGES.write_text(f"{now - surplus}\n")


def other_config(dpdk: Dpdk | None) -> Mapping[str, str | None]:
    """Of table Open_vSwitch; None: this key shall not be there. Others are whoever set them's."""
    if dpdk is None:
        return dict.fromkeys(_KEYS)
    memory = ",".join([str(dpdk.memory_mb)] * _nodes())
    values = ("true", memory, memory, _EXTRA, dpdk.pmd_cpu_mask, *_SHARING.values())  # no more memory than asked for
    return dict(zip(_KEYS, values, strict=True))


def _processors(mask: str) -> set[int]:
    """Raises WrongRequest."""
    try:
        bits = int(mask, 16)
    except ValueError:
        bits = 0
    if bits <= 0:
        raise WrongRequest(f"--pmd-cpu-mask: '{mask}' is no mask of processors", "Write it as in 0x6: processors 1, 2")
    return {number for number in range(bits.bit_length()) if bits >> number & 1}


def _nodes() -> int:
    return max(1, len(list(_NODES.glob("node[0-9]*"))))


def _free_kb() -> int:
    """Of all sizes."""
    found = 0
    for size in _SIZES.glob("hugepages-*kB"):
        found += int(size.name[len("hugepages-") : -len("kB")]) * int((size / "free_hugepages").read_text())
    return found


def _memory_kb(name: str) -> int:
    """As /proc/meminfo has it. Raises SystemFault when the kernel has no huge pages."""
    for line in Path("/proc/meminfo").read_text().splitlines():
        if line.startswith(f"{name}:"):
            return int(line.split()[1])
    raise SystemFault("--datapath dpdk: this kernel has no huge pages", "Boot one with CONFIG_HUGETLBFS")
