"""Rows of the Weir DB's replica to the values of `ovsdb.rows`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from ovsdb.rows import Chassis, UserBinding, VirtualInterface


@dataclass(frozen=True, slots=True)
class System:
    """The one row of table Weir, as far as a snapshot tells of it."""

    cfg: int = 0
    policy_version: int = 0
    other_config: Mapping[str, str] = field(default_factory=dict)
    next_number: Mapping[str, int] = field(default_factory=dict)


def one_or_none(values: list[Any]) -> Any:
    """A column of at most one value."""
    return values[0] if values else None


def _vif(row: Any) -> VirtualInterface:
    same = (
        "name", "number", "policy", "segment", "kind", "mac", "binding", "ifname", "labels", "egress", "ingress",
        "options", "cfg", "state", "details", "scaled",
    )  # fmt: skip
    optional = ("chassis", "instance", "error", "port_name", "ofport")
    return VirtualInterface(
        addresses=tuple(sorted(row.addresses)),
        learned=tuple(sorted(row.learned)),
        **{column: getattr(row, column) for column in same},
        **{column: one_or_none(getattr(row, column)) for column in optional},
    )


def _chassis(row: Any) -> Chassis:
    same = (
        "name", "bridge", "datapath_id", "hostname", "uplink_ports", "agent_cfg", "flow_cfg", "connected",
        "capabilities",
    )  # fmt: skip
    return Chassis(
        agent_error=one_or_none(row.agent_error),
        agent_note=one_or_none(row.agent_note),
        flow_error=one_or_none(row.flow_error),
        **{column: getattr(row, column) for column in same},
    )


def _binding(row: Any) -> UserBinding:
    return UserBinding(row.user, row.vif, row.address, row.bound_at, one_or_none(row.expires_at), row.bound_by)


DECODERS: Mapping[str, Callable[[Any], Any]] = {
    "Weir": lambda row: System(row.cfg, row.policy_version, row.other_config, row.next_number),
    "Policy": lambda row: (row.version, row.files),
    "Identifier": lambda row: ((row.kind, row.key), row.number),
    "Chassis": _chassis,
    "Virtual_Interface": _vif,
    "User_Binding": _binding,
}
