"""The Ryu application: `ryu-manager controller.app`. Connections in, calls out; the rest is wiring."""

from __future__ import annotations

import gc
import os
from typing import Any, Protocol

from ryu.base import app_manager
from ryu.controller import ofp_event
from ryu.controller.handler import DEAD_DISPATCHER, MAIN_DISPATCHER, set_ev_cls
from ryu.lib import hub

from controller import wiring
from controller.openflow.endpoint import listen_where_told
from controller.openflow.listener import Switchboard, set_defaults
from controller.openflow.punts import Punt
from controller.openflow.session import SwitchSession
from controller.openflow.wire import VERSION

gc.set_threshold(100_000, 20, 100)  # what is made here has no cycles: looking for them takes a third of the time
set_defaults()
listen_where_told(os.environ)


class Controller(Protocol):
    """What wiring builds. Each call returns at once: it is made where all of Ryu's events or messages are handled."""

    def start(self) -> None: ...

    def stop(self) -> None: ...

    def switch_up(self, session: SwitchSession) -> None: ...

    def switch_down(self, datapath_id: str) -> None: ...

    def punted(self, punt: Punt) -> None: ...


class WeirApp(app_manager.RyuApp):  # type: ignore[misc]
    """A switch is up from the end of its handshake until its connection ends or the same switch makes a new one."""

    OFP_VERSIONS = [VERSION]  # noqa: RUF012  (Ryu wants a list)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._switchboard = Switchboard(self._punted)
        self._switchboard.attach()
        self._controller: Controller = wiring.build(os.environ)

    def start(self) -> None:
        super().start()
        self._controller.start()

    def stop(self) -> None:
        self._controller.stop()
        super().stop()

    @set_ev_cls(ofp_event.EventOFPStateChange, [MAIN_DISPATCHER, DEAD_DISPATCHER])  # type: ignore[untyped-decorator]
    def state_changed(self, event: Any) -> None:
        if event.state == MAIN_DISPATCHER:
            self._connected(event.datapath)
        else:
            self._disconnected(event.datapath)

    def _connected(self, datapath: Any) -> None:
        session, previous = self._switchboard.connect(datapath)
        if previous is not None:
            self._controller.switch_down(previous.datapath_id)
            hub.spawn(previous.close)  # posts an event to this very thread, so it must not wait for room here
        self._controller.switch_up(session)

    def _disconnected(self, datapath: Any) -> None:
        session = self._switchboard.disconnect(datapath)
        if session is not None:
            self._controller.switch_down(session.datapath_id)

    def _punted(self, punt: Punt) -> None:
        self._controller.punted(punt)
