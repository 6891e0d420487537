"""Two switches joined by one link, and hosts on both: who is where, on which segment, with which addresses.

      h1 h5 (red)                    (red) h3 h6
      h2 (blue)     s1 ── core ── s2 (blue) h4
      h7 h8 (yard)                   (yard) h9

red and blue are bridged: they cross the link as VLANs. yard is internal: each switch has one of its own.
"""

from __future__ import annotations

from dataclasses import dataclass

from mininet.topo import Topo

UPLINK = "core"
SWITCHES = ("s1", "s2")
SEGMENTS = {
    "red": f"{{type: bridged, uplink: {UPLINK}, vlan: 10, subnets: [10.1.0.0/24, 'fd00:1::/64']}}",
    "blue": f"{{type: bridged, uplink: {UPLINK}, vlan: 20, subnets: [10.2.0.0/24, 'fd00:2::/64']}}",
    "yard": "{type: internal, subnets: [10.3.0.0/24, 'fd00:3::/64']}",
}
VLANS = {"red": 10, "blue": 20}


@dataclass(frozen=True, slots=True)
class Place:
    """Where a host is. number: of its name, its MAC and its addresses."""

    number: int
    switch: str
    segment: str

    @property
    def name(self) -> str:
        return f"h{self.number}"

    @property
    def port(self) -> str:
        """The switch's end of its link."""
        return f"{self.switch}-{self.name}"

    @property
    def mac(self) -> str:
        return f"02:00:00:00:00:{self.number:02x}"

    @property
    def v4(self) -> str:
        return f"10.{1 + list(SEGMENTS).index(self.segment)}.0.{10 + self.number}"

    @property
    def v6(self) -> str:
        return f"fd00:{1 + list(SEGMENTS).index(self.segment)}::{10 + self.number}"


PLACES = (
    Place(1, "s1", "red"),
    Place(2, "s1", "blue"),
    Place(3, "s2", "red"),
    Place(4, "s2", "blue"),
    Place(5, "s1", "red"),
    Place(6, "s2", "red"),
    Place(7, "s1", "yard"),
    Place(8, "s1", "yard"),
    Place(9, "s2", "yard"),
)


def uplink_device(switch: str) -> str:
    return f"{switch}-{UPLINK}"


class TwoSwitches(Topo):  # type: ignore[misc]
    def build(self) -> None:
        for switch in SWITCHES:
            self.addSwitch(switch)
        first, second = SWITCHES
        self.addLink(first, second, intfName1=uplink_device(first), intfName2=uplink_device(second))
        for place in PLACES:
            self.addHost(place.name, ip=f"{place.v4}/24", mac=place.mac)
            self.addLink(place.name, place.switch, intfName2=place.port)


def policy(capacity: str = "100 mbit", **leaves: str) -> str:
    """The text of a policy: a leaf for each host, of its name. leaves: what is in it; without that it allows all."""
    lines = ["weir: 1", "segments:"]
    lines += [f"  {name}: {body}" for name, body in SEGMENTS.items()]
    lines += [f"links: {{{UPLINK}: {{capacity: {capacity}}}}}", "policies:"]
    lines += [f"  {place.name}: {{{leaves.get(place.name, 'unmatched: allow')}}}" for place in PLACES]
    return "\n".join(lines) + "\n"
