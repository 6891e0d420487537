"""Asks all switches for their counters at once, and waits for none that keeps silent."""

from __future__ import annotations

import logging
from collections.abc import Mapping

import eventlet
from eventlet.greenthread import GreenThread

from controller.runtime.sampling import SwitchSample
from controller.runtime.switch import Switch, SwitchGone

log = logging.getLogger("weir.loop")


class Poll:
    """A switch that has not answered yet is not asked again; what it says then counts in the round that finds it."""

    def __init__(self) -> None:
        self._asked: dict[str, tuple[Switch, GreenThread]] = {}

    def samples(self, switches: Mapping[str, Switch], patience_s: float) -> dict[str, SwitchSample]:
        """By name, of those that have answered within `patience_s` seconds."""
        for name, switch in switches.items():
            if name not in self._asked or self._asked[name][0] is not switch:
                self._asked[name] = (switch, eventlet.spawn(_sample, switch))
        with eventlet.Timeout(patience_s, False):
            for _, thread in list(self._asked.values()):
                thread.wait()
        answered = [name for name, (_, thread) in self._asked.items() if thread.dead]
        samples = {name: self._asked.pop(name)[1].wait() for name in answered}
        return {name: sample for name, sample in samples.items() if sample is not None and name in switches}


def _sample(switch: Switch) -> SwitchSample | None:
    try:
        return switch.sample()
    except SwitchGone as fault:
        log.warning("no statistics this time: %s", fault)
    except Exception:
        log.exception("switch %s: its statistics cannot be used", switch.datapath_id)
    return None
