"""All veth VIFs of this host: each made and kept right on its own, and what no VIF wants any more removed."""

from __future__ import annotations

import logging
import math
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path

from controller.host import links
from controller.host.attempts import Attempts
from controller.host.binding import Binder
from controller.host.errors import HostError
from controller.host.kinds import veth
from controller.host.link_codec import Link
from controller.host.link_table import LinkTable
from controller.host.links import GROUP
from controller.host.settings import AgentConfig
from ovsdb.rows import VirtualInterface

AUDIT_S = 10.0  # inside the instances' namespaces; with more than 200 VIFs each has its turn later
SWEEP_S = 30.0  # namespaces that an agent before this one left are looked for this often; our own go at once

log = logging.getLogger("weir.agent")


class Veths:
    def __init__(self, config: AgentConfig, links: LinkTable) -> None:
        self._config, self._links = config, links
        self._binder = Binder(config.system, config.chassis)
        self._attempts: Attempts[object] = Attempts("VIF", AUDIT_S)
        self._places: dict[str, Path] = {}
        self._ends: dict[str, int] = {}  # VIF name -> index of the host's end as it was made or found right
        self._sweep_due_s = -math.inf

    def converge(
        self, wanted: Sequence[VirtualInterface], held_open: Collection[str], now_s: float
    ) -> Mapping[str, str | None]:
        """Makes what is missing. held_open: links that vswitchd may have open, there or not.

        Returns by VIF name what is wrong; None: the interface is usable. Raises HostError.
        """
        present = self._links.links()
        faults = {}
        for vif in wanted:
            name = veth.host_end(vif.number)
            faults[vif.name] = self._one(vif, present.get(name), name in held_open, now_s)
        return faults

    def place(self, vif_name: str) -> Path | None:
        """The namespace in which the instance's interface was made; None: it was not."""
        return self._places.get(vif_name)

    def sweep(self, wanted: Sequence[VirtualInterface], now_s: float) -> None:
        """Removes links and namespaces that this agent, or one before it, made for VIFs that are gone.

        To be called when their ports are off the bridge. Raises HostError.
        """
        names = {veth.host_end(vif.number): vif.name for vif in wanted}
        with_namespace = {vif.name for vif in wanted if not vif.binding}
        for name in self._attempts.keep(set(names.values())):
            self._forget(name)
            self._binder.forget(name)
        _delete_links(self._config, self._links.links().values(), names)
        for name in self._binder.made_here() - with_namespace:
            self._binder.remove_made(name)
        if now_s >= self._sweep_due_s:
            for mark in self._binder.made(but_of=with_namespace):
                self._binder.remove_made(mark.vif)
            self._sweep_due_s = now_s + SWEEP_S

    def _one(self, vif: VirtualInterface, host: Link | None, held_open: bool, now_s: float) -> str | None:
        if host is None:
            self._places.pop(vif.name, None)
        if host is None or (host.index, host.running) != (self._ends.get(vif.name), True):
            self._attempts.again(vif.name)
        wanted = (
            vif.number, vif.ifname, vif.mac, vif.addresses, tuple(sorted(vif.binding.items())),
            self._binder.identity(vif), host is None and held_open,
        )  # fmt: skip
        return self._attempts.attempt(vif.name, wanted, lambda: self._ensure(vif, held_open), now_s)

    def _ensure(self, vif: VirtualInterface, held_open: bool) -> None:
        try:
            place = self._binder.place(vif)
        except HostError:
            self._forget(vif.name)
            veth.remove(vif.number)  # its other end is gone, or in a namespace that is not the instance's
            raise
        spec = veth.VethSpec(
            number=vif.number,
            ifname=vif.ifname,
            mac=vif.mac,
            addresses=vif.addresses,
            namespace=place,
            mark=self._config.mark(vif.name),
            plain_frames=self._config.plain_frames,
            held_open=held_open,
        )
        self._ends[vif.name] = veth.ensure(spec)
        self._places[vif.name] = place

    def _forget(self, name: str) -> None:
        self._places.pop(name, None)
        self._ends.pop(name, None)


def remove_all(config: AgentConfig, links: LinkTable) -> None:
    """Everything that the agent of this chassis made for VIFs: links and namespaces. Raises HostError."""
    _delete_links(config, links.links().values(), {})
    binder = Binder(config.system, config.chassis)
    for mark in binder.made():
        binder.remove_made(mark.vif)


def _delete_links(config: AgentConfig, present: Iterable[Link], wanted: Mapping[str, str]) -> None:
    """wanted: name of the link -> VIF. One without a mark is an interrupted creation, which `veth.ensure` completes."""
    surplus = [
        link.name
        for mark, link in links.ours(present, config.system, config.chassis)
        if _is_host_end(link) and not (link.name in wanted if mark is None else wanted.get(link.name) == mark.vif)
    ]
    if surplus:
        with links.netlink(None) as socket:
            for name in surplus:
                log.info("link %s removed: no VIF wants it", name)
                links.delete(socket, name)


def _is_host_end(link: Link) -> bool:
    """Not an instance's end whose namespace is the agent's own: that one goes with its other end."""
    return link.group == GROUP and re.fullmatch(r"wv[0-9]+", link.name) is not None
