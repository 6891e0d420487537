"""A TCP connection across a Wire that sends all it can for as long as a test wants it."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager

from tests.support.frame_flood import Wire, mac_of, run

NEAR, FAR = "10.9.1.1", "10.9.1.2"
_AT_MOST_S = 120


def address(wire: Wire) -> None:
    """Its ends get addresses; the near one is VIF 1."""
    run("ip", "-n", wire.near, "link", "set", "up0", "address", mac_of(1).to_bytes(6, "big").hex(":"))
    run("ip", "-n", wire.near, "address", "add", f"{NEAR}/24", "dev", "up0")
    run("ip", "-n", wire.far, "address", "add", f"{FAR}/24", "dev", "dn0")


def split(wire: Wire) -> None:
    """Frames are sent as a userspace datapath sends them: TCP joins some even where offloads are off."""
    run("ip", "-n", wire.near, "link", "set", "up0", "gso_max_segs", "1")


@contextmanager
def behind(wire: Wire) -> Iterator[str]:
    """A namespace whose traffic the near end forwards. What TCP sends from the near end itself never fills a queue
    there: the sender knows what still waits. Yields its name."""
    name = f"{wire.near}b"
    run("ip", "netns", "add", name)
    try:
        run("ip", "-n", wire.near, "link", "add", "in0", "type", "veth", "peer", "name", "src0", "netns", name)
        for place, device, own in ((wire.near, "in0", "10.9.2.1/24"), (name, "src0", "10.9.2.2/24")):
            run("ip", "netns", "exec", place, "ethtool", "-K", device, "tx", "off")
            run("ip", "-n", place, "address", "add", own, "dev", device)
            run("ip", "-n", place, "link", "set", device, "up", "gso_max_segs", "1")
        run("ip", "-n", name, "route", "add", "default", "via", "10.9.2.1")
        run("ip", "-n", wire.far, "route", "add", "10.9.2.0/24", "via", NEAR)
        run("ip", "netns", "exec", wire.near, "sysctl", "-qw", "net.ipv4.ip_forward=1")
        yield name
    finally:
        subprocess.run(["ip", "netns", "delete", name], capture_output=True, check=False)


@contextmanager
def tcp_across(wire: Wire, algorithm: str, source: str | None = None) -> Iterator[None]:
    """From the near end, or a namespace behind it, to the far one. It must still send when the block ends."""
    listen = ["ip", "netns", "exec", wire.far, "iperf3", "-s", "-1", "--forceflush"]
    send = ["ip", "netns", "exec", source or wire.near, "iperf3", "-c", FAR, "-t", str(_AT_MOST_S), "-C", algorithm]
    server = subprocess.Popen(listen, stdout=subprocess.PIPE, text=True)
    client = None
    try:
        assert server.stdout is not None
        while "listening" not in server.stdout.readline():
            assert server.poll() is None
        client = subprocess.Popen(send, stdout=subprocess.DEVNULL)
        yield
        assert client.poll() is None
    finally:
        for process in (client, server):
            if process is not None:
                process.kill()
                process.communicate()
