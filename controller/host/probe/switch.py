"""What a switch can keep of a policy, from what it says of itself. Pure."""

from __future__ import annotations

from ovsdb.rows import KERNEL
from ovsdb.switch import SwitchFacts
from policies.enforcement import EGRESS_POLICER, OFFLOAD, OVS_VERSION, TRTCM_POLICER, YES

_DPDK_PORT = "dpdkvhostuserclient"
_NO_DPDK = "no: Open vSwitch runs without DPDK"
_NOT_ASKED = "no: Open vSwitch was not told to leave packets to NICs (other_config:hw-offload)"
_IN_USERSPACE = "no: a userspace datapath leaves no packets to the kernel's drivers"


def abilities(facts: SwitchFacts, datapath: str) -> dict[str, str]:
    """datapath: type of the bridge's."""
    policers = YES if _DPDK_PORT in facts.port_types else _NO_DPDK
    offload = _IN_USERSPACE if datapath != KERNEL else YES if facts.offloads else _NOT_ASKED
    found = {EGRESS_POLICER: policers, TRTCM_POLICER: policers, OFFLOAD: offload}
    if facts.version is not None:
        found[OVS_VERSION] = facts.version
    return found
