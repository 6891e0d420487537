"""VIFs as the commands show them to people."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from controller.cli.output import say
from controller.system.errors import SystemFault, WrongRequest

if TYPE_CHECKING:
    from controller.intent.hypervisor import Attachment

COLUMNS = (
    "name", "policy", "segment", "kind", "state", "addresses",
    "egress limit", "offered", "allocated", "passed", "error",
)  # fmt: skip


def row(vif: Mapping[str, Any]) -> list[str]:
    """One line of `weir vif list`; rates are those of egress, in kbit/s."""
    egress = vif["egress"]
    rates = [egress[figure] for figure in ("limit_kbps", "offered_kbps", "allocated_kbps", "passed_kbps")]
    shown = ["-" if rate is None else str(rate) for rate in rates]
    texts = [str(vif[column]) for column in COLUMNS[:5]]
    return [*texts, ",".join([*vif["addresses"], *vif["learned"]]) or "-", *shown, vif["error"] or "-"]


def in_words(vif: Mapping[str, Any]) -> dict[str, Any]:
    """The document of a VIF as `fields` shows it: what is derived is a sentence that says from what."""
    shown = {key: value for key, value in vif.items() if key != "attach"}
    for way in ("egress", "ingress"):
        shown[way] = {**vif[way], "packets": [_packets(bound) for bound in vif[way]["packets"]]}
    shown["slo"] = {name: _objective(name, one) for name, one in (vif["slo"] or {}).items()}
    return {**shown, "cpu": None if vif["cpu"] is None else _processor(vif["cpu"])}


def _packets(bound: Mapping[str, Any]) -> str:
    whose = f"of all below {bound['node']} on its host" if bound["together"] else f"({bound['node']})"
    return f"{bound['pps']} pps {whose}"


def _objective(name: str, one: Mapping[str, Any]) -> str:
    """latency and jitter are milliseconds, loss is a part."""
    measured, target = (
        "unknown" if value is None else f"{value:.3g} ms" if name != "loss" else f"{value:.2%}"
        for value in (one["measured"], one["target"])
    )
    left = one["budget"]["left_s"]
    budget = f"{left:.0f} s of the day's budget left" if left >= 0 else f"{-left:.0f} s beyond the day's budget"
    return f"{one['state']}: {measured}, objective {target}; violated for {one['violated_s']:.0f} s, {budget}"


def _processor(cpu: Mapping[str, Any]) -> str:
    said = f"{cpu['share'] * 100:g} % of a core ({cpu['node']})"
    if cpu["budget_pps"] is None:
        return f"{said}: what a packet costs is not known on its host"
    source = f"measured over {cpu['packets_measured']} packets" if cpu["packets_measured"] else "assumed until measured"
    return f"{said}: {cpu['budget_pps']} pps of both directions, at {cpu['packet_ns']} ns a packet, {source}"


def print_attachment(found: Attachment | None) -> None:
    """What to tell a hypervisor; nothing when there is nothing to tell."""
    if found is None:
        return
    if found.qemu:
        print(f"# QEMU:\n{shlex.join(found.qemu)}")
    if found.libvirt:
        print(f"# libvirt:\n{found.libvirt}")
    if found.needs:
        say(f"note: {found.needs}")


def attachment_text(vif: Mapping[str, Any], found: Attachment | None, qemu: bool, libvirt: bool) -> str:
    """One of the two, alone. Raises WrongRequest, SystemFault when the VIF has none."""
    if qemu and libvirt:
        raise WrongRequest("--qemu and --libvirt: one can be shown alone", "Give one of them")
    text = None
    if found is not None:
        text = shlex.join(found.qemu) if qemu else found.libvirt
    if text:
        return text
    what = "QEMU arguments" if qemu else "libvirt element"
    if vif["kind"] == "port":
        raise SystemFault(
            f"VIF {vif['name']}: a port has no {what} of Weir's",
            "libvirt makes a port of its own for a VIF whose name is the UUID that it gives as interfaceid",
        )
    if vif["state"] != "ready":
        raise SystemFault(f"VIF {vif['name']}: it has no {what} yet", f"See weir vif show {vif['name']}")
    raise SystemFault(f"VIF {vif['name']}: kind {vif['kind']} has no {what}", "Kinds tap and vhost-user are for VMs")
