"""Whether what a segment sends outside has a way out of a host. Pure."""

from __future__ import annotations

import re

from ovsdb.rows import Chassis
from policies.model import Segment

_BETWEEN_FAULTS = re.compile(r"\n| (?=uplink [^ :]+: )")
_OF_UPLINK = re.compile(r"uplink ([^ :]+): ")


def agent_faults(agent_error: str) -> list[str]:
    """What an agent reports in one text, fault by fault. What follows one of an uplink may stay joined to it."""
    return [fault for fault in _BETWEEN_FAULTS.split(agent_error) if fault]


def uplink_of(fault: str) -> str | None:
    """The uplink that an agent's fault is of; None: it is of something else."""
    named = _OF_UPLINK.match(fault)
    return named[1] if named else None


def way_out_fault(segment: Segment, host: Chassis) -> str | None:
    """Why nothing of the segment would leave this host; None: it does, or the host's agent has not said yet."""
    uplink = segment.uplink
    if uplink is None or uplink in host.uplink_ports or not host.agent_cfg:
        return None
    where = f"segment '{segment.name}' leaves by uplink '{uplink}', which host '{host.name}'"
    for fault in agent_faults(host.agent_error or ""):
        if uplink_of(fault) == uplink:
            return f"{where} cannot use: {fault.rstrip('.')}."
    has = f"has only {', '.join(sorted(host.uplink_ports))}" if host.uplink_ports else "has no uplink at all"
    return (
        f"{where} does not have, so nothing would reach the outside. The host {has}: "
        f"use a segment that goes without '{uplink}', or start the system with it: weir up --uplink {uplink}."
    )
