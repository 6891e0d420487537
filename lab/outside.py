"""The world around a system: a network namespace of its own, in which `weir up` runs and an uplink ends."""

from __future__ import annotations

import itertools
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType

from lab.children import Child, program, run, uninterrupted, wait_until, within

_numbers = itertools.count(1)


class Outside:
    """The namespace goes when the block ends, and every link in it."""

    def __init__(self) -> None:
        self.name = f"lab{os.getpid()}-{next(_numbers)}"

    def __enter__(self) -> Outside:
        run(["ip", "netns", "add", self.name])
        try:
            self.run("ip", "link", "set", "lo", "up")
        except BaseException:
            self._remove()
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._remove()

    def _remove(self) -> None:
        with uninterrupted():
            subprocess.run(["ip", "netns", "delete", self.name], capture_output=True, check=False)

    def run(self, *argv: str, check: bool = True, **environment: str) -> str:
        """Standard output of a command run here. Raises LabError with its words when it fails."""
        return run(within(self.name, argv), check, environment=environment)

    def links(self) -> set[str]:
        return {link["ifname"] for link in json.loads(self.run("ip", "-json", "link"))}

    @contextmanager
    def tagged(self, device: str, vlan: int, *addresses: str) -> Iterator[str]:
        """An interface out here whose frames have this VLAN tag on the device; its name. It goes with the block."""
        name, heard = f"vlan{vlan}", list[str]()
        argv = [sys.executable, "-I", "-S", program("vlan_end.py"), name, device, str(vlan)]
        self.run("ip", "link", "set", device, "up")
        with Child(self.name, argv, heard.append) as end:
            wait_until(lambda: heard or not end.runs, f"{name} is there")
            if not end.runs:
                raise end.fault("ended")
            for address in addresses:
                self.run("ip", "address", "add", address, "dev", name, *(["nodad"] if ":" in address else []))
            self.run("ip", "link", "set", name, "up")
            wait_until(lambda: "LOWER_UP" in self.run("ip", "-o", "link", "show", "dev", name), f"{name} is up")
            yield name
            if not end.runs:
                raise end.fault("ended")

    def address(self, device: str, *addresses: str) -> None:
        """Gives the uplink's end out here its addresses, with prefix length."""
        for address in addresses:
            self.run("ip", "address", "add", address, "dev", device, *(["nodad"] if ":" in address else []))
        self.run("ethtool", "-K", device, "tx", "off")  # the userspace datapath fills in no checksums
        self.run("ip", "link", "set", device, "up")
