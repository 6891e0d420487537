"""A wire from an uplink's end to another namespace, slower than the uplink, with a queue of its own: a bottleneck that
no policy names."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from lab.outside import Outside

_NEAR, _FAR = "narrow", "far"


@contextmanager
def narrow_way(outside: Outside, uplink: str, rate_kbps: int, queue_ms: int, *addresses: str) -> Iterator[Outside]:
    """Yields the far namespace, whose end has these addresses, with prefix length. What leaves by the uplink waits for
    up to queue_ms; what comes back does not."""
    with Outside() as far:
        outside.run("ip", "link", "add", _NEAR, "type", "veth", "peer", "name", _FAR, "netns", far.name)
        for device in (uplink, _NEAR):
            outside.run("ip", "link", "set", device, "up")
            outside.run("ip", "link", "set", device, "promisc", "on")
        far.address(_FAR, *addresses)
        depth = ["burst", "6000", "latency", f"{queue_ms}ms"]
        outside.run("tc", "qdisc", "add", "dev", _NEAR, "root", "tbf", "rate", f"{rate_kbps}kbit", *depth)
        for this, other in ((uplink, _NEAR), (_NEAR, uplink)):
            outside.run("tc", "qdisc", "add", "dev", this, "ingress")
            redirect = ["action", "mirred", "egress", "redirect", "dev", other]
            matching = ["u32", "match", "u32", "0", "0"]
            outside.run("tc", "filter", "add", "dev", this, "parent", "ffff:", "protocol", "all", *matching, *redirect)
        yield far
