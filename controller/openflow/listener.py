"""How Ryu is set up and parses for Weir, and which sessions there are."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

import ryu.base.app_manager  # noqa: F401  (declares the options whose defaults are set here)
from ryu import cfg
from ryu.ofproto import ofproto_parser, ofproto_v1_3_parser

from controller.openflow.punts import Punt, decode_punt
from controller.openflow.session import Datapath, SwitchSession
from controller.openflow.wire import VERSION, Type, WireError

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
    """The sessions of the switches that are connected: one a switch, the newest connection's.

    punted: gets each packet that an entry of ours sends up; returns at once, as the connection waits meanwhile.
    """

    def __init__(self, punted: Callable[[Punt], None]) -> None:
        self._sessions: dict[Datapath, SwitchSession] = {}
        self._punted = punted

    def attach(self) -> None:
        """Takes the place of Ryu's OpenFlow 1.3 parser: what is for a session goes to it, the rest to Ryu."""
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
        if session is not None:
            if session.take(kind, xid, bytes(content)):
                return None
            if kind == Type.PACKET_IN and self._punt(session, bytes(content)):
                return None
        try:
            parsed: object = ofproto_v1_3_parser.msg_parser(datapath, *message)
        except Exception as fault:
            LOG.warning("Ryu cannot parse a message of type %d and %d bytes: %r", kind, len(content), fault)
            return None
        return parsed

    def _punt(self, session: SwitchSession, packet_in: bytes) -> bool:
        """False when it is for somebody else."""
        try:
            punt = decode_punt(session.datapath_id, packet_in)
            if punt is not None:
                self._punted(punt)
        except WireError as fault:
            LOG.warning("switch %s: %s", session.datapath_id, fault)
        except Exception:  # whoever sent the packet must not end the connection with it
            LOG.exception("switch %s: a packet that it sent up could not be dealt with", session.datapath_id)
        else:
            return punt is not None
        return True
