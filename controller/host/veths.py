"""All veth VIFs of this host: each made and kept right on its own, and what no VIF wants any more removed."""

from __future__ import annotations

import logging
import re
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

from controller.host import links
from controller.host.attempts import Attempts
from controller.host.binding import Binder
from controller.host.errors import HostError
from controller.host.kinds import veth
from controller.host.links import GROUP, Link
from controller.host.settings import AgentConfig
from ovsdb.rows import VirtualInterface

AUDIT_S = 10.0
SWEEP_S = 30.0  # what an agent before this one left is looked for this often; what this one made goes at once

log = logging.getLogger("weir.agent")


class Veths:
    def __init__(self, config: AgentConfig) -> None:
        self._config = config
        self._binder = Binder(config.system, config.chassis)
        self._attempts: Attempts[object] = Attempts("VIF", AUDIT_S)
        self._places: dict[str, Path] = {}
        self._swept_for: object = None
        self._swept_s = 0.0

    def converge(
        self, wanted: Sequence[VirtualInterface], held_open: Collection[str], now_s: float
    ) -> Mapping[str, str | None]:
        """Makes what is missing. held_open: links that vswitchd may have open, there or not.

        Returns by VIF name what is wrong; None: the interface is usable.
        """
        with links.netlink(None) as socket:
            ours = links.ours(socket, self._config.system, self._config.chassis)
        present = {link.name: link.index for _, link in ours}
        faults = {}
        for vif in wanted:
            name = veth.host_end(vif.number)
            if name not in present:
                self._places.pop(vif.name, None)
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
        if self._swept_for == (names, with_namespace) and now_s - self._swept_s < SWEEP_S:
            return
        for name in self._attempts.keep(names.values()):
            self._places.pop(name, None)
            self._binder.forget(name)
        _delete_links(self._config, names)
        for mark in self._binder.made():
            if mark.vif not in with_namespace:
                self._binder.remove_made(mark.vif)
        self._swept_for, self._swept_s = (names, with_namespace), now_s

    def _one(self, vif: VirtualInterface, host_index: int | None, held_open: bool, now_s: float) -> str | None:
        wanted = (
            vif.number, vif.ifname, vif.mac, vif.addresses, tuple(sorted(vif.binding.items())),
            self._binder.identity(vif), host_index, host_index is None and held_open,
        )  # fmt: skip
        return self._attempts.attempt(vif.name, wanted, lambda: self._ensure(vif, held_open), now_s)

    def _ensure(self, vif: VirtualInterface, held_open: bool) -> None:
        try:
            place = self._binder.place(vif)
        except HostError:
            self._places.pop(vif.name, None)
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
        veth.ensure(spec)
        self._places[vif.name] = place


def remove_all(config: AgentConfig) -> None:
    """Everything that the agent of this chassis made for VIFs: links and namespaces."""
    _delete_links(config, {})
    binder = Binder(config.system, config.chassis)
    for mark in binder.made():
        binder.remove_made(mark.vif)


def _delete_links(config: AgentConfig, wanted: Mapping[str, str]) -> None:
    """wanted: name of the link -> VIF. One without a mark is an interrupted creation, which `veth.ensure` completes."""
    with links.netlink(None) as socket:
        for mark, link in links.ours(socket, config.system, config.chassis):
            right = link.name in wanted if mark is None else wanted.get(link.name) == mark.vif
            if not right and _is_host_end(link):
                log.info("link %s removed: no VIF wants it", link.name)
                links.delete(socket, link.name)


def _is_host_end(link: Link) -> bool:
    """Not an instance's end whose namespace is the agent's own: that one goes with its other end."""
    return link.group == GROUP and re.fullmatch(r"wv[0-9]+", link.name) is not None
