"""What doctor makes of what hosts say and policies ask."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from controller.cli import doctor_views
from controller.intent import doctor
from ovsdb.rows import DPDK, NO, VIRTUAL_FUNCTIONS, Chassis, Snapshot
from policies.enforcement import KINDS, Feature
from policies.parser import parse
from tests.unit.intent.worlds import POLICY, vif, world

RED = POLICY.replace("  free: {}", "  free: {congestion: {queue: red}, best-effort: true}")
ABLE = {"red": "true", "send_buffer_bytes": "212992"}
TRIED = "htb tbf bfifo head_drop red fq_codel ecn u32 meters packet_meters egress_policer trtcm_policer"
EVERY = {**dict.fromkeys(TRIED.split(), "true"), "packet_cost_ns": "5000"}
UNABLE = {"red": "no: it has none", "send_buffer_bytes": "1000", DPDK: NO, VIRTUAL_FUNCTIONS: NO}


def hosting(capabilities: dict[str, str], text: str = POLICY, note: str | None = None) -> Snapshot:
    host = Chassis("h1", "br-weir", capabilities=capabilities, agent_note=note)
    free = (vif(f"free{number}", 3 + number, policy="free") for number in (1, 2))
    there = world(vif("web1", 2, segment="office"), vif("web2", 3), *free, files={"p.yaml": text})
    return replace(there, chassis={"h1": host})


def report(snapshot: Snapshot) -> dict[str, Any]:
    return doctor.report(parse(snapshot.files), snapshot)


def test_every_feature_and_kind_of_every_host_has_an_answer() -> None:
    (host,) = report(hosting(UNABLE))["chassis"].values()
    assert {feature.value for feature in Feature} == set(host["matrix"])
    assert all(set(row) == set(KINDS) for row in host["matrix"].values())
    cell = host["matrix"]["egress limit"]["vf"]
    assert cell["how"] is None and "has no NIC that can have virtual functions" in cell["why_not"]
    assert not cell["remedy"].endswith(".")
    assert host["matrix"]["congestion red"]["veth"]["why_not"] == "it has none"


def test_what_is_not_kept_is_one_line_with_those_whom_it_concerns() -> None:
    assert report(hosting(ABLE, RED))["unkept"] == []
    (line,) = report(hosting(UNABLE, RED))["unkept"]
    assert line.startswith(
        "VIFs 'free1', 'free2': p.yaml:17:3: policies.free.congestion: congestion red cannot be kept"
    )


def test_buffers_are_added_up_by_host() -> None:
    deep = POLICY.replace("ingress: {limit: 40 mbit}", "ingress: {limit: 40 mbit}, buffer: 15140 b")
    found = report(hosting(ABLE, deep))
    assert found["chassis"]["h1"]["buffers_bytes"] == 3 * 10 * (2048 + 256)  # both ports, and one uplink
    assert found["unkept"] == []
    (line,) = report(hosting(UNABLE, deep))["unkept"]
    assert line.startswith("host 'h1': full queues may take 69120 bytes of the send buffer") and "--raise-buf" in line


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (
            ("egress: {guarantee: 50 mbit}", "egress: {guarantee: 50 mbit, limit: 60 mbit}"),
            "is kept by the loop and not",
        ),
        (
            ("  free: {}", "  free: {rules: [allow: {class: a}]}\nclasses: {a: {share: 10 %}, normal: {share: 20 %}}"),
            "class 'a': its packets are marked with DSCP 3, one for local use",
        ),
        (("capacity: 100 mbit", "capacity: 10 gbit"), "its capacity of 10 gbit is more than the 1 gbit of its NIC"),
    ],
)
def test_remarks(change: tuple[str, str], words: str) -> None:
    able = {**ABLE, "uplink_mbps/eth1": "1000"}
    before, after = (report(hosting(able, text))["remarks"] for text in (POLICY, POLICY.replace(*change)))
    assert [line for line in after if line not in before and words in line]
    assert not any(words in line for line in before)


def test_bounds_of_packets_on_the_kernels_datapath_are_remarked_on() -> None:
    counted = POLICY.replace("  free: {}", "  free: {ingress: {packets: 9 kpps}}")
    for datapath, text, expected in (("system", counted, True), ("netdev", counted, False), ("system", POLICY, False)):
        remarks = report(hosting({**EVERY, "datapath": datapath}, text))["remarks"]
        words = "VIFs 'free1', 'free2': packets are bounded on the kernel's datapath of host 'h1': what the kernel has "
        assert any(line.startswith(words) for line in remarks) == expected


def test_a_vf_that_nothing_is_enforced_on_is_named() -> None:
    text = POLICY.replace("  free: {}", "  free: {best-effort: true}")
    there = hosting({**EVERY, VIRTUAL_FUNCTIONS: "true"}, text)
    bare = vif("bare", 9, policy="free", kind="vf", options={"representor": "none"})
    there = replace(there, interfaces={**there.interfaces, "bare": bare})
    (line,) = report(there)["unkept"]
    assert line.startswith("VIF 'bare': policy free cannot be enforced on a VF without a representor")


def test_what_nobody_has_tried_is_no_yes(capsys: pytest.CaptureFixture[str]) -> None:
    tried = {name: word for name, word in EVERY.items() if name != "meters"}
    for capabilities, words in ((tried, ["?"] * 5), (EVERY, ["yes"] * 5)):
        doctor_views.show(report(hosting(capabilities)))
        lines = capsys.readouterr().out.splitlines()
        assert [line.split()[2:] for line in lines if line.startswith("  egress limit  ")] == [words]
        assert any("not tried: meters" in line for line in lines) == (capabilities is tried)
    assert not any("?" in line for line in lines)


def test_what_one_queue_on_the_kernels_datapath_does_not_pass_is_remarked() -> None:
    fast = POLICY.replace("capacity: 100 mbit", "capacity: 25 gbit")
    said = {
        datapath: [line for line in report(hosting({**ABLE, "datapath": datapath}, fast))["remarks"] if "gbit" in line]
        for datapath in ("system", "netdev")
    }
    (line,) = said["system"]
    assert (
        line.startswith("host 'h1': p.yaml:") and "links.eth1.capacity: there one queue passes at most 10 gbit" in line
    )
    assert said["netdev"] == []


def test_what_the_agent_notes_is_passed_on() -> None:
    assert "host 'h1': many queues" in report(hosting(ABLE, note="many queues"))["remarks"]


@pytest.mark.parametrize("capabilities", [ABLE, UNABLE])
def test_what_is_printed_fits_a_narrow_screen(capabilities: dict[str, str], capsys: pytest.CaptureFixture[str]) -> None:
    doctor_views.show(report(hosting(capabilities, RED)))
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "host h1" and max(map(len, lines)) <= doctor_views.WIDTH
    of_functions = sum("has no NIC that can have virtual functions" in line for line in lines)
    assert of_functions == (capabilities is UNABLE)  # once, and not for each feature
    assert len([line for line in lines if line.split()[-1:] in (["yes"], ["no"], ["?"])]) >= len(Feature)
