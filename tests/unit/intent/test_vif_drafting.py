from __future__ import annotations

import time
from dataclasses import replace
from ipaddress import ip_interface

import pytest

from controller.compiler.forward import MOST_IN_SEGMENT
from controller.intent.errors import Rejected
from controller.intent.vif_checks import VifRequest
from controller.intent.vif_drafting import Draft, draft
from ovsdb.rows import Chassis, Snapshot, VirtualInterface
from policies.parser import parse
from tests.unit.intent.worlds import FILES, vif, world

LAB = VifRequest("new", "free", "lab")
OFFICE = VifRequest("new", "free", "office")


def drafted(request: VifRequest, snapshot: Snapshot | None = None) -> VirtualInterface:
    return drafts([request], snapshot).vifs[0]


def drafts(requests: list[VifRequest], snapshot: Snapshot | None = None) -> Draft:
    snapshot = snapshot if snapshot is not None else world()
    return draft(requests, snapshot, parse(snapshot.files), "abcdef")


def test_what_is_not_said_is_chosen() -> None:
    assert drafted(LAB) == VirtualInterface(
        name="new",
        number=1,
        policy="free",
        segment="lab",
        kind="veth",
        mac="02:ab:cd:ef:00:01",
        addresses=("10.30.0.2/24", "fd00:30::2/64"),
        chassis="h1",
    )


def test_the_only_segment_need_not_be_named() -> None:
    lab = "lab: {type: internal, subnets: [10.1.0.0/24]}"
    only = {"p.yaml": f"weir: 1\nsegments: {{{lab}}}\npolicies: {{a: {{unmatched: allow}}}}\n"}
    assert drafted(VifRequest("new", "a"), world(files=only)).segment == "lab"


def test_a_port_waits_for_whichever_host_has_it() -> None:
    assert drafted(replace(LAB, kind="port"), world(chassis=())).chassis is None
    assert drafted(replace(LAB, kind="port"), world(chassis=("h1", "h2"))).chassis is None
    assert drafted(replace(LAB, kind="port", chassis="h2"), world(chassis=("h1", "h2"))).chassis == "h2"


def test_what_is_said_is_kept_in_one_form() -> None:
    request = replace(
        OFFICE,
        mac="0A-00-00-00-00-0F",
        addresses=("192.0.2.7/25", "2001:DB8::0007/64"),
        binding={"pid": "17"},
        labels={"app": "pay"},
    )
    made = drafted(request)
    assert (made.mac, made.addresses) == ("0a:00:00:00:00:0f", ("192.0.2.7/25", "2001:db8::7/64"))
    assert (made.binding, made.labels) == ({"pid": "17"}, {"app": "pay"})
    assert drafted(replace(LAB, addresses=("10.30.0.9",))).addresses == ("10.30.0.9/24",)
    assert drafted(replace(LAB, addresses=("10.30.0.1/24",))).addresses == ("10.30.0.1/24",)


@pytest.mark.parametrize(
    ("request_", "words"),
    [
        (replace(LAB, name="a b"), "VIF 'a b': its name is not one. Use 1 to 63"),
        (replace(LAB, name="x" * 64), "its name is not one"),
        (replace(LAB, name=""), "its name is not one"),
        (replace(LAB, name=".."), "its name is not one"),
        (replace(LAB, name="old"), "there is a VIF of this name already"),
        (replace(LAB, policy="fre"), "there is no policy 'fre'. Did you mean 'free'?"),
        (replace(LAB, policy="zzz"), "there is no policy 'zzz'. Use one of acme/db, acme/web, free."),
        (replace(LAB, policy="acme"), "has nodes below it and takes no VIFs. Use one of acme/db, acme/web."),
        (replace(LAB, segment="lap"), "there is no segment 'lap'. Did you mean 'lab'?"),
        (replace(LAB, segment=None), "does not say its segment. Use --segment with one of lab, office."),
        (replace(LAB, kind="tun"), "there is no kind 'tun'. Use veth, tap, vhost-user, vf or port."),
        (replace(LAB, kind="port", binding={"pid": "1"}), "made by somebody else"),
        (replace(LAB, chassis="h9"), "there is no host 'h9'. Use one of h1."),
        (replace(LAB, binding={"pid": "1", "netns": "a"}), "bound to several things"),
        (replace(LAB, binding={"pid": "-1"}), "'-1' is not a process id"),
        (replace(LAB, binding={"netns": "a/b"}), "'a/b' names no network namespace"),
        (replace(LAB, binding={"netns": ""}), "names no network namespace"),
        (replace(LAB, ifname="0123456789abcdef"), "cannot name an interface"),
        (replace(LAB, ifname="a b"), "cannot name an interface"),
        (replace(LAB, ifname="lo"), "cannot name an interface"),
        (replace(LAB, ifname="eth%d"), "'eth%d' cannot name an interface"),
        (replace(LAB, kind="tap", ifname="eth1"), "--ifname means nothing to kind tap: Weir makes no link inside its"),
        (replace(LAB, kind="port", ifname="eth1"), "--ifname means nothing to kind port"),
        (replace(LAB, kind="vhost-user", ifname="eth1"), "--ifname means nothing to kind vhost-user"),
        (
            replace(LAB, kind="vf", ifname="eth1", policy="free", binding={"pci": "vfio"}),
            "--ifname means nothing to a VF that is handed over as a PCI device",
        ),
        (replace(LAB, mac="1:2"), "'1:2' is not a MAC address"),
        (replace(LAB, mac="01:00:00:00:00:01"), "not the address of one interface"),
        (replace(LAB, mac="00:00:00:00:00:00"), "not the address of one interface"),
        (replace(LAB, mac="0A:77:65:69:00:05"), "0a:77:65:69:00:05 is one of those by which Weir's hosts probe"),
        (replace(LAB, mac="02:00:00:00:00:09"), "is that of VIF 'old'"),
        (replace(LAB, labels={"a b": "c"}), "'a b' is no label"),
        (replace(LAB, labels={"a": "c\nd"}), "the value of label a is no text"),
        (replace(LAB, instance=""), "is no name"),
        (replace(LAB, addresses=("10.30.0.9",)), "address 10.30.0.9 is that of VIF 'old' on segment 'lab'"),
        (replace(LAB, addresses=("10.30.0.5", "10.30.0.5")), "is that of VIF 'new'"),
        (replace(LAB, addresses=("10.31.0.9",)), "outside segment 'lab'. Choose one in 10.30.0.0/24 or fd00:30::/64"),
        (replace(LAB, addresses=("10.30.0.5/16",)), "Write 10.30.0.5/24, or leave it out"),
        (replace(LAB, addresses=("10.30.0.0",)), "is the network or broadcast address"),
        (replace(LAB, addresses=("10.30.0.255",)), "is the network or broadcast address"),
        (replace(LAB, addresses=("fd00:30::",)), "is the network or broadcast address"),
        (replace(LAB, addresses=("ten",)), "'ten' is not an IP address"),
        (replace(LAB, addresses=("fe80::1%eth0",)), "is not an IP address"),
        (replace(LAB, addresses=("10.30.0.5/255.255.255.0",)), "is not an IP address"),
        (replace(OFFICE, addresses=("224.0.0.1/24",)), "224.0.0.1 is a multicast address"),
        (replace(OFFICE, addresses=("127.0.0.1/8",)), "is a loopback address"),
        (replace(OFFICE, addresses=("fe80::1/64",)), "is a link-local address"),
        (replace(OFFICE, addresses=("0.0.0.0/8",)), "is the unspecified address"),
        (replace(OFFICE, addresses=("192.0.2.7",)), "Add it, as in 192.0.2.7/24."),
        (replace(LAB, binding={"netns": "red"}), "VIF 'old' has the name eth0 there already"),
    ],
)
def test_what_cannot_be_is_said_in_one_line_with_a_remedy(request_: VifRequest, words: str) -> None:
    snapshot = world(vif("old", 9, binding={"netns": "red"}))
    with pytest.raises(Rejected) as rejected:
        drafted(request_, snapshot)
    (line,) = rejected.value.lines
    assert words in line
    assert line.startswith("VIF '") and line.endswith((".", "?")) and "\n" not in line


def test_faults_of_all_requests_are_told_at_once() -> None:
    wrong = VifRequest("a b", "zzz", "lap", kind="tun", ifname="", mac="x", chassis="h9")
    with pytest.raises(Rejected) as rejected:
        drafts([wrong, LAB, LAB, replace(LAB, name="other", addresses=("10.30.0.2",))])
    assert len(rejected.value.lines) == 9
    assert "this name already" in rejected.value.lines[7]
    assert "is that of VIF 'new'" in rejected.value.lines[8]


def test_a_veth_needs_a_host() -> None:
    for chassis, words in (((), "no host agent has reported yet"), (("h1", "h2"), "Use --chassis with one of h1, h2")):
        with pytest.raises(Rejected, match=words):
            drafted(LAB, world(chassis=chassis))


def test_without_a_policy_it_says_so() -> None:
    with pytest.raises(Rejected, match="no policy is in force yet"):
        drafted(LAB, world(files={}))


def test_addresses_are_the_lowest_free_ones_and_a_full_subnet_says_so() -> None:
    tiny = FILES["policy.yaml"].replace("10.30.0.0/24, 'fd00:30::/64'", "10.30.0.0/29")
    snapshot = world(vif("a", 2), vif("b", 4), files={"p.yaml": tiny})
    requests = [VifRequest(f"n{number}", "free", "lab") for number in range(3)]
    assert [made.addresses for made in drafts(requests, snapshot).vifs] == [
        ("10.30.0.3/29",),
        ("10.30.0.5/29",),
        ("10.30.0.6/29",),
    ]
    with pytest.raises(Rejected, match=r"subnet 10\.30\.0\.0/29 of segment 'lab' has no free address left"):
        drafts([*requests, VifRequest("more", "free", "lab")], snapshot)


def test_numbers_come_back_only_after_all_others() -> None:
    snapshot = world(vif("a", 49151), vif("b", 1), next_number={"vif": 49150})
    made = drafts([VifRequest(f"n{number}", "free", "lab") for number in range(3)], snapshot)
    assert [vif.number for vif in made.vifs] == [49150, 2, 3]
    assert made.next_number == 4


def test_a_number_whose_mac_somebody_chose_is_passed_over() -> None:
    snapshot = world(vif("a", 9, mac="02:ab:cd:ef:00:01"))
    assert drafted(LAB, snapshot).mac == "02:ab:cd:ef:00:02"


def test_what_the_policy_promises_must_hold_for_all() -> None:
    two = world(vif("a", 1), vif("b", 2))
    with pytest.raises(Rejected, match="policy 'acme': the egress guarantees below it come to 60 mbit"):
        drafted(replace(LAB, policy="acme/web"), two)
    drafted(LAB, two)
    broken = world(vif("a", 1), vif("b", 2), vif("c", 3))
    drafted(LAB, broken)  # makes nothing worse


def test_a_thousand_cost_about_the_time_of_their_number() -> None:
    wide = {"p.yaml": FILES["policy.yaml"].replace("10.30.0.0/24", "10.30.0.0/16")}

    def seconds(count: int) -> float:
        requests = [VifRequest(f"n{number}", "free", "lab") for number in range(count)]
        before_s = time.perf_counter()
        made = drafts(requests, world(files=wide)).vifs
        assert len({ip_interface(vif.addresses[0]) for vif in made}) == count
        return time.perf_counter() - before_s

    seconds(10)
    assert seconds(2000) < 40 * seconds(200)  # 10 for a cost in proportion, 100 for one that grows with the square


def test_a_segment_holds_no_more_vifs_than_a_broadcast_reaches() -> None:
    crowd = [vif(f"n{number}", number, addresses=()) for number in range(1, MOST_IN_SEGMENT + 1)]
    with pytest.raises(Rejected, match=f"segment 'lab' has {MOST_IN_SEGMENT} VIFs on this host"):
        drafts([VifRequest("more", "free", "lab")], world(*crowd))


OUT = VifRequest("new", "free", "office", addresses=("192.0.2.7/25",))
WITH, WITHOUT = Chassis("h1", "b", uplink_ports={"eth1": 1}, agent_cfg=5), Chassis("h2", "b", agent_cfg=5)
SILENT = Chassis("h3", "b")


def hosts(*chassis: Chassis) -> Snapshot:
    return replace(world(), chassis={one.name: one for one in chassis})


@pytest.mark.parametrize(
    ("request_", "present", "words"),
    [
        (OUT, (WITHOUT,), "The host has no uplink at all: use a segment that goes without 'eth1', or start the system"),
        (OUT, (replace(WITHOUT, uplink_ports={"a": 1, "b": 2}),), "The host has only a, b: use"),
        (replace(OUT, chassis="h2"), (WITH, WITHOUT), "'eth1', which host 'h2' does not have, so nothing would reach"),
        (replace(OUT, kind="port"), (WITHOUT,), "start the system with it: weir up --uplink eth1."),
        (replace(OUT, kind="port", chassis="h2"), (WITH, WITHOUT), "which host 'h2' does not have"),
        (
            OUT,
            (replace(WITHOUT, agent_error="uplink eth1: there is no device eth1. Bring it there."),),
            "which host 'h2' cannot use: uplink eth1: there is no device eth1. Bring it there.",
        ),
    ],
)
def test_a_segment_without_a_way_out_of_the_host(
    request_: VifRequest, present: tuple[Chassis, ...], words: str
) -> None:
    with pytest.raises(Rejected) as rejected:
        drafted(request_, hosts(*present))
    (line,) = rejected.value.lines
    assert line.startswith("VIF 'new': segment 'office' leaves by uplink") and words in line and line.endswith(".")


@pytest.mark.parametrize(
    ("request_", "present"),
    [
        (OUT, (WITH,)),
        (OUT, (SILENT,)),
        (replace(OUT, chassis="h1"), (WITH, WITHOUT)),
        (replace(OUT, kind="port"), (WITH, WITHOUT)),
        (replace(OUT, kind="port"), (SILENT, WITHOUT)),
        (replace(OUT, kind="port"), ()),
        (LAB, (WITHOUT,)),
        (OUT, (replace(WITH, agent_error="uplink other: there is no device other. Bring it there."),)),
    ],
)
def test_a_way_out_that_is_there_or_may_be(request_: VifRequest, present: tuple[Chassis, ...]) -> None:
    drafted(request_, hosts(*present))
