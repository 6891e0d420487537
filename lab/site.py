"""A system, the world outside it, and VIFs with traffic between them: what most experiments begin with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

from lab.children import run, wait_until, within
from lab.frames import UDP_PAYLOAD_BYTES
from lab.outside import Outside
from lab.ping import answers
from lab.system import System
from lab.udp import UdpReceiver, UdpSender

UPLINK = "wan"


@dataclass(frozen=True, slots=True)
class Vif:
    """A VIF of the experiment and the namespace that it is in."""

    name: str
    address: str
    namespace: str


class Site:
    """`weir up` with one uplink and a policy, in an Outside of its own; everything is gone when the block ends."""

    def __init__(self, policy: Path, outside_address: str, *options: str) -> None:
        """outside_address: of the uplink's far end, with prefix length; a neighbour of the VIFs on that segment.

        options: more of `weir up`.
        """
        self._policy, self._prefixed, self._options = policy, outside_address, options
        self.outside_address = outside_address.partition("/")[0]
        self.vifs: dict[str, Vif] = {}
        self._ends = ExitStack()

    def __enter__(self) -> Site:
        with ExitStack() as ends:
            self.outside = ends.enter_context(Outside())
            self.system = ends.enter_context(System(self.outside))
            self.system.weir("up", "--uplink", UPLINK, "--policy", str(self._policy), *self._options)
            self.outside.address(UPLINK, self._prefixed)
            self._ends = ends.pop_all()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if kind is not None and issubclass(kind, Exception):
            print(self.system.logs())
        self._ends.close()

    def add_vif(self, name: str, policy: str, segment: str) -> Vif:
        address = self.system.create_vif(name, policy, segment)
        self.vifs[name] = Vif(name, address, self.system.namespace_of(name))
        return self.vifs[name]

    def add_port(self, name: str, policy: str, segment: str) -> Vif:
        """A VIF of kind port: somebody else's veth, whose other end is an instance with no shaper of ours."""
        place = self.system.directory.namespace
        there, host_end = f"{place}-{name}", f"p{name}"
        run(["ip", "netns", "add", there])  # named as the system's own, it goes with them
        run(within(place, ["ip", "link", "add", host_end, "type", "veth", "peer", "name", "eth0", "netns", there]))
        run(within(place, ["ip", "link", "set", host_end, "up"]))
        vsctl = ["ovs-vsctl", f"--db=unix:{self.system.directory.run}/db.sock", "add-port", "br-weir", host_end]
        run([*vsctl, "--", "set", "interface", host_end, f"external_ids:iface-id={name}"])
        shown = self.system.json("vif", "create", name, "--policy", policy, "--segment", segment, "--kind", "port")
        address = next(one for one in shown["addresses"] if ":" not in one)
        run(within(there, ["ip", "link", "set", "eth0", "address", shown["mac"], "up"]))
        run(within(there, ["ethtool", "-K", "eth0", "tx", "off"]))
        run(within(there, ["ip", "address", "add", address, "dev", "eth0"]))
        self.vifs[name] = Vif(name, address.partition("/")[0], there)
        return self.vifs[name]

    def await_neighbour(self, vif: str, address: str | None = None) -> None:
        """Returns when the address, else the outside, answers: from then on no frame waits for ARP."""
        one = self.vifs[vif]
        there = address or self.outside_address
        wait_until(lambda: answers(one.namespace, there), f"VIF {vif}: {there} answers its echo requests")

    def receiver_outside(self, ports: Sequence[int]) -> UdpReceiver:
        return UdpReceiver(self.outside.name, ports)

    def receiver_at(self, vif: str, ports: Sequence[int]) -> UdpReceiver:
        return UdpReceiver(self.vifs[vif].namespace, ports)

    def sender_at(
        self,
        vif: str,
        port: int,
        to: str | None = None,
        source: str | None = None,
        payload_bytes: int = UDP_PAYLOAD_BYTES,
    ) -> UdpSender:
        """From a VIF to an address, else to the outside."""
        return UdpSender(self.vifs[vif].namespace, to or self.outside_address, port, payload_bytes, source)

    def sender_outside(self, vif: str, port: int) -> UdpSender:
        """From the outside to a VIF."""
        return UdpSender(self.outside.name, self.vifs[vif].address, port)

    def figures(self) -> Mapping[str, Mapping[str, int | None]]:
        """Egress figures of each VIF as `weir vif list` shows them, kbit/s."""
        return {vif["name"]: vif["egress"] for vif in self.system.json("vif", "list")}
