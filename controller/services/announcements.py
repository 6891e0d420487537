"""Where addresses are, told to those nearby when it changes (RFC 5227, 2.3; RFC 4861, 7.2.6). Pure.

An address that is given back is given out again. A host that has spoken with whoever had it before goes on sending to
that one's MAC, for half a minute or longer, and the new one hears nothing of it. Likewise those outside, when another
host comes to answer for the router.
"""

from __future__ import annotations

from collections.abc import Mapping
from ipaddress import IPv4Address

from controller.services import arp, discovery, ip
from controller.services.place import Place, Whereabouts

MOST_COPIES = 2000  # at once: what a switch sends out in some 20 ms

Flood = tuple[tuple[int, ...], bytes]  # ports, and the frame for each


class AnnouncementBook:
    """Of one bridge. What is there when it is first looked at is taken as known: an earlier controller's work."""

    def __init__(self) -> None:
        self._told: Mapping[Whereabouts, int] | None = None
        self._waiting: dict[Whereabouts, None] = {}

    def due(self, place: Place) -> list[Flood]:
        """What is to be sent now, as much as goes at once."""
        macs = place.macs
        if macs is not self._told:
            before, self._told = self._told, macs
            changed = [] if before is None else [key for key, mac in macs.items() if before.get(key) != mac]
            self._waiting = dict.fromkeys(key for key in (*self._waiting, *changed) if key in macs)
        floods: list[Flood] = []
        copies = 0
        while self._waiting and copies < MOST_COPIES:
            key = next(iter(self._waiting))
            del self._waiting[key]
            for flood in _floods(place, key, macs[key]):
                floods.append(flood)
                copies += len(flood[0])
        return floods


def _floods(place: Place, key: Whereabouts, mac: int) -> list[Flood]:
    """To the others in the segment, and out there where it goes on beyond the host; of the router only there."""
    name, address = key
    segment, is_outside = place.bridge.segments[name], place.is_outside(key)
    if isinstance(address, IPv4Address):
        frame = arp.request(mac, address, address)
    else:
        frame = discovery.unsolicited(address, mac, is_router=is_outside)
    members = () if is_outside else place.members.get(name, ())
    beside = tuple(vif.ofport for vif in members if vif.mac != mac)
    beyond = segment.uplink_ofports if is_outside or not segment.is_routed else ()
    found = ((beside, frame), (beyond, ip.tagged(frame, segment.vlan)))
    return [flood for flood in found if flood[0]]
