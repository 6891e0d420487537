"""What a host lacks for a kind of VIF, as far as its agent has said. Pure."""

from __future__ import annotations

from controller.intent.kind_options import VF, VHOST_USER
from ovsdb.rows import DPDK, NO, VIRTUAL_FUNCTIONS, Chassis


def host_fault(kind: str, host: Chassis) -> str | None:
    """Why the host cannot have a VIF of this kind: `problem. Remedy.` None: it can, or its agent has not said."""
    if kind == VHOST_USER and host.capabilities.get(DPDK) == NO:
        return (
            f"Open vSwitch on host '{host.name}' runs without DPDK, which vhost-user needs. "
            "Start the system with weir up --datapath dpdk, or use kind tap."
        )
    if kind == VF and host.capabilities.get(VIRTUAL_FUNCTIONS) == NO:
        return (
            f"host '{host.name}' has no NIC that can have virtual functions in the network namespace of its agent. "
            "See /sys/bus/pci/devices/*/sriov_totalvfs; with an embedded Open vSwitch NICs stay in the host's own "
            "namespace: use weir up --ovs system."
        )
    return None
