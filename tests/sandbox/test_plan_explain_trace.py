"""weir policy plan, explain, trace and the counts of policy show, on a running system."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from controller.dataplane.pipeline import EGRESS_VERDICT
from tests.support.ovs_sandbox import wait_until
from tests.support.system import Home, SystemUnderTest

POLICY = """\
weir: 1
segments:
  office: {type: bridged, uplink: wan, vlan: 120, subnets: [10.1.0.0/24, 'fd00:1::/64']}
  lab: {type: internal, subnets: [10.2.0.0/24]}
links:
  wan: {capacity: 60 mbit}
groups:
  staff: [alice]
classes:
  realtime: {dscp: ef, share: 30 %}
policies:
  acme:
    mandatory:
      - deny: {name: no-metadata, direction: egress, to: 169.254.169.254}
    default:
      - allow: {name: ping, service: [icmp/8, icmp6/128]}
    children:
      web:
        egress: {guarantee: 5 mbit, limit: 20 mbit}
        ingress: {limit: 30 mbit}
        rules:
          - allow: {name: calls, direction: egress, service: udp/5060, class: realtime}
          - allow: {name: sql, direction: egress, to: {app: db}, service: tcp/5432, limit: 2 mbit, packets: 1 kpps}
          - deny: {name: would-close, direction: egress, service: tcp/5432, stage: audit}
          - allow: {direction: ingress, from: {group: staff}, service: tcp/443}
          - reject: {name: mail, direction: egress, service: tcp/25}
      db:
        rules:
          - allow: {name: clients, direction: ingress, from: {policy: acme/web}, service: tcp/5432, log: true}
  lab: {unmatched: allow}
"""
WEB, DB = "10.1.0.11", "10.1.0.12"


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("plan") / "acme.yaml"
    path.write_text(POLICY)
    return path


@pytest.fixture(scope="module")
def system(file: Path) -> Iterator[SystemUnderTest]:
    with Home("pet") as home, SystemUnderTest(home) as under_test:
        under_test.weir("up", "--uplink", "wan", "--policy", str(file))
        vif = ("vif", "create", "--segment", "office")
        under_test.weir(*vif, "web1", "--policy", "acme/web", "--ip", WEB, "--label", "user=bob")
        under_test.weir(*vif, "db1", "--policy", "acme/db", "--ip", DB, "--label", "app=db")
        under_test.weir("vif", "create", "l1", "--policy", "lab", "--segment", "lab", "--ip", "10.2.0.7")
        under_test.weir("identity", "bind", "alice", "--ip", "192.0.2.9")
        yield under_test


def traced(system: SystemUnderTest, question: str) -> dict[str, Any]:
    done = system.weir("trace", question, "--json", check=False)
    assert done.returncode == 0, done.stderr
    body: dict[str, Any] = json.loads(done.stdout)
    assert body["agrees"] is True, done.stdout
    return body


def test_the_way_from_one_vif_to_another_is_judged_twice(system: SystemUnderTest) -> None:
    body = traced(system, f"web1 egress tcp {WEB}:40000 > {DB}:5432")
    assert (body["passes"], body["sender"], body["receiver"]) == (True, "web1", "db1")
    egress, ingress = body["sides"]
    assert (egress["rule"]["identity"], ingress["rule"]["identity"]) == ("acme/web:sql", "acme/db:clients")
    assert [step["outcome"] for step in egress["steps"]] == ["passed over"] * 2 + ["decides"]
    assert "169.254.169.254" in egress["steps"][0]["reason"]
    assert {meter["for"] for meter in egress["meters"]} == {
        "rate of rule acme/web:sql", "packet rate of rule acme/web:sql", "egress rate of VIF web1",
    }  # fmt: skip
    assert [hit["name"] for hit in body["switch"]["hits"]] == ["acme/web:sql", "acme/db:clients"]
    assert [output["name"] for output in body["switch"]["outputs"]] == ["VIF db1"]
    assert set(body["switch"]["meters"]) == {meter["id"] for meter in egress["meters"]}


@pytest.mark.parametrize(
    ("question", "passes", "deciding"),
    [
        (f"web1 egress udp {WEB}:5060 > 192.0.2.7:5060", True, ["acme/web:calls"]),
        (f"web1 egress tcp {WEB}:40000 > 192.0.2.7:25", False, ["acme/web:mail"]),
        (f"web1 egress tcp {WEB}:40000 > 192.0.2.7:5432", False, ["acme/web"]),
        (f"web1 egress icmp {WEB} > 192.0.2.7 8/0", True, ["acme:ping"]),
        (f"web1 ingress icmp 192.0.2.7 > {WEB} 8/0", True, ["acme:ping"]),
        (f"web1 ingress tcp 192.0.2.9:999 > {WEB}:443", True, None),
        (f"web1 ingress tcp 192.0.2.8:999 > {WEB}:443", False, ["acme/web"]),
        (f"db1 ingress tcp {WEB}:40000 > {DB}:5432", True, ["acme/web:sql", "acme/db:clients"]),
        (f"web1 egress sctp {WEB}:1 > 192.0.2.7:2", False, ["acme/web"]),
        (f"web1 egress ip/47 {WEB} > 192.0.2.7", False, ["acme/web"]),
        ("web1 egress tcp 10.1.0.99:1 > 192.0.2.7:80", False, []),
        (f"web1 egress udp {WEB}:68 > 255.255.255.255:67", True, []),
        (f"web1 egress udp {WEB}:68 > {DB}:67", True, []),  # Weir answers it itself
        (f"web1 egress tcp {WEB}:0 > {DB}:5432", False, []),
        (f"web1 egress icmp {WEB} > {DB} 0/0", False, []),
        (f"db1 ingress icmp 192.0.2.7 > {DB} 3/1", False, []),
        (f"web1 egress udp {WEB}:1 > 239.1.2.3:5060", True, ["acme/web:calls"]),
    ],
)
def test_policy_and_switch_agree(
    system: SystemUnderTest, question: str, passes: bool, deciding: list[str] | None
) -> None:
    body = traced(system, question)
    assert body["passes"] is passes
    hits = [hit["name"] for hit in body["switch"]["hits"] if hit["kind"] != "audit" and hit["vif"] != "db1"]
    if "db1" in (body["sender"], body["receiver"]):
        hits = [hit["name"] for hit in body["switch"]["hits"]]
    assert deciding is None or hits == deciding


def test_ipv6_and_classes_and_audit(system: SystemUnderTest) -> None:
    addresses = system.json("vif", "show", "web1")["addresses"]
    link_local = "fe80::" + eui64(system.json("vif", "show", "web1")["mac"])
    assert addresses == [f"{WEB}/24"]
    body = traced(system, f"web1 egress udp [{link_local}]:5060 > [2001:db8::1]:5060")
    (side,) = body["sides"]
    assert (side["class"], side["mark"], body["dscp"]) == ("realtime", 46, 46)
    assert side["queues"] == [
        {"place": "instance", "owner": "web1", "class": None},
        {"place": "uplink wan", "owner": "web1", "class": "realtime"},
    ]
    audited = traced(system, f"web1 egress tcp {WEB}:1 > 192.0.2.7:5432")["sides"][0]["audited"]
    assert [rule["identity"] for rule in audited] == ["acme/web:would-close"]


def test_neighbour_discovery_is_told_as_the_switch_has_it(system: SystemUnderTest) -> None:
    own = "fe80::" + eui64(system.json("vif", "show", "web1")["mac"])
    other = "fe80::" + eui64(system.json("vif", "show", "db1")["mac"])
    assert traced(system, f"web1 egress icmp6 {own} > {other} 135/0")["passes"] is True
    assert traced(system, f"web1 egress icmp6 {own} > ff02::1 135/0")["passes"] is True
    assert traced(system, f"web1 egress icmp6 {own} > {other} 134/0")["passes"] is False
    assert traced(system, f"web1 egress icmp6 {own} > ff02::1 134/0")["passes"] is False
    done = system.weir("trace", f"web1 egress icmp6 {own} > {other} 136/0")
    assert "egress: not told: it passes if its ND target is an address of the VIF" in done.stdout
    assert "policy: not told whether it passes to VIF db1\nswitch: not asked: " in done.stdout


def eui64(mac: str) -> str:
    octets = [int(octet, 16) for octet in mac.split(":")]
    octets[0] ^= 2
    octets[3:3] = [0xFF, 0xFE]
    return ":".join(f"{octets[at] << 8 | octets[at + 1]:x}" for at in range(0, 8, 2))


def test_what_no_switch_can_be_asked(system: SystemUnderTest) -> None:
    body = system.json("trace", "l1 ingress tcp 10.2.0.99:1 > 10.2.0.7:80")
    assert body["switch"] is None and body["agrees"] is None and "no uplink" in body["reason"]
    assert body["passes"] is True
    text = system.weir("trace", "l1 ingress tcp 10.2.0.99:1 > 10.2.0.7:80").stdout
    assert "switch: not asked: nothing comes into segment lab" in text


@pytest.mark.parametrize(
    ("question", "words"),
    [
        ("web2 egress tcp 10.1.0.1:1 > 10.1.0.2:2", "Did you mean 'web1'?"),
        ("web1 egress tcp 10.1.0.1 > 10.1.0.2:2", "'10.1.0.1' is no address with a port"),
        ("web1 sideways tcp 10.1.0.1:1 > 10.1.0.2:2", "is no direction"),
        (f"web1 egress tcp {WEB}:1 > {WEB}:2", "both addresses are those of VIF 'web1'"),
    ],
)
def test_a_wrong_question_is_one_line(system: SystemUnderTest, question: str, words: str) -> None:
    done = system.weir("trace", question, check=False)
    assert done.returncode == 2 and done.stdout == ""
    (line,) = done.stderr.splitlines()
    assert words in line


def test_a_switch_that_holds_something_else_is_told_of_loudly(system: SystemUnderTest) -> None:
    question = f"web1 egress udp {WEB}:5060 > 192.0.2.7:5060"
    cookie = next(
        entry["text"].split(",")[0].removeprefix("cookie=")
        for entry in system.json("explain", "acme/web:calls")["entries"]
        if "table=egress_verdict" in entry["text"]
    )
    controller = system.pids()["controller"]
    os.kill(controller, signal.SIGSTOP)  # else it would mend the switch at once
    try:
        system.ofctl("del-flows", "br-weir", f"cookie={cookie}/-1")
        done = system.weir("trace", question, "--json", check=False)
    finally:
        os.kill(controller, signal.SIGCONT)
    assert done.returncode == 1
    assert json.loads(done.stdout)["agrees"] is False
    wanted = "DISAGREE: egress of VIF web1: the policy says rule acme/web:calls decides, the switch says nothing"
    assert wanted in done.stderr
    wait_until(lambda: system.weir("trace", question, check=False).returncode == 0, "the switch is mended")


def test_every_target_leads_to_everything_else(system: SystemUnderTest, file: Path) -> None:
    vif = system.json("explain", "web1")
    (leaf,) = vif["walks"]
    assert leaf == "acme/web"
    assert [row["tier"] for row in vif["walks"][leaf]] == ["mandatory", *["rules"] * 5, "default", "unmatched"]
    assert vif["walks"][leaf][0]["at"] == f"{file}:14:9"
    assert {queue["place"] for queue in vif["queues"]} == {"uplink wan", "port", "instance"}
    assert {meter["for"].split(" of ")[0] for meter in vif["meters"]} >= {"the egress rate"}
    rule = system.json("explain", "acme/web:sql")
    assert rule["rule"]["index"] == "acme/web[2]"
    assert (
        system.json("explain", "acme/web[2]")["rule"] == system.json("explain", "acme/web", "2")["rule"] == rule["rule"]
    )
    assert [one["name"] for one in rule["vifs"]] == ["web1"] and len(rule["meters"]) == 2
    meter = system.json("explain", "meter", str(rule["meters"][0]["id"]))
    assert meter["rule"]["identity"] == "acme/web:sql" and [one["name"] for one in meter["vifs"]] == ["web1"]
    assert meter["entries"]
    assert system.weir("explain", "acme/web:sq", check=False).stderr.strip().endswith("Did you mean 'acme/web:sql'?")


def test_a_dumped_flow_and_a_dumped_meter_lead_back(system: SystemUnderTest, file: Path) -> None:
    dumped = system.ofctl("dump-flows", "br-weir", f"table={EGRESS_VERDICT.id}").splitlines()
    lines = [line for line in dumped if "cookie=" in line]
    kinds = set()
    for line in lines:
        body = system.json("explain", line)
        kinds.add(body["kind"])
        assert {"cookie", "kind", "number", "name", "at", "text"} <= set(body)
        assert body["text"].startswith(f"{file}:")
    assert kinds >= {"verdict", "unmatched"}
    meters = [line for line in system.ofctl("dump-meters", "br-weir").splitlines() if "meter=" in line]
    assert meters and all(system.weir("explain", line).stdout for line in meters)


def test_a_class_of_tc_leads_back(system: SystemUnderTest) -> None:
    enter = ["nsenter", f"--net=/run/netns/{system.directory.namespace}", "--"]
    shown = system.home.run(*enter, "tc", "class", "show", "dev", "wan").stdout.splitlines()
    assert len([system.weir("explain", line).stdout for line in shown]) > 5
    queues = [one for vif in ("web1", "db1") for one in system.json("explain", vif)["queues"]]
    for own in (one for one in queues if one["place"] == "uplink wan"):
        assert any(f"htb {own['class_id']} " in line for line in shown), own
        body = system.json("explain", f"queue wan:{own['class_id']}")
        assert body["queues"] == [own] and [one["name"] for one in body["vifs"]] == [own["owner"]]
    port = system.json("vif", "show", "web1")["port"]
    at_port = system.home.run(*enter, "tc", "class", "show", "dev", port).stdout
    for own in (one for one in queues if one["place"] == "port"):
        assert f"htb {own['class_id']} " in at_port
        assert system.json("explain", f"queue {port}:{own['class_id']}")["queues"] == [own]


def test_a_plan_says_what_would_change_and_changes_nothing(system: SystemUnderTest, file: Path, tmp_path: Path) -> None:
    assert system.weir("policy", "plan", str(file), check=False).returncode == 0
    before = system.ofctl("--no-stats", "dump-flows", "br-weir")
    original = file.read_text()
    try:
        file.write_text(original.replace("limit: 20 mbit", "limit: 10 mbit").replace("tcp/25}", "tcp/465}"))
        done = system.weir("policy", "plan", "--json", str(file), check=False)
        assert done.returncode == 3, done.stderr
        body = json.loads(done.stdout)
        assert [rule["identity"] for rule in body["rules"]["changed"]] == ["acme/web:mail"]
        assert body["vifs"] == ["web1"]
        (chassis,) = body["chassis"].values()
        assert chassis["meters"]["changed"] == 1 and chassis["entries"]["added"] and chassis["queues"]["changed"]
        text = system.weir("policy", "plan", "--entries", str(file), check=False).stdout
        assert "~ rule acme/web:mail" in text and "  + cookie=" in text
        assert system.ofctl("--no-stats", "dump-flows", "br-weir") == before
        file.write_text(f"{original}  rest: {{queues: {{min: 1, max: 2}}}}\n")
        refused = system.weir("policy", "plan", str(file), check=False)
        assert refused.returncode == 2 and f"refused: {file}:" in refused.stderr
        file.write_text(original.replace("  lab: {unmatched: allow}", ""))
        gone = system.weir("policy", "plan", str(file), check=False)
        assert gone.returncode == 2 and "policy 'lab' is not there any more, but VIF l1 uses it" in gone.stderr
    finally:
        file.write_text(original)
    assert system.json("policy", "list") and len(system.json("policy", "history")) == 1


def test_counters_are_shown_with_the_policy(system: SystemUnderTest) -> None:
    system.weir("vif", "exec", "web1", "--", "ping", "-c", "2", "-w", "10", DB, check=False)

    def counted() -> bool:
        rows = system.json("policy", "show")["counters"]
        return any(row["rule"] == "acme:ping" and row["vif"] == "web1" and row["packets"] >= 2 for row in rows)

    wait_until(counted, "the rule's packets are counted")
    lines = system.weir("policy", "show").stdout.splitlines()
    heading = lines.index("RULE\tVIF\tJUDGED\tKIND\tPACKETS\tBYTES\tCUT\tLAST HIT")
    shown = lines[heading + 1 :]
    assert any(line.startswith("acme:ping\tweb1\tegress\tverdict\t") for line in shown)
    everything = system.weir("policy", "show", "--all").stdout.splitlines()
    assert len(everything) > len(lines)
    assert any(one["packets"] for one in system.json("explain", "acme:ping")["counters"])
