"""What a VIF of kind vf wants of its virtual function, and what of its policy can be kept there. Pure."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace

from controller.host import desired
from controller.host.errors import HostError
from controller.host.sriov.choice import Chosen, Wish
from controller.host.sriov.functions import VfSettings
from controller.stream.messages import Rates
from ovsdb.rows import VirtualInterface
from policies.enforcement import Port
from policies.model import Direction, PolicySet
from policies.own_numbers import own_of
from policies.scaling import bandwidth_in_force, scaled_of
from policies.shortcomings import Interface, shortcomings

OUT_OF_REACH = (
    "without a representor its packets never pass the bridge: no rule of its policy is enforced, and of its bandwidth "
    "only what the NIC keeps"
)
_KBPS = 1000  # of one Mbit/s
_DEFAULTS = {"trust": "false", "spoof_check": "true", "vlan": "0"}


@dataclass(frozen=True, slots=True)
class NicRates:
    """In Mbit/s; 0: none."""

    max_tx_mbps: int = 0
    min_tx_mbps: int = 0


def wish(vif: VirtualInterface) -> Wish:
    index = vif.options.get("vf")
    return Wish(
        device=vif.options.get("device"),
        index=None if index is None else int(index),
        needs_representor=vif.options.get("representor") != "none",
    )


def may_be_bare(vif: VirtualInterface, policies: PolicySet) -> bool:
    """Whether the VIF may be where its policy is not enforced."""
    node = policies.nodes.get(vif.policy)
    return node is not None and node.best_effort


def check(vif: VirtualInterface, policies: PolicySet) -> None:
    """Raises HostError when the VIF asks for a VF that its policy forbids."""
    port = Port(vif.kind, wish(vif).needs_representor)
    interface = Interface(port, vif.policy, own_of(vif.egress), own_of(vif.ingress))
    for fault in shortcomings(policies, interface, {}):
        if fault.is_refusal:
            raise HostError(fault.problem, fault.remedy)


def rates(vif: VirtualInterface, policies: PolicySet) -> NicRates:
    """The limit rounded up, the guarantee rounded down, to what NICs count in. Of the policy: NICs know no loop."""
    node = policies.nodes.get(vif.policy)
    if node is None or not node.is_leaf:
        return NicRates()
    limit_kbps = desired.limits(vif, policies, Rates()).egress_kbps
    in_force = bandwidth_in_force(node, Direction.EGRESS, own_of(vif.egress), scaled_of(vif.scaled))
    return NicRates(-(-(limit_kbps or 0) // _KBPS), in_force.guarantee_kbps // _KBPS)


def settings(vif: VirtualInterface, policies: PolicySet, present: VfSettings) -> VfSettings:
    """What the NIC shall be told. A default that it does not know is not asked for."""
    numbers = rates(vif, policies)
    trust, spoof_check = (_option(vif, name) == "true" for name in ("trust", "spoof_check"))
    return VfSettings(
        mac=vif.mac.lower(),
        vlan=int(_option(vif, "vlan")),
        trust=None if present.trust is None and "trust" not in vif.options else trust,
        spoof_check=None if present.spoof_check is None and "spoof_check" not in vif.options else spoof_check,
        max_tx_mbps=numbers.max_tx_mbps,
        min_tx_mbps=numbers.min_tx_mbps,
    )


def without(wanted: VfSettings, names: Collection[str], present: VfSettings) -> VfSettings:
    """The named settings as they are. names: as `sriov.settings.write` gives them."""
    fields = {"max_tx_rate": "max_tx_mbps", "min_tx_rate": "min_tx_mbps"}
    return replace(wanted, **{field: getattr(present, field) for field in (fields.get(name, name) for name in names)})


def notes(vif: VirtualInterface, chosen: Chosen, wanted: VfSettings, refused: Mapping[str, str]) -> dict[str, str]:
    """What became of the rates, as details of the VIF. Accepted is not enforced: some NICs do nothing about them.

    Raises HostError when the NIC refuses what somebody asked for, or what nobody makes up for.
    """
    needed = {name for name in _DEFAULTS if vif.options.get(name, _DEFAULTS[name]) != _DEFAULTS[name]}
    if "pci" in vif.binding:
        needed.add("mac")  # nobody but the NIC could give the instance its MAC
    for name in sorted(needed & refused.keys()):
        value = {"mac": vif.mac, "vlan": str(wanted.vlan)}.get(name, vif.options.get(name, ""))
        raise HostError(
            f"NIC {chosen.physical.text} refuses {name.replace('_', ' ')} {value} for VF {chosen.function.index}: "
            f"{refused[name]}",
            "Do without it, or use another NIC",
        )
    numbers = {"max_tx_rate": wanted.max_tx_mbps, "min_tx_rate": wanted.min_tx_mbps}
    return {
        name: f"refused by the NIC: {refused[name]}" if name in refused else f"{number} mbit, accepted by the NIC"
        for name, number in numbers.items()
        if number
    }


def _option(vif: VirtualInterface, name: str) -> str:
    return vif.options.get(name, _DEFAULTS[name])
