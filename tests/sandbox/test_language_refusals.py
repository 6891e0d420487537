"""What is refused on a whole system: answered, at a bounded rate, by the controller while there is one; and the log."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from lab.attempts import attempt, echo_refusal, unreachables
from lab.children import wait_until
from lab.site import UPLINK, Site
from lab.stream import Stream
from lab.udp import UdpReceiver, UdpSender

OUTSIDE, OUTSIDE6 = "10.1.0.100", "fd00:1::100"
SMTP, REFUSED, OPEN, LOGGED, UNMATCHED, DENIED = 2500, 8443, 7001, 7002, 7003, 7004
POLICY = f"""\
weir: 1
segments:
  office: {{type: bridged, uplink: wan, vlan: 120, subnets: [10.1.0.0/24, 'fd00:1::/64']}}
services:
  ping: [icmp/8, icmp6/128]
policies:
  shop:
    rules:
      - reject: {{name: no-smtp, direction: egress, service: [tcp/{SMTP}, udp/{SMTP}]}}
      - deny: {{name: denied, direction: egress, service: udp/{DENIED}, log: true}}
      - allow: {{name: logged, direction: egress, service: udp/{LOGGED}, log: true}}
      - allow: {{name: out, direction: egress}}
      - allow: {{direction: ingress, service: ping}}
  vault:
    unmatched: reject
    rules:
      - reject: {{name: closed, direction: ingress, service: [tcp/{REFUSED}, udp/{REFUSED}, ping], log: true}}
      - allow: {{name: open, direction: ingress, service: [udp/{OPEN}, udp/{LOGGED}, tcp/{OPEN}]}}
      - allow: {{direction: egress}}
"""
FILTERED = {4: "EHOSTUNREACH", 6: "EACCES"}  # what Linux makes of "administratively prohibited"
QUICKLY_S = 1.0
ANSWERS_PPS, ANSWERS_BURST = 20, 40  # of one VIF
RECORDS_PPS, RECORDS_BURST = 10, 20
SMALL_BYTES = 200


@pytest.fixture(scope="module")
def site(policy: Path) -> Iterator[Site]:
    with Site(policy, "192.0.2.1/24") as running, ExitStack() as ends:
        ends.enter_context(running.outside.tagged(UPLINK, 120, f"{OUTSIDE}/24", f"{OUTSIDE6}/64"))
        for name in ("shop", "shop2"):
            running.add_vif(name, "shop", "office")
            running.await_neighbour(name, OUTSIDE)
        running.add_vif("vault", "vault", "office")
        yield running


def addresses(site: Site, vif: str) -> dict[int, str]:
    """By IP version."""
    shown = site.system.json("vif", "show", vif)["addresses"]
    return {6 if ":" in one else 4: one.partition("/")[0] for one in shown}


def place(site: Site, name: str) -> str:
    """The network namespace of a VIF, or the outside."""
    return site.outside.name if name == "outside" else site.vifs[name].namespace


def target(site: Site, name: str, version: int) -> str:
    return {4: OUTSIDE, 6: OUTSIDE6}[version] if name == "outside" else addresses(site, name)[version]


def await_refusal(site: Site, whence: str, what: tuple[str, str, int], refusal: str) -> None:
    """It comes quickly, once in some tries: a busy machine may be late, and answers have a rate."""

    def is_quick() -> bool:
        made = attempt(place(site, whence), *what)
        assert made.answer in (refusal, "nothing")
        return made.answer == refusal and made.after_s < QUICKLY_S

    wait_until(is_quick, f"{refusal} within {QUICKLY_S} s")


@pytest.mark.parametrize("version", [4, 6])
@pytest.mark.parametrize(
    ("whence", "whither", "port"),
    [("shop", "outside", SMTP), ("shop", "vault", SMTP), ("shop", "vault", REFUSED), ("outside", "vault", REFUSED),
     ("outside", "vault", UNMATCHED)],
)  # fmt: skip
def test_what_is_rejected_is_answered_at_once(site: Site, whence: str, whither: str, port: int, version: int) -> None:
    address = target(site, whither, version)
    for protocol, refusal in (("tcp", "ECONNREFUSED"), ("udp", FILTERED[version])):
        await_refusal(site, whence, (protocol, address, port), refusal)


@pytest.mark.parametrize("whence", ["shop", "outside"])
def test_an_echo_request_that_is_rejected_is_answered(site: Site, whence: str) -> None:
    v4, v6 = (addresses(site, "vault")[version] for version in (4, 6))
    for address, words in ((v4, "Packet filtered"), (v6, "Destination unreachable: Administratively prohibited")):
        said = wait_until(lambda address=address: echo_refusal(place(site, whence), address), "it is answered")  # type: ignore[misc]
        assert said == (address, words)


def test_what_is_denied_is_not_answered(site: Site) -> None:
    assert attempt(place(site, "shop"), "udp", OUTSIDE, DENIED, patience_s=0.5).answer == "nothing"


def test_a_connection_that_a_new_rule_rejects_is_reset(site: Site, policy: Path, tmp_path: Path) -> None:
    changed = tmp_path / "policy.yaml"
    changed.write_text(
        POLICY.replace("- allow: {name: open,", f"- reject: {{service: tcp/{OPEN}}}\n      - allow: {{name: open,")
    )
    vault = site.vifs["vault"]
    with Stream(site.vifs["shop"].namespace, (vault.namespace, vault.address, OPEN)) as stream:
        stream.await_more()
        site.system.weir("policy", "apply", str(changed))
        try:
            wait_until(lambda: not stream.runs, "the connection is reset")
        finally:
            site.system.weir("policy", "apply", str(policy))


def test_a_flood_of_what_is_rejected_is_answered_at_a_bounded_rate(site: Site) -> None:
    shop, vault = site.vifs["shop"], site.vifs["vault"]
    with (
        UdpReceiver(vault.namespace, [OPEN]) as receiver,
        UdpSender(site.vifs["shop2"].namespace, vault.address, OPEN, SMALL_BYTES) as other,
        UdpSender(shop.namespace, vault.address, REFUSED, SMALL_BYTES) as flood,
    ):
        other.offer(1_000)
        before = unreachables(shop.namespace)
        begun = flood.offer(4_000)
        receiver.await_time(begun.at_s + 3)
        ended = flood.offer(0)
        assert receiver.lost(OPEN, other.offer(0)) == 0
    answers = unreachables(shop.namespace) - before
    assert ended.sent > 3_000
    assert ANSWERS_PPS <= answers <= ANSWERS_BURST + ANSWERS_PPS * (ended.at_s - begun.at_s + 1)


def records(site: Site, **wanted: Any) -> list[dict[str, Any]]:
    """Those of the log that say this."""
    written = (site.system.directory.log / "policy.log").read_text()
    lines = written.splitlines()[: written.count("\n")]  # the last one may still be on its way
    return [record for record in map(json.loads, lines) if wanted.items() <= record.items()]


@pytest.mark.parametrize(("port", "rule", "action"), [(DENIED, "denied", "deny"), (LOGGED, "logged", "allow")])
def test_the_log_names_rule_vif_user_and_connection(site: Site, port: int, rule: str, action: str) -> None:
    site.system.weir("identity", "bind", "alice", "--vif", "shop")
    attempt(place(site, "shop"), "udp", target(site, "vault", 6), port, patience_s=0.1)
    attempt(place(site, "shop"), "udp", OUTSIDE, port, patience_s=0.1)
    about = {"rule": f"shop:{rule}", "action": action, "vif": "shop", "users": ["alice"], "direction": "egress"}
    for version in (4, 6):
        addressed = {"source": addresses(site, "shop")[version], "protocol": "udp", "destination_port": port}
        (record,) = wait_until(lambda: records(site, **about, **addressed), "the record")  # noqa: B023
        assert record["destination"] == {4: OUTSIDE, 6: addresses(site, "vault")[6]}[version]
        assert record["source_port"] > 0
        assert record["at"].endswith(f"policy.yaml:{1 + POLICY.splitlines().index(_line(rule))}:9")


def _line(rule: str) -> str:
    return next(line for line in POLICY.splitlines() if f"name: {rule}," in line)


def test_what_is_rejected_can_be_logged_too(site: Site) -> None:
    attempt(site.outside.name, "tcp", target(site, "vault", 4), REFUSED)
    about = {"rule": "vault:closed", "action": "reject", "vif": "vault", "direction": "ingress", "source": OUTSIDE}
    assert wait_until(lambda: records(site, **about, protocol="tcp", destination_port=REFUSED), "the record")


def test_a_flood_is_logged_at_a_bounded_rate_and_loses_nothing(site: Site) -> None:
    vault = site.vifs["vault"]
    about = {"rule": "shop:logged", "vif": "shop2"}
    before = len(records(site, **about))
    with (
        UdpReceiver(vault.namespace, [LOGGED]) as receiver,
        UdpSender(site.vifs["shop2"].namespace, vault.address, LOGGED, SMALL_BYTES) as flood,
    ):
        begun = flood.offer(2_000)
        receiver.await_time(begun.at_s + 3)
        ended = flood.offer(0)
        assert receiver.lost(LOGGED, ended) == 0
    assert ended.sent > 1_000
    most = RECORDS_BURST + RECORDS_PPS * (ended.at_s - begun.at_s + 1)
    assert RECORDS_PPS <= len(records(site, **about)) - before <= most


def test_without_a_controller_what_is_rejected_is_dropped_and_the_rest_goes_on(site: Site) -> None:
    """Last, since the processes are others afterwards."""
    vault = site.vifs["vault"]
    with (
        UdpReceiver(vault.namespace, [OPEN]) as receiver,
        UdpSender(site.outside.name, vault.address, OPEN, SMALL_BYTES) as flow,
    ):
        flow.offer(1_000)
        for name in ("supervisor", "controller"):
            site.system.kill(name)
        try:
            for protocol in ("tcp", "udp"):
                made = attempt(place(site, "shop"), protocol, vault.address, REFUSED, patience_s=0.5)
                assert made.answer == "nothing"
        finally:
            site.system.weir("up", "--uplink", UPLINK)
            site.system.await_well()
        assert receiver.lost(OPEN, flow.offer(0)) == 0
    await_refusal(site, "shop", ("tcp", vault.address, REFUSED), "ECONNREFUSED")
