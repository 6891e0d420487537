"""What is counted on a whole system: by rules, through changes and restarts; by rules that only watch; and versions."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from controller.intent import policy as intent
from lab.children import wait_until
from lab.site import Site
from lab.udp import Sent, UdpReceiver, UdpSender
from ovsdb.weir_db import WeirDb

PORT, OTHER_PORT = 7001, 7002
SMALL_BYTES = 200
HEADERS_BYTES = 42
DENIES = f"deny: {{name: would-deny, direction: egress, service: udp/{PORT}, stage: audit}}"
LIMITS = f"allow: {{name: would-limit, direction: egress, service: udp/{PORT}, limit: 500 kbit, stage: audit}}"
UNNAMED = f"deny: {{direction: egress, service: udp/{OTHER_PORT}, stage: audit}}"
WORK = f"allow: {{name: work, direction: egress, service: udp/{PORT}-{OTHER_PORT}}}"
ELSE = "allow: {direction: egress}"


def policy_text(*rules: str) -> str:
    """rules: of the sender."""
    return f"""\
weir: 1
segments:
  lab: {{type: internal, subnets: [10.2.0.0/24]}}
policies:
  acme:
    children:
      client: {{rules: [{", ".join(f"{{{rule}}}" for rule in rules)}]}}
      server: {{rules: [allow: {{name: in, direction: ingress, service: udp}}, allow: {{direction: ingress}}]}}
"""


POLICY = policy_text(WORK, ELSE)


@pytest.fixture(scope="module")
def site(policy: Path) -> Iterator[Site]:
    with Site(policy, "192.0.2.1/24") as running:
        for name in ("client", "server"):
            running.add_vif(name, f"acme/{name}", "lab")
        running.await_neighbour("client", running.vifs["server"].address)
        yield running


@pytest.fixture(scope="module")
def database(site: Site) -> Iterator[WeirDb]:
    with site.system.database() as connected:
        yield connected


@pytest.fixture
def receiver(site: Site) -> Iterator[UdpReceiver]:
    with site.receiver_at("server", [PORT, OTHER_PORT]) as counting:
        yield counting


def apply(database: WeirDb, *rules: str) -> None:
    intent.apply(database, {"policy.yaml": policy_text(*rules)}, "test")


def sender(site: Site, port: int) -> UdpSender:
    return site.sender_at("client", port, site.vifs["server"].address, payload_bytes=SMALL_BYTES)


def send(site: Site, receiver: UdpReceiver, port: int, least: int = 200) -> Sent:
    """A burst of numbered datagrams, all of which arrive."""
    with sender(site, port) as sending:
        before = receiver.series(port).frames
        sending.offer(1_000)
        wait_until(lambda: receiver.series(port).frames >= before + least, "numbered datagrams arrive")
        sent = sending.offer(0)
        wait_until(lambda: receiver.series(port).frames == before + sent.sent, "all numbered datagrams arrive")
    return sent


def counters(site: Site) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = site.system.asked("/v1/rules")["rules"]
    return found


def count(site: Site, rule: str, kind: str = "verdict", judged: str = "egress") -> tuple[int, int]:
    """Packets and bytes of a rule."""
    wanted = {"rule": rule, "kind": kind, "judged": judged, "vif": "client" if judged == "egress" else "server"}
    rows = [row for row in counters(site) if wanted.items() <= row.items()]
    return sum(row["packets"] for row in rows), sum(row["bytes"] for row in rows)


def await_count(site: Site, rule: str, packets: int, kind: str = "verdict", judged: str = "egress") -> None:
    """A switch tells its counters late, but all of them."""
    wait_until(lambda: count(site, rule, kind, judged)[0] >= packets, f"{rule} counts {packets}")
    assert count(site, rule, kind, judged) == (packets, packets * (SMALL_BYTES + HEADERS_BYTES))


def test_counters_go_on_through_changes_moves_and_restarts(site: Site, database: WeirDb, receiver: UdpReceiver) -> None:
    work, other, total = "acme/client:work", "deny: {name: nothing, service: tcp/9}", 0
    for rules in ((WORK, ELSE), (other, WORK, ELSE), (other, "reject: {service: tcp/10}", WORK, ELSE), (ELSE, WORK)):
        apply(database, WORK, ELSE)
        total += send(site, receiver, PORT).sent
        await_count(site, work, total)
        apply(database, *rules)
        await_count(site, work, total)
    apply(database, other, WORK)
    site.system.await_restart("controller", site.system.kill("controller"))
    total += send(site, receiver, OTHER_PORT).sent
    await_count(site, work, total)
    site.system.await_restart("ovs-vswitchd", site.system.kill("ovs-vswitchd"))
    await_count(site, work, total)
    total += send(site, receiver, PORT).sent
    await_count(site, work, total)
    await_count(site, "acme/server:in", total, judged="ingress")


def meter_dropped(site: Site, rule: str) -> int:
    """Bytes that the meters of a rule say they have dropped."""
    (meter,) = site.system.json("explain", rule)["meters"]
    bands = re.findall(
        r"0: packet_count:\d+ byte_count:(\d+)", site.system.ofctl("meter-stats", f"meter={meter['id']}")
    )
    return sum(map(int, bands))


def test_a_rule_that_only_watches_changes_nothing_and_counts_what_it_would_have_done(
    site: Site, database: WeirDb, receiver: UdpReceiver
) -> None:
    apply(database, "deny: {service: tcp/9}", DENIES, LIMITS, WORK, ELSE, UNNAMED)
    before, _ = count(site, "acme/client:work")
    begun_s = time.monotonic()
    all_sent = send(site, receiver, PORT, 1_000)  # a flood of twice the limit, of which nothing is lost
    sent = all_sent.sent
    for rule in ("acme/client:would-deny", "acme/client:would-limit"):
        await_count(site, rule, sent, kind="audit")
    wait_until(lambda: count(site, "acme/client:work")[0] == before + sent, "the rule in force counts them too")
    sent_bytes = sent * (SMALL_BYTES + HEADERS_BYTES)
    fits = 500 * 125 * (all_sent.at_s - begun_s) / sent_bytes  # what the rate lets pass in that time
    share = meter_dropped(site, "acme/client:would-limit") / sent_bytes
    assert 0.8 - fits < share < 0.6  # at first a burst fits
    send(site, receiver, OTHER_PORT)
    named = ("acme/client:would-deny", "acme/client:would-limit")
    (unnamed,) = [row for row in counters(site) if row["kind"] == "audit" and row["rule"] not in named]
    assert unnamed["packets"] == 0  # what a rule in force decides before it is not its


@pytest.mark.parametrize("watching", [DENIES, UNNAMED.replace(str(OTHER_PORT), str(PORT))], ids=["named", "unnamed"])
def test_a_rule_keeps_its_counters_when_it_is_put_into_force(
    site: Site, database: WeirDb, receiver: UdpReceiver, watching: str
) -> None:
    apply(database, watching, WORK)
    (rule,) = wait_until(lambda: {row["rule"] for row in counters(site) if row["kind"] == "audit"}, "it is counted")
    before, _ = count(site, rule, "audit")
    watched = before + send(site, receiver, PORT).sent
    await_count(site, rule, watched, kind="audit")
    denied_before, _ = count(site, rule)
    apply(database, watching.replace(", stage: audit", ""), WORK)
    with sender(site, PORT) as sending:
        came = receiver.series(PORT).frames
        sending.offer(1_000)
        wait_until(lambda: count(site, rule)[0] > denied_before, "it counts in force")
        sending.offer(0)
    assert count(site, rule, "audit")[0] == watched
    assert receiver.series(PORT).frames == came


def test_plan_apply_history_rollback(site: Site, database: WeirDb, tmp_path: Path) -> None:
    apply(database, WORK, ELSE)
    file = tmp_path / "policy.yaml"
    file.write_text(policy_text(WORK, "deny: {name: no-mail, service: tcp/25}", ELSE))
    before = site.system.json("policy", "show")["version"]
    assert site.system.exit_status("policy", "plan", str(file)) == 3
    assert site.system.json("policy", "show")["version"] == before
    site.system.weir("policy", "apply", str(file), "--reason", "no mail")
    assert site.system.exit_status("policy", "plan", str(file)) == 0
    assert "tp_dst=25" in site.system.ofctl("dump-flows")
    assert site.system.json("policy", "rollback") == {"version": before + 2, "rollback_to": before}
    assert "tp_dst=25" not in site.system.ofctl("dump-flows")
    told = site.system.json("policy", "history")[-3:]
    assert [one["version"] for one in told] == [before, before + 1, before + 2]
    assert [one["reason"] for one in told] == ["", "no mail", f"rollback to {before}"]
    assert site.system.exit_status("policy", "plan", str(file)) == 3
    file.write_text("weir: 1\npolicies: {acme: {rules: [deny: {service: nonsense}]}}\n")
    assert site.system.exit_status("policy", "plan", str(file)) == 2
