"""A VIF of a whole system with a real VM behind it, as `weir vif show` says that QEMU be started."""

from __future__ import annotations

import json
from typing import Any

import pytest

from lab.guest import Guest
from lab.vm.packages import Unavailable
from lab.vm.prepare import prepare
from tests.support.ovs_sandbox import wait_until
from tests.support.system import SystemUnderTest

BRING_UP = "ip link set eth0 up && udhcpc -i eth0 -n -q -t 10 -T 1 -s /lease"


def need_lab(behind: str) -> None:
    """Skips the test, saying why, where no VM can be had. behind: what it would be at."""
    try:
        prepare()
    except Unavailable as reason:
        pytest.skip(f"NO VM BEHIND {behind.upper()} WAS TRIED: {reason}")


def vm(system: SystemUnderTest, vif: str, user: int = 0) -> Guest:
    """To be entered with `with`. user: id of who runs QEMU."""
    shown = system.json("vif", "show", vif)
    return Guest(system.directory.namespace, shown["attach"]["qemu"], shown["kind"] == "vhost-user", user)


def link(guest: Guest) -> dict[str, Any]:
    """The guest's interface as its kernel has it: mtu, mac."""
    said = guest.run("echo $(cat /sys/class/net/eth0/mtu) $(cat /sys/class/net/eth0/address)").split()
    return {"mtu": int(said[0]), "mac": said[1]}


def await_detail(system: SystemUnderTest, vif: str, key: str, value: str) -> None:
    wait_until(lambda: system.json("vif", "show", vif)["details"].get(key) == value, f"{vif}: {key} is {value}")


def received_bytes(system: SystemUnderTest, vif: str) -> int:
    """By the instance's end of a veth VIF."""
    enter = ("nsenter", f"--net=/run/netns/{system.directory.namespace}-{vif}", "--")
    shown = system.home.run(*enter, "ip", "-json", "-s", "link", "show", "eth0")
    return int(json.loads(shown.stdout)[0]["stats64"]["rx"]["bytes"])
