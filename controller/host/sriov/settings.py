"""What a physical function is told about its virtual functions (`ip link set DEVICE vf N ...`)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pyroute2.netlink.exceptions import NetlinkError

from controller.host.links import Netlink
from controller.host.sriov.functions import VfSettings

_WITH_VFS = 1  # RTEXT_FILTER_VF


def read(socket: Netlink, index: int) -> dict[int, VfSettings]:
    """Of all VFs of the link, by VF. Raises NetlinkError."""
    (message,) = socket.link("get", index=index, ext_mask=_WITH_VFS)
    listed = message.get_attr("IFLA_VFINFO_LIST")
    found = [dict(one["attrs"]) for name, one in (listed["attrs"] if listed else ()) if name == "IFLA_VF_INFO"]
    return {one["IFLA_VF_MAC"]["vf"]: _settings(one) for one in found if "IFLA_VF_MAC" in one}


def write(socket: Netlink, index: int, vf: int, wanted: VfSettings, present: VfSettings) -> dict[str, str]:
    """Sets what differs, each on its own. None in `wanted`: as it is. Returns what the NIC refuses, with its words."""
    refused = {}
    for name, body in _changes(wanted, present).items():
        try:
            socket.link("set", index=index, vf={"vf": vf, **body})
        except NetlinkError as fault:
            refused[name] = str(fault)
    return refused


def _changes(wanted: VfSettings, present: VfSettings) -> Mapping[str, dict[str, Any]]:
    changes: dict[str, dict[str, Any]] = {}
    if wanted.trust is not None and wanted.trust != present.trust:
        changes["trust"] = {"trust": int(wanted.trust)}
    if wanted.mac != present.mac:
        changes["mac"] = {"mac": wanted.mac}
    if wanted.vlan != present.vlan:
        changes["vlan"] = {"vlan": {"vlan": wanted.vlan, "qos": 0}}
    if wanted.spoof_check is not None and wanted.spoof_check != present.spoof_check:
        changes["spoof_check"] = {"spoofchk": int(wanted.spoof_check)}
    if wanted.max_tx_mbps != present.max_tx_mbps:
        rate = {"max_tx_rate": wanted.max_tx_mbps, "min_tx_rate": min(present.min_tx_mbps, wanted.min_tx_mbps)}
        changes["max_tx_rate"] = {"rate": rate}
    if wanted.min_tx_mbps != present.min_tx_mbps:
        changes["min_tx_rate"] = {"rate": {"max_tx_rate": wanted.max_tx_mbps, "min_tx_rate": wanted.min_tx_mbps}}
    return changes


def _settings(found: Mapping[str, Any]) -> VfSettings:
    rate = found.get("IFLA_VF_RATE", {})
    return VfSettings(
        mac=found["IFLA_VF_MAC"]["mac"],
        vlan=found["IFLA_VF_VLAN"]["vlan"] if "IFLA_VF_VLAN" in found else 0,
        trust=_flag(found, "IFLA_VF_TRUST", "trust"),
        spoof_check=_flag(found, "IFLA_VF_SPOOFCHK", "spoofchk"),
        max_tx_mbps=rate.get("max_tx_rate", 0),
        min_tx_mbps=rate.get("min_tx_rate", 0),
    )


def _flag(found: Mapping[str, Any], attribute: str, name: str) -> bool | None:
    """The kernel gives all bits set for what a driver does not know."""
    value = found.get(attribute, {}).get(name, 2)
    return bool(value) if value in (0, 1) else None
