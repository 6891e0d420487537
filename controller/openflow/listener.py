"""How Ryu is set up and parses for Weir, and which sessions there are."""

from __future__ import annotations

import logging
from typing import Any

import ryu.base.app_manager  # noqa: F401  (declares the options whose defaults are set here)
from ryu import cfg
from ryu.ofproto import ofproto_parser, ofproto_v1_3_parser

from controller.openflow.session import Datapath, SwitchSession
from controller.openflow.wire import VERSION

LOG = logging.getLogger("weir.openflow")

_DEFAULTS = {
    "ofp_listen_host": "127.0.0.1",
    "socket_timeout": 60.0,  # Ryu's 5 s end the connection when vswitchd is busy with a large change
    "echo_request_interval": 10.0,
    "maximum_unreplied_echo_requests": 3,  # Ryu's 0 never notices a switch that has gone silent
}


def set_defaults() -> None:
    """Replaces some of Ryu's defaults, before it listens; command line and configuration file still win."""
    for name, value in _DEFAULTS.items():
        cfg.CONF.set_default(name, value)


class Switchboard:
    """The sessions of the switches that are connected: one a switch, the newest connection's."""

    def __init__(self) -> None:
        self._sessions: dict[Datapath, SwitchSession] = {}

    def attach(self) -> None:
        """Takes the place of Ryu's OpenFlow 1.3 parser: what answers a session goes to it, the rest to Ryu."""
        ofproto_parser.register_msg_parser(VERSION)(self._parse)

    def connect(self, datapath: Datapath) -> tuple[SwitchSession, SwitchSession | None]:
        """A session for a new connection, and the one that it replaces: the same switch's, not yet known to be dead."""
        session = SwitchSession(datapath)
        replaced = [known for known, old in self._sessions.items() if old.datapath_id == session.datapath_id]
        previous = self._sessions.pop(replaced[0]) if replaced else None
        self._sessions[datapath] = session
        return session, previous

    def disconnect(self, datapath: Datapath) -> SwitchSession | None:
        """The session that has ended; None when the switch never got one or has a newer one."""
        session = self._sessions.pop(datapath, None)
        if session is not None:
            session.close()
        return session

    def _parse(self, datapath: Datapath, *message: Any) -> object | None:
        """version, type, length, xid and bytes of a message -> Ryu's object for it, None when there is no more to do.

        An exception here would end the connection, and Ryu raises some for what Open vSwitch's extensions send.
        """
        _, kind, _, xid, content = message
        session = self._sessions.get(datapath)
        if session is not None and session.take(kind, xid, bytes(content)):
            return None
        try:
            parsed: object = ofproto_v1_3_parser.msg_parser(datapath, *message)
        except Exception as fault:
            LOG.warning("Ryu cannot parse a message of type %d and %d bytes: %r", kind, len(content), fault)
            return None
        return parsed
