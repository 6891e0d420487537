"""The same VIFs and uplink without Weir: a switch, namespaces and veths, and what an operator sets on them by hand."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from types import TracebackType

from lab.children import wait_until
from lab.outside import Outside
from lab.ping import answers
from lab.private_ovs import PrivateOvs
from lab.tenant_floods import Ground
from lab.tenants import PORT_MASK

BRIDGE, UPLINK = "br0", "wan"
OUTSIDE_ADDRESS = "10.1.0.100"


def mac_of(number: int) -> str:
    """Of the VIF with this number, from 1 on."""
    return f"02:00:00:00:00:{number:02x}"


class ByHand:
    """A bridge that learns, a port for each VIF in the order of the names, and the uplink, whose other end is outside.

    What shapes traffic comes afterwards, through `tc`, `ovs.vsctl` and `ovs.ofctl`. All is gone when the block ends.
    """

    def __init__(self, vifs: Sequence[str]) -> None:
        self.numbers = {name: number for number, name in enumerate(vifs, start=1)}
        self._ends = ExitStack()

    def __enter__(self) -> ByHand:
        with ExitStack() as ends:
            self.outside = ends.enter_context(Outside())
            self.ovs = ends.enter_context(PrivateOvs())
            self.ovs.vsctl("add-br", BRIDGE, "--", "set", "bridge", BRIDGE, "datapath_type=netdev")
            self._join(UPLINK, UPLINK, self.outside)
            self.outside.address(UPLINK, f"{OUTSIDE_ADDRESS}/24")
            self._vifs = {name: ends.enter_context(Outside()) for name in self.numbers}
            for name, number in self.numbers.items():
                self._add_vif(self._vifs[name], number)
            self._ends = ends.pop_all()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._ends.close()

    @property
    def ground(self) -> Ground:
        return Ground(self.outside.name, OUTSIDE_ADDRESS, {name: one.name for name, one in self._vifs.items()})

    def tc(self, *words: str) -> None:
        """`tc ...` where the switch is."""
        self.ovs.run("tc", *words)

    def steer(self, vif: str, place: str, port: int | None = None) -> None:
        """Leads what the VIF sends through the uplink into an HTB class of qdisc 1:, by source MAC.

        port: first of a class's ports: then what is sent to these alone. None: all that no filter with a port takes.
        """
        mac = ("match", "ether", "src", mac_of(self.numbers[vif]))
        match = mac if port is None else (*mac, "match", "ip", "dport", str(port), hex(PORT_MASK))
        order = "20" if port is None else "10"
        words = ("parent", "1:", "protocol", "all", "prio", order, "u32", *match, "flowid", place)
        self.tc("filter", "add", "dev", UPLINK, *words)

    def port_of(self, vif: str) -> int:
        """Its OpenFlow port."""
        return int(self.ovs.vsctl("get", "interface", f"v{self.numbers[vif]}", "ofport"))

    def _add_vif(self, instance: Outside, number: int) -> None:
        self._join(f"v{number}", "eth0", instance)
        instance.run("ip", "link", "set", "eth0", "address", mac_of(number))
        instance.address("eth0", f"10.1.0.{number}/24")
        wait_until(lambda: answers(instance.name, OUTSIDE_ADDRESS), f"the outside answers VIF {number} made by hand")

    def _join(self, port: str, far: str, to: Outside) -> None:
        """A port of the bridge whose other end is there."""
        self.ovs.run("ip", "link", "add", port, "type", "veth", "peer", "name", far, "netns", to.name)
        self.ovs.run("ethtool", "-K", port, "tx", "off")
        self.ovs.run("ip", "link", "set", port, "up")
        self.ovs.vsctl("add-port", BRIDGE, port)
