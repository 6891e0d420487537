"""Real clients and a real server of DHCP, as instances and the network outside run them."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from lab.children import Child, run, wait_until, within

_SCRIPT = """\
#!/bin/sh
# For udhcpc (an event as argument, its words in the environment) and for dhclient (all in the environment).
event=${{1:-$reason}}
case $event in
    bound|renew) ip address replace "$ip/$mask" dev "$interface" ;;
    BOUND|RENEW|REBIND|REBOOT) ip address replace "$new_ip_address/$new_subnet_mask" dev "$interface" ;;
    BOUND6|RENEW6|REBIND6) ip address replace "$new_ip6_address/128" dev "$interface" nodad ;;
    RELEASE) ip address delete "$old_ip_address/$old_subnet_mask" dev "$interface" ;;
    RELEASE6) ip address delete "$old_ip6_address/128" dev "$interface" ;;
esac
env > "{directory}/$event.part" && mv "{directory}/$event.part" "{directory}/$event"
"""
_FORCE_RENEWAL = signal.SIGUSR1  # udhcpc


class Client:
    """What clients in one namespace are told, event by event. directory: of its own."""

    def __init__(self, namespace: str, directory: Path, device: str = "eth0") -> None:
        self.namespace, self._directory, self._device = namespace, directory, device
        directory.mkdir()
        self._script = directory / "script"
        self._script.write_text(_SCRIPT.format(directory=directory))
        self._script.chmod(0o755)

    def udhcpc(self) -> Mapping[str, str]:
        """Gets a lease and keeps it; what it was told."""
        argv = ["udhcpc", "-i", self._device, "-n", "-q", "-f", "-s", str(self._script), "-t", "20", "-T", "1"]
        run(within(self.namespace, [*argv, *(f"-O{option}" for option in ("mtu", "staticroutes"))]))
        return self.told("bound")

    @contextmanager
    def udhcpc_that_stays(self) -> Iterator[Child]:
        argv = ["udhcpc", "-i", self._device, "-f", "-s", str(self._script), "-T", "1"]
        with Child(self.namespace, argv, lambda _: None) as child:
            self.told("bound")
            yield child

    def renew(self, udhcpc: Child) -> Mapping[str, str]:
        """What the server says to one that stays when it asks for its address once more."""
        os.kill(udhcpc.process.pid, _FORCE_RENEWAL)
        return self.told("renew")

    @contextmanager
    def dhclient(self, family: int) -> Iterator[Mapping[str, str]]:
        """What it was told. At the end it releases what it got."""
        pid_file, leases = self._directory / f"pid{family}", self._directory / f"leases{family}"
        argv = [f"-{family}", "-sf", str(self._script), "-pf", str(pid_file), "-lf", str(leases), self._device]
        try:
            run(within(self.namespace, ["dhclient", "-1", *argv]))
            wait_until(lambda: pid_file.exists() and pid_file.read_text(), "dhclient has gone to the background")
            yield self.told("BOUND" if family == 4 else "BOUND6")
        finally:
            pid = int(pid_file.read_text() or 0) if pid_file.exists() else 0
            subprocess.run(within(self.namespace, ["dhclient", "-r", *argv]), capture_output=True, check=False)
            if pid and str(self._directory) in _command_of(pid):
                os.kill(pid, signal.SIGKILL)  # it has released, or will not

    def told(self, event: str) -> Mapping[str, str]:
        file = self._directory / event
        wait_until(file.exists, f"{self.namespace}: event {event} of its DHCP client")
        lines = file.read_text().splitlines()
        file.unlink()
        return dict(line.split("=", 1) for line in lines if "=" in line)


def _command_of(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_text()
    except OSError:
        return ""


@contextmanager
def dnsmasq(namespace: str, device: str, directory: Path, *ranges: str) -> Iterator[list[str]]:
    """A DHCP server and router outside; what it says. ranges: as --dhcp-range takes them."""
    said: list[str] = []
    argv = ["dnsmasq", "--no-daemon", "--conf-file=/dev/null", "--port=0", f"--interface={device}", "--bind-interfaces"]
    argv += ["--log-dhcp", "--user=root", f"--dhcp-leasefile={directory / 'dnsmasq.leases'}", "--enable-ra"]
    with Child(namespace, [*argv, *(f"--dhcp-range={one}" for one in ranges)], said.append) as child:
        wait_until(lambda: any("started" in line for line in said) or not child.runs, "dnsmasq has started")
        if not child.runs:
            raise child.fault("ended")
        yield said
