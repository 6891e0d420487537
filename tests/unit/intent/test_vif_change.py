from __future__ import annotations

from dataclasses import replace

import pytest

from controller.intent.errors import Rejected
from controller.intent.vif_change import VifChange, redraft, touches_device, undone
from ovsdb.rows import Snapshot, VirtualInterface
from policies.own_numbers import INHERITED, Own
from policies.parser import parse
from tests.unit.intent.worlds import POLICY, vif, world

ROOMY = {"p.yaml": POLICY.replace("egress: {guarantee: 50 mbit}", "egress: {guarantee: 60 mbit}")}


def changed(change: VifChange, *names: str, snapshot: Snapshot | None = None) -> dict[str, VirtualInterface]:
    snapshot = snapshot if snapshot is not None else TWO
    made = redraft(names or ("a",), change, snapshot, parse(snapshot.files))
    return {one.name: one for one in made}


A = vif("a", 2, labels={"app": "x", "tier": "front"}, state="ready", ofport=7, port_name="wv2", instance="i-1", cfg=4)
B = vif("b", 3, policy="free", addresses=("10.30.0.3/24", "fd00:30::3/64"))
TWO = world(A, B, files=ROOMY)


def test_only_what_is_named_changes() -> None:
    assert changed(VifChange(policy="free"))["a"] == replace(A, policy="free")
    assert changed(VifChange(labels={"tier": None, "new": "y"}))["a"] == replace(A, labels={"app": "x", "new": "y"})
    assert changed(VifChange(instance=""))["a"] == replace(A, instance=None)
    assert changed(VifChange(egress=Own(1000, 20_000), ingress=Own(None, 9_000)))["a"] == replace(
        A, egress={"guarantee_kbps": 1000, "limit_kbps": 20_000}, ingress={"limit_kbps": 9_000}
    )
    assert changed(VifChange(binding={"netns": "red"}, ifname="eth7"))["a"] == replace(
        A, binding={"netns": "red"}, ifname="eth7"
    )


def test_what_is_so_already_is_no_change() -> None:
    for change in (
        VifChange(),
        VifChange(policy="acme/web", segment="lab", labels={"app": "x", "gone": None}, instance="i-1"),
        VifChange(egress=INHERITED),
        VifChange(addresses=("10.30.0.2",)),
        VifChange(binding={}),
    ):
        assert changed(change) == {}
    assert changed(VifChange(addresses=()), "b") == {}  # it has one of each subnet


def test_addresses_are_replaced_chosen_or_kept() -> None:
    assert changed(VifChange(addresses=("10.30.0.9", "FD00:30::9/64")))["a"].addresses == (
        "10.30.0.9/24",
        "fd00:30::9/64",
    )
    assert changed(VifChange(addresses=()))["a"].addresses == ("10.30.0.2/24", "fd00:30::2/64")
    # whoever has what it would be given keeps it, whatever its name comes after
    both = changed(VifChange(addresses=()), "a", "b", snapshot=world(replace(A, addresses=("10.30.0.9/24",)), B))
    assert set(both) == {"a"} and both["a"].addresses == ("10.30.0.2/24", "fd00:30::2/64")


def test_another_segment_gives_other_addresses() -> None:
    two = {"p.yaml": POLICY.replace("  office:", "  den: {type: internal, subnets: [10.9.0.0/29]}\n  office:")}
    snapshot = world(A, B, vif("c", 4, segment="den", addresses=("10.9.0.2/29",)), files=two)
    assert changed(VifChange(segment="den"), snapshot=snapshot)["a"].addresses == ("10.9.0.3/29",)
    named = changed(VifChange(segment="den", addresses=("10.9.0.5",)), snapshot=snapshot)["a"]
    assert (named.segment, named.addresses) == ("den", ("10.9.0.5/29",))
    office = changed(VifChange(segment="office", policy="free"), snapshot=snapshot)["a"]
    assert (office.segment, office.addresses) == ("office", ())  # what it has there comes from outside
    full = changed(VifChange(segment="den"), "a", "b", snapshot=snapshot)
    assert [full[name].addresses for name in "ab"] == [("10.9.0.3/29",), ("10.9.0.4/29",)]


def test_a_vf_goes_from_a_namespace_to_a_pci_device_and_back() -> None:
    vf = vif("v", 5, kind="vf", policy="free", binding={"netns": "red"}, options={"trust": "true"})
    snapshot = world(vf)
    handed = changed(VifChange(driver="vfio-pci"), "v", snapshot=snapshot)["v"]
    assert handed.binding == {"pci": "vfio"}
    named = world(replace(vf, ifname="lan0"))
    assert changed(VifChange(driver="vfio-pci"), "v", snapshot=named)["v"].ifname == "eth0"  # there is no link any more
    with pytest.raises(Rejected, match="--ifname means nothing to a VF that is handed over as a PCI device"):
        changed(VifChange(driver="vfio-pci", ifname="lan0"), "v", snapshot=snapshot)
    back = changed(VifChange(driver="netdev", binding={"netns": "blue"}), "v", snapshot=world(handed))["v"]
    assert back.binding == {"netns": "blue"}
    with pytest.raises(Rejected, match="is in no network namespace"):
        changed(VifChange(driver="vfio-pci", binding={"netns": "blue"}), "v", snapshot=snapshot)
    less = changed(VifChange(options={"trust": None, "vlan": "7"}), "v", snapshot=snapshot)["v"]
    assert less.options == {"vlan": "7"}


@pytest.mark.parametrize(
    ("change", "names", "words"),
    [
        (VifChange(policy="acme"), ("a",), "VIF 'a': policy 'acme' has nodes below it"),
        (VifChange(policy="acme/wbe"), ("a", "b"), "VIFs 'a', 'b': there is no policy 'acme/wbe'. Did you mean"),
        (VifChange(policy="acme/web"), ("b", "c"), "VIF 'c': there is none of this name"),
        (VifChange(segment="lap"), ("a",), "Did you mean 'lab'?"),
        (VifChange(addresses=("10.30.0.3",)), ("a",), "address 10.30.0.3 is that of VIF 'b' on segment 'lab'"),
        (VifChange(addresses=("10.30.0.7",)), ("a", "b"), "VIF 'b': address 10.30.0.7 is that of VIF 'a'"),
        (VifChange(egress=Own(None, 31_000)), ("a",), "is more than the 30 mbit of policy 'acme/web'"),
        (VifChange(egress=Own(61_000)), ("a",), "is more than the egress limit of policy 'acme/web'"),
        (VifChange(options={"queues": "2"}), ("a",), "--queues means nothing to kind veth"),
        (VifChange(driver="netdev"), ("a",), "--driver means nothing to kind veth"),
        (VifChange(options={"trust": None}), ("a",), "--no-trust means nothing to kind veth. It is for vf: leave it"),
        (VifChange(options={"queues": None}), ("a",), "--queues means nothing to kind veth"),
        (VifChange(ifname="a b"), ("a",), "cannot name an interface"),
        (VifChange(binding={"netns": "red"}), ("a", "b"), "VIF 'b': VIF 'a' has the name eth0 there already."),
    ],
)
def test_what_cannot_be_is_said(change: VifChange, names: tuple[str, ...], words: str) -> None:
    with pytest.raises(Rejected) as rejected:
        changed(change, *names)
    assert words in rejected.value.lines[0]


def test_promises_hold_for_what_a_change_makes_of_them() -> None:
    three = world(A, vif("c", 4), vif("d", 5, policy="free"), files=ROOMY)
    assert changed(VifChange(policy="acme/web"), "d", snapshot=three)["d"].policy == "acme/web"
    with pytest.raises(Rejected, match="policy 'acme': the egress guarantees below it come to 70 mbit"):
        changed(VifChange(policy="acme/web", egress=Own(30_000)), "d", snapshot=three)
    broken = world(A, vif("c", 4), vif("d", 5))  # 60 of 50
    assert changed(VifChange(egress=Own(15_000)), "d", snapshot=broken)["d"].egress == {"guarantee_kbps": 15_000}
    with pytest.raises(Rejected, match="come to 61 mbit"):
        changed(VifChange(egress=Own(21_000)), "d", snapshot=broken)


def test_what_was_wrong_before_does_not_stand_against_it() -> None:
    gone = replace(world(replace(A, segment="office", chassis="h9"), files=ROOMY), chassis={})
    assert changed(VifChange(labels={"k": "v"}), snapshot=gone)["a"].labels["k"] == "v"


def test_what_the_agent_has_to_do_something_for() -> None:
    assert not touches_device(A, replace(A, policy="free", labels={}, egress={"limit_kbps": 1}, instance=None))
    for other in (replace(A, ifname="x"), replace(A, addresses=()), replace(A, binding={"netns": "n"})):
        assert touches_device(A, other)


def test_put_back_it_keeps_what_the_agent_said_since() -> None:
    now = replace(A, policy="free", cfg=9, ofport=12, state="error", error="no")
    assert undone(now, A) == replace(A, cfg=9, ofport=12, state="error", error="no")


def test_a_tap_is_not_taken_from_under_a_vm() -> None:
    """Its device can be another user's, or change between one queue and several, only as another device."""
    tap = replace(A, kind="tap", options={"owner": "64055"})
    several = replace(tap, options={"owner": "64055", "queues": "4"})
    for before, options, words in (
        (tap, {"owner": "0"}, "--owner: a tap stays the user's"),
        (tap, {"owner": None}, "--owner: a tap stays the user's"),
        (tap, {"queues": "2"}, "--queues: a tap is made for one queue or for several"),
        (several, {"queues": "1"}, "--queues: a tap is made for one queue or for several"),
        (several, {"queues": None}, "--queues: a tap is made for one queue or for several"),
    ):
        with pytest.raises(Rejected) as fault:
            changed(VifChange(options=options), snapshot=world(before, files=ROOMY))
        assert words in str(fault.value) and "Delete it and create it again." in str(fault.value)
    for before, options in ((tap, {"owner": "64055"}), (tap, {"queues": "1"}), (several, {"queues": "2"})):
        after = changed(VifChange(options=options), snapshot=world(before, files=ROOMY))
        assert [one.options for one in after.values()] in ([], [{**before.options, **options}])
