"""All kinds of VIF together: what each of this host's VIFs became, and what is no longer wanted taken away."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial

from controller.config import ConfigError, load
from controller.host.all_kinds import all_kinds
from controller.host.binding import Binder
from controller.host.errors import HostError
from controller.host.kinds.kind import Kind, Made, PassView
from controller.host.link_table import LinkTable
from controller.host.process_watch import ProcessWatch
from controller.host.settings import AgentConfig
from controller.stream.messages import Repair
from ovsdb.rows import Snapshot, VirtualInterface

log = logging.getLogger("weir.agent")

Wanted = Sequence[tuple[Kind, Sequence[VirtualInterface]]]


class Making:
    """What one pass after the other makes of the VIFs."""

    def __init__(
        self, config: AgentConfig, links: LinkTable, on_repair: Callable[[Repair], None] = lambda repair: None
    ) -> None:
        self._binder = Binder(config.system, config.chassis, home_inode=_home_inode(config))
        self._kinds = all_kinds(config, links, self._binder, on_repair)
        self._made: dict[Kind, Mapping[str, Made]] = {}
        self._said: dict[object, str | None] = {}  # what was wrong with the last sweep of each

    @property
    def instances(self) -> ProcessWatch:
        """The processes that VIFs are bound to."""
        return self._binder.instances

    def wanted(self, snapshot: Snapshot) -> Wanted:
        """The VIFs that concern this host, by the kind that makes them."""
        vifs = snapshot.interfaces.values()
        return [(kind, [vif for vif in vifs if kind.concerns(vif)]) for kind in self._kinds]

    def converge(self, wanted: Wanted, view: PassView) -> dict[str, Made]:
        """By VIF name. A kind that fails as a whole keeps what it had, with the fault at each of its VIFs.

        Raises HostError when it fails before it ever succeeded: it is not known then which ports are its own.
        """
        return {name: made for kind, vifs in wanted for name, made in self._converge(kind, vifs, view).items()}

    def sweep(self, wanted: Wanted, view: PassView) -> list[str]:
        """Takes away what no VIF wants any more, once its port is off the bridge. Returns what is wrong."""
        faults = [self._fault(kind, partial(kind.sweep, vifs, view)) for kind, vifs in wanted]
        in_use = {made.place for one in self._made.values() for made in one.values() if made.place is not None}
        own = [vif for _, vifs in wanted for vif in vifs]
        elsewhere = view.snapshot.interfaces.keys() - {vif.name for vif in own}
        faults.append(self._fault(self._binder, partial(self._binder.sweep, own, elsewhere, in_use, view.now_s)))
        return [fault for fault in faults if fault is not None]

    def remove_all(self) -> None:
        """Everything that agents of this chassis made for VIFs. Raises HostError."""
        for kind in self._kinds:
            kind.remove_all()
        self._binder.remove_all()

    def _fault(self, who: object, sweep: Callable[[], object]) -> str | None:
        """What is wrong with one's sweep, which keeps no other from theirs."""
        said: str | None = None
        try:
            sweep()
        except HostError as fault:
            said = str(fault)
        except Exception as fault:
            said = f"{type(fault).__name__}: {fault}. This is a fault of Weir; see the agent's log."
            if said != self._said.get(who):
                log.exception("sweeping failed")
        self._said[who] = said
        return said

    def _converge(self, kind: Kind, vifs: Sequence[VirtualInterface], view: PassView) -> Mapping[str, Made]:
        try:
            self._made[kind] = kind.converge(vifs, view)
        except HostError as fault:
            if kind not in self._made:
                raise
            before = self._made[kind]
            return {vif.name: replace(before.get(vif.name, Made()), fault=str(fault), waiting=None) for vif in vifs}
        return self._made[kind]


def _home_inode(config: AgentConfig) -> int:
    """Of the namespace that `weir up` ran in; 0 where the agent was started by somebody else."""
    try:
        return load(config.state).home_inode
    except ConfigError:
        return 0
