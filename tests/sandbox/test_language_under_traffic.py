"""A policy change while traffic runs: it is felt at once by what it is about, and by nothing else."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from threading import Event, Thread

import pytest

from controller.intent import policy as intent
from lab.children import wait_until
from lab.ping import Echoes, pinging
from lab.site import Site, Vif
from lab.stream import Stream
from lab.system import System
from lab.tcp import tcp_flow
from lab.udp import UdpReceiver, UdpSender
from ovsdb.weir_db import WeirDb

CHANGES = 50
STOPPED_S = 0.5  # the most that a packet may come after the change that denies it is in force; a busy machine is late
SMALL_BYTES = 200  # of payload: many packets of them, at no great rate
STEADY_KBPS = 1_000  # of such packets: 500 a second; many more, and a busy machine loses some by itself
TINY_BYTES = 20
FLOOD_KBPS = 5_000  # of the tiniest packets: 10,000 a second
PORT, OTHER_PORT, STREAM_PORT, BULK_PORT = 7001, 7002, 7003, 5201
WORK = f"service: [udp/{PORT}, udp/{OTHER_PORT}, tcp/{STREAM_PORT}, tcp/{BULK_PORT}, ping]"

_PLACE, _ONWARDS = re.compile(r"recirc_id\((0x[0-9a-f]+|0)\)"), re.compile(r"recirc\((0x[0-9a-f]+)\)")


def policy_text(client: str = WORK, server: str = WORK, before: Sequence[str] = (), beside: str = "deny: {}") -> str:
    """client, server: what the one may send and the other may get; before: rules that stand before these on both sides.

    beside: a rule of a leaf that has nothing to do with either.
    """
    above = "".join(f"        - {rule}\n" for rule in before)
    return f"""\
weir: 1
segments:
  lab: {{type: internal, subnets: [10.2.0.0/24]}}
services:
  ping: [icmp/8, icmp6/128]
policies:
  acme:
    mandatory:
      - deny: {{name: none-{len(before)}, service: udp/{6000 + len(before)}}}
    children:
      client:
        rules:
{above}        - allow: {{name: work, direction: egress, {client}}}
      server:
        rules:
{above}        - allow: {{name: work, direction: ingress, {server}}}
  bystander:
    rules: [{beside}]
"""


POLICY = policy_text()
ALLOWED = POLICY
UNCONCERNED = [f"{action}: {{name: {action}-{n}, {rule}}}" for n, (action, rule) in enumerate([
    ("deny", "service: udp/9001"),
    ("allow", "to: 10.2.0.99, direction: egress"),
    ("reject", f"from: 10.2.0.99, direction: ingress, service: tcp/{STREAM_PORT}"),
    ("deny", "direction: ingress, from: {user: nobody}"),
    ("deny", f"service: {{proto: udp, port: {PORT}, source_port: 1-1000}}"),
])]  # fmt: skip


@pytest.fixture(scope="module")
def site(policy: Path) -> Iterator[Site]:
    with Site(policy, "192.0.2.1/24") as running:
        for name, leaf in (("client", "acme/client"), ("server", "acme/server"), ("bystander", "bystander")):
            running.add_vif(name, leaf, "lab")
        running.await_neighbour("client", running.vifs["server"].address)
        yield running


@pytest.fixture(scope="module")
def database(site: Site) -> Iterator[WeirDb]:
    with site.system.database() as connected:
        yield connected


@pytest.fixture
def client(site: Site, database: WeirDb) -> Vif:
    """Under the policy that lets it work."""
    apply(database, ALLOWED)
    return site.vifs["client"]


@pytest.fixture
def server(site: Site) -> Vif:
    return site.vifs["server"]


@pytest.fixture
def receiver(site: Site) -> Iterator[UdpReceiver]:
    with site.receiver_at("server", [PORT, OTHER_PORT]) as counting:
        yield counting


def apply(database: WeirDb, text: str) -> None:
    intent.apply(database, {"policy.yaml": text}, "test")


def sender(client: Vif, server: Vif, port: int) -> UdpSender:
    return UdpSender(client.namespace, server.address, port, SMALL_BYTES)


class Pings:
    """Echo requests a millisecond apart, in one series after another until the block ends."""

    def __init__(self, client: Vif, server: Vif) -> None:
        self._client, self._server = client, server
        self._enough = Event()
        self._series: list[Echoes] = []
        self._thread = Thread(target=self._run)

    def __enter__(self) -> Pings:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._enough.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._enough.is_set():
            with pinging(self._client.namespace, self._server.address, 1.0, 0.001) as under_way:
                self._series.append(under_way.result())

    @property
    def sent(self) -> int:
        return sum(one.sent for one in self._series)

    @property
    def lost(self) -> int:
        return sum(one.lost for one in self._series)


def test_changes_that_do_not_concern_a_flow_lose_nothing_of_it(
    database: WeirDb, client: Vif, server: Vif, receiver: UdpReceiver
) -> None:
    there = (server.namespace, server.address, BULK_PORT)
    with (
        tcp_flow(client.namespace, there, "cubic", 120, ["-b", "10M"]) as bulk,
        sender(client, server, PORT) as numbered,
        Pings(client, server) as pings,
    ):
        numbered.offer(STEADY_KBPS)
        wait_until(lambda: receiver.series(PORT).frames > 0, "numbered datagrams arrive")
        begun_s = time.monotonic()
        for change in range(CHANGES):
            before = [UNCONCERNED[(change + place) % len(UNCONCERNED)] for place in range(change % 4)]
            beside = f"deny: {{name: n{change}, service: tcp/{8000 + change}}}"
            apply(database, policy_text(before=before, beside=beside))
        print(f"{CHANGES} changes in {time.monotonic() - begun_s:.1f} s")
        sent = numbered.offer(0)
        retransmits = bulk.stop()
    assert (receiver.lost(PORT, sent), pings.lost) == (0, 0)
    assert retransmits <= CHANGES // 10  # TCP sends again what was only late
    assert sent.refused == 0
    assert pings.sent >= 1000


@pytest.mark.parametrize(
    "denied",
    [policy_text(client="service: ping"), policy_text(server="service: ping"),
     policy_text(before=[f"deny: {{name: no, service: [udp/{PORT}, tcp/{STREAM_PORT}]}}"])],
    ids=["as egress", "as ingress", "by a rule before"],
)  # fmt: skip
def test_a_change_that_denies_a_flow_stops_it_and_one_that_allows_it_lets_it_go_on(
    database: WeirDb, client: Vif, server: Vif, receiver: UdpReceiver, denied: str
) -> None:
    with (
        sender(client, server, PORT) as numbered,
        Stream(client.namespace, (server.namespace, server.address, STREAM_PORT)) as stream,
    ):
        numbered.offer(STEADY_KBPS)
        wait_until(lambda: receiver.series(PORT).frames > 100, "numbered datagrams arrive")
        stream.await_more()
        written_s = time.monotonic()
        apply(database, denied)
        in_force_s = time.monotonic()
        until_s = in_force_s + STOPPED_S + 0.5
        receiver.await_time(until_s)
        stream.await_time(until_s)
        last = {"udp": receiver.series(PORT).last_s, "tcp": stream.last_s}
        apply(database, ALLOWED)
        stream.await_more()
        again = receiver.series(PORT).frames
        wait_until(lambda: receiver.series(PORT).frames > again, "numbered datagrams arrive again")
    for protocol, last_s in last.items():
        assert last_s is not None
        print(f"{protocol}: the last came {last_s - written_s:.3f} s after the command began")
        assert last_s - in_force_s < STOPPED_S, protocol


HALVES = (
    f"service: [udp/{PORT}, udp/{OTHER_PORT}]",
    f"service: {{proto: udp, port: {OTHER_PORT}, source_port: 1-65535}}",
)
# Each of the two denies the one flow, at the side where the other allows it; the other flow both allow, by two rules.
FLIPPED = [policy_text(client=HALVES[n], server=HALVES[1 - n]) for n in (0, 1)]


def test_no_packet_passes_by_half_of_one_policy_and_half_of_another(
    database: WeirDb, client: Vif, server: Vif, receiver: UdpReceiver
) -> None:
    with UdpSender(client.namespace, server.address, PORT, TINY_BYTES) as denied:
        denied.offer(FLOOD_KBPS)
        wait_until(lambda: receiver.series(PORT).frames > 100, "what will be denied is an established flow")
        apply(database, FLIPPED[0])
        receiver.await_time(time.monotonic() + STOPPED_S)
        came, sent = receiver.series(PORT).frames, denied.offer(FLOOD_KBPS).sent
        for flip in range(3 * CHANGES):
            apply(database, FLIPPED[(flip + 1) % 2])
        assert denied.offer(0).sent > sent + 3 * CHANGES
        receiver.await_time(time.monotonic() + STOPPED_S)
    assert receiver.series(PORT).frames == came


def test_no_packet_is_lost_that_two_policies_allow_by_different_rules(
    database: WeirDb, client: Vif, server: Vif, receiver: UdpReceiver
) -> None:
    with sender(client, server, OTHER_PORT) as allowed:
        allowed.offer(STEADY_KBPS)
        wait_until(lambda: receiver.series(OTHER_PORT).frames > 0, "numbered datagrams arrive")
        for flip in range(CHANGES):
            apply(database, FLIPPED[flip % 2])
        assert receiver.lost(OTHER_PORT, allowed.offer(0)) == 0


@contextmanager
def half_remembered(system: System) -> Iterator[None]:
    """The switch repeats what it decided for packets until their senders were judged, and decides anew from there on.

    So it is for a moment after each change, while it goes through what it remembers. Here it stays so, for one block.
    """
    system.appctl("revalidator/pause")
    try:
        remembered = []
        for flow in system.appctl("dpctl/dump-flows", "-m").splitlines():
            if place := _PLACE.search(flow):
                remembered.append((flow.partition(",")[0], int(place[1], 0), _ONWARDS.search(flow)))
        after_sender = {onwards[1] for _, place, onwards in remembered if place and onwards}
        for ufid, place, _ in remembered:
            if hex(place) in after_sender:
                system.appctl("dpctl/del-flow", ufid)
        assert after_sender, "nothing is remembered"
        yield
    finally:
        system.appctl("revalidator/resume")


def test_what_was_judged_by_the_policy_before_is_judged_again(
    site: Site, database: WeirDb, client: Vif, server: Vif, receiver: UdpReceiver
) -> None:
    with sender(client, server, PORT) as denied, sender(client, server, OTHER_PORT) as allowed:
        apply(database, FLIPPED[0])
        for one in (denied, allowed):
            one.offer(STEADY_KBPS)
        wait_until(lambda: receiver.series(OTHER_PORT).frames > 100, "numbered datagrams arrive")
        for one in (denied, allowed):
            one.offer(0)
        assert receiver.series(PORT).frames == 0
        with half_remembered(site.system):
            apply(database, FLIPPED[1])
            before = receiver.series(OTHER_PORT).frames
            for one in (denied, allowed):
                one.offer(STEADY_KBPS)
            wait_until(lambda: receiver.series(OTHER_PORT).frames > before + 100, "numbered datagrams arrive")
            denied.offer(0)
            assert receiver.lost(OTHER_PORT, allowed.offer(0)) == 0
    assert receiver.series(PORT).frames == 0
