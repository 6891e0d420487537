"""What this host can do, as the Weir DB is told: found by looking, not by what hosts of its sort should be able to."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from pathlib import Path

from controller.host.kinds.vhost_user import TYPE
from controller.host.probe import kernel, meters
from controller.host.probe.switch import abilities
from controller.host.probe.uplinks import speeds
from controller.host.settings import AgentConfig
from controller.host.sriov import tree
from ovsdb.rows import DATAPATH, DPDK, NO, VIRTUAL_FUNCTIONS, YES
from ovsdb.switch import SwitchFacts

LOOK_S = 1.0  # NICs are looked for this often
TRY_S = 60.0  # kernel and switch are tried again this often: modules come and go. It takes 2 ms


class Capabilities:
    """root: sysfs; None: that of the agent's network namespace. probe: what the kernel has. ask: what meters the bridge
    has, by rundir and name."""

    def __init__(
        self,
        config: AgentConfig,
        root: Path | None = None,
        probe: Callable[[], Mapping[str, str]] = kernel.abilities,
        ask: Callable[[Path, str], Mapping[str, str]] = meters.abilities,
    ) -> None:
        self._config, self._root, self._probe, self._ask = config, root, probe, ask
        self._seen: dict[str, str] = {}
        self._tried: Mapping[str, str] = {}
        self._answered: Mapping[str, str] = {}
        self._said: Mapping[str, str] = {}
        self._looked_s = self._tried_s = self._asked_s = -math.inf

    def found(self, switch: SwitchFacts | None, now_s: float) -> dict[str, str]:
        """See `ovsdb.rows` and `policies.enforcement`. switch: None: it says nothing now; what it said last holds."""
        if now_s >= self._looked_s + LOOK_S:
            self._root = self._root or tree.own_root()
            self._seen = {VIRTUAL_FUNCTIONS: _said(tree.has_nics(self._root)), **speeds(self._root, self._config)}
            self._looked_s = now_s
        if now_s >= self._tried_s + TRY_S:
            self._tried, self._tried_s = self._probe() or self._tried, now_s
        if switch is not None and now_s >= self._asked_s + (TRY_S if self._answered else LOOK_S):
            self._answered = self._ask(self._config.ovs_rundir, self._config.bridge) or self._answered
            self._asked_s = now_s
        datapath = self._config.datapath_type
        if switch is not None:
            self._said = {DPDK: _said(TYPE in switch.port_types), **abilities(switch, datapath)}
        return {DATAPATH: datapath, **self._seen, **self._tried, **self._answered, **self._said}


def _said(is_so: bool) -> str:
    return YES if is_so else NO
