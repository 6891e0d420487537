"""What can go wrong in a session: errors that the switch sends, as values, and exceptions of the session itself."""

from __future__ import annotations

import struct
from dataclasses import dataclass

from ryu.ofproto import ofproto_v1_3 as ofproto

from controller.openflow.wire import ONF_EXPERIMENTER

_HEADER_BYTES = 8
_EXPERIMENTER = 0xFFFF
_BUNDLE_WORDS = {
    code: name.removeprefix("ONFERR_ET_").lower().replace("_", " ")
    for name, code in vars(ofproto).items()
    if name.startswith("ONFERR_ET_")
}


@dataclass(frozen=True, slots=True)
class SwitchError:
    """An OpenFlow error. type, code: as on the wire; experimenter: whose code it is, None for OpenFlow's own."""

    type: int
    code: int
    experimenter: int | None = None

    def __str__(self) -> str:
        if self.experimenter == ONF_EXPERIMENTER:
            return f"bundle refused: {_BUNDLE_WORDS.get(self.code, 'unknown error')} (ONF error {self.code})"
        if self.experimenter is not None:
            return f"refused by extension {self.experimenter:#010x} with its error {self.code}"
        kind = ofproto.ofp_error_type_to_str(self.type).split("(")[0]
        code = ofproto.ofp_error_code_to_str(self.type, self.code).split("(")[0]
        words = kind.removeprefix("OFPET_").lower().replace("_", " ")
        detail = code.partition("_")[2].lower().replace("_", " ") or "unknown error"
        return f"{words}: {detail} ({code} {self.type}/{self.code})"


class SessionError(Exception):
    """A request was not answered; what it asked for may or may not have happened. Read the switch again."""


class SessionLost(SessionError):
    """The connection ended."""


class ReplyOverdue(SessionError):
    """The switch did not answer in time."""


class RequestRefused(SessionError):
    """The switch answered a question with an error."""


class ReplyUnreadable(SessionError):
    """The switch answered with what OpenFlow 1.3 does not know."""


def decode_error(message: bytes) -> SwitchError:
    """The error that a whole OFPT_ERROR message carries; zeros for what is missing from it."""
    kind, code, experimenter = struct.unpack_from("!HHI", message.ljust(_HEADER_BYTES + 8, b"\0"), _HEADER_BYTES)
    return SwitchError(kind, code, experimenter if kind == _EXPERIMENTER else None)
