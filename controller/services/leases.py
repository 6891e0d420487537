"""Addresses that instances got from outside, until they end. Pure; the clock, seconds since 1970, is an argument.

What a controller before this one has learned stays, though nobody knows for how long: until its source tells otherwise.
An address that another VIF or a router has is given to nobody, whoever says so.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from ipaddress import ip_interface

from controller.dataplane.macs import link_local
from controller.services.snoop import Source, Told
from policies.model import IPAddress, IPInterface

MOST = 16  # addresses of one VIF
GRACE_S = 60.0  # after the end, for clocks that differ
HOLD_S = 3.0  # after it is given up: every change is written, and compiled for all hosts
_LEAST_CUT_S = 7200  # a router may shorten what remains to this, not below (RFC 4862, 5.5.3)
_FOREVER = 0xFFFF_FFFF
_INTERFACE_BITS = (1 << 64) - 1


@dataclass(frozen=True, slots=True)
class Learner:
    """A VIF that is told its addresses from outside. learned: what the database says that it has."""

    name: str
    mac: int
    segment: str
    learned: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _Lease:
    source: Source
    ends_s: float | None  # None: nobody knows, or never
    is_given_up: bool = False

    def is_over(self, now_s: float) -> bool:
        return self.ends_s is not None and self.ends_s + (0.0 if self.is_given_up else GRACE_S) <= now_s


@dataclass(slots=True)
class _Page:
    learner: Learner
    leases: dict[IPInterface, _Lease]


class LeaseBook:
    """By VIF number. A number comes back when all others have been used: whoever has it then inherits nothing.

    What is given up stays for a moment, unless another VIF gets it: one that asks for it again loses nothing.
    """

    def __init__(self) -> None:
        self._pages: dict[int, _Page] = {}
        self._owners: dict[IPAddress, int] = {}  # by address, the VIF that has it
        self._reserved: Collection[IPAddress] = ()

    def follow(self, learners: Mapping[int, Learner], reserved: Collection[IPAddress]) -> None:
        """learners: all there are. reserved: addresses that were assigned to VIFs or are routers'."""
        self._reserved = reserved
        for number, page in list(self._pages.items()):
            learner = learners.get(number)
            if learner is None or _who(learner) != _who(page.learner):
                self._empty(number)
                del self._pages[number]
            elif learner.segment != page.learner.segment:
                self._empty(number)
                page.learner = learner
        for number, learner in learners.items():
            if number not in self._pages:
                page = self._pages[number] = _Page(learner, {})
                for address, lease in _adopted(learner).items():
                    if self._owners.setdefault(address.ip, number) == number:
                        page.leases[address] = lease
        for ip in [ip for ip in self._owners if ip in reserved]:
            self._forget(self._owners[ip], ip)

    def told(self, number: int, told: Iterable[Told], now_s: float) -> set[int]:
        """Takes in what a learner was told, in order. Returns the VIFs that have other addresses now."""
        page, changed = self._pages.get(number), set[int]()
        if page is None:
            return changed
        for one in told:
            if one.address is None:
                _give_up(page, [own for own, lease in page.leases.items() if lease.source is one.source], now_s)
            else:
                changed |= self._take(number, page, one, one.address, now_s)
        return changed

    def expire(self, now_s: float) -> set[int]:
        """Returns the VIFs of which an address has ended."""
        ended = [
            (number, address)
            for number, page in self._pages.items()
            for address, lease in page.leases.items()
            if lease.is_over(now_s)
        ]
        for number, address in ended:
            self._remove(number, address)
        return {number for number, _ in ended}

    def addresses(self, numbers: Iterable[int]) -> dict[int, tuple[str, ...]]:
        """Of each of these, with prefix length, sorted; none of those that are no learners."""
        pages = ((number, self._pages.get(number)) for number in numbers)
        return {number: () if page is None else tuple(sorted(map(str, page.leases))) for number, page in pages}

    def _take(self, number: int, page: _Page, told: Told, address: IPInterface, now_s: float) -> set[int]:
        lease, valid_s = page.leases.get(address), told.valid_s
        is_advert = told.source is Source.ADVERT
        if is_advert and lease is not None and lease.ends_s is not None:
            valid_s = max(valid_s, min(_LEAST_CUT_S, int(lease.ends_s - now_s)))
        if valid_s <= 0:
            if lease is not None and lease.source is told.source and not (is_advert and lease.ends_s is None):
                _give_up(page, [address], now_s)
            return set()
        before = [
            own for own, one in page.leases.items() if one.source is told.source is Source.DHCP4 and own != address
        ]
        is_full = lease is None and len(page.leases) >= MOST
        spare = [own for own, one in page.leases.items() if one.is_given_up] or before
        if (is_full and not spare) or address.ip in self._reserved:
            return set()
        changed = set() if lease is not None else {number}
        owner = self._owners.get(address.ip, number)
        if owner != number:
            if not all(one.is_given_up for own, one in self._pages[owner].leases.items() if own.ip == address.ip):
                return set()
            self._forget(owner, address.ip)
            changed.add(owner)
        if is_full:
            self._remove(number, spare[0])
        _give_up(page, [own for own in before if own in page.leases], now_s)  # a client of DHCPv4 has one
        page.leases[address] = _Lease(told.source, None if valid_s == _FOREVER else now_s + valid_s)
        self._owners[address.ip] = number
        return changed

    def _empty(self, number: int) -> None:
        for address in list(self._pages[number].leases):
            self._remove(number, address)

    def _forget(self, number: int, ip: IPAddress) -> None:
        """With any prefix length."""
        for address in [address for address in self._pages[number].leases if address.ip == ip]:
            self._remove(number, address)

    def _remove(self, number: int, address: IPInterface) -> None:
        leases = self._pages[number].leases
        del leases[address]
        if not any(other.ip == address.ip for other in leases):
            del self._owners[address.ip]


def _who(learner: Learner) -> tuple[str, int]:
    return learner.name, learner.mac


def _give_up(page: _Page, addresses: Iterable[IPInterface], now_s: float) -> None:
    for address in addresses:
        lease = page.leases[address]
        if not lease.is_given_up:
            page.leases[address] = _Lease(lease.source, now_s + HOLD_S, is_given_up=True)


def _adopted(learner: Learner) -> dict[IPInterface, _Lease]:
    """The source shows in the address: a host's own part follows from its MAC, DHCPv6 gives no prefix length."""
    found: dict[IPInterface, _Lease] = {}
    for text in learner.learned:
        address = ip_interface(text)
        if address.version == 4:
            source = Source.DHCP4
        elif address.network.prefixlen == 64 and int(address.ip) & _INTERFACE_BITS == link_local(learner.mac) & (
            _INTERFACE_BITS
        ):
            source = Source.ADVERT
        else:
            source = Source.DHCP6
        found[address] = _Lease(source, None)
    return found
