"""The real controller, as `weir up` starts it, beside a real Weir DB and Open vSwitch: rows in, flow entries out."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections.abc import Iterator

import pytest

from controller.api.client import ApiError
from controller.dataplane.cookies import CookieKind, encode
from controller.intent import creation as intent
from controller.intent.vif_checks import VifRequest
from ovsdb.rows import Chassis, VifStatus, VirtualInterface
from ovsdb.weir_db import WeirDb
from tests.support.controller_process import BRIDGE, CHASSIS, DATAPATH, Site, capabilities, controlled, mode
from tests.support.ovs_sandbox import Daemon, wait_until

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")

POLICY = """
weir: 1
segments:
  office: {type: bridged, uplink: up0, vlan: 7, subnets: [10.9.0.0/24]}
  lab: {type: internal, subnets: [10.30.0.0/24]}
links:
  up0: {capacity: 100 mbit}
policies:
  acme:
    egress: {guarantee: 40 mbit}
    children:
      web:
        egress: {guarantee: 10 mbit, limit: 20 mbit}
        rules: [allow: {name: https, service: tcp/443}]
      free: {unmatched: allow}
"""
CAP_DAC_READ_SEARCH = 1 << 2


def vif(name: str, number: int, policy: str = "acme/web", segment: str = "office") -> VirtualInterface:
    address = f"10.{'9' if segment == 'office' else '30'}.0.{number}/24"
    return VirtualInterface(
        name, number, policy, segment, "veth", f"02:00:00:00:00:{number:02x}", (address,), chassis=CHASSIS
    )


WEB, FREE, LAB = vif("web1", 5), vif("free1", 6, "acme/free"), vif("lab1", 7, "acme/free", "lab")


@pytest.fixture
def site() -> Iterator[Site]:
    with controlled() as site:
        yield site


@pytest.fixture
def running(site: Site) -> Site:
    """With a bridge, a policy and two VIFs in force."""
    site.add_bridge()
    site.start()
    site.request(WEB, FREE, policy=POLICY)
    site.await_flows(site.report([WEB, FREE], {"up0": 100}))
    return site


def cookie(number: int) -> str:
    return f"cookie={encode(CookieKind.VIF, number):#x}"


def has_vif(site: Site, number: int) -> bool:
    return any(line.startswith(cookie(number)) for line in site.flows())


def test_a_switch_that_comes_before_its_row(site: Site) -> None:
    site.add_bridge()
    daemon = site.start()
    wait_until(lambda: answers(site) and site.status()["switches"] == [DATAPATH], "the switch connected")
    assert site.flows() == {}
    site.request(WEB, policy=POLICY)
    site.await_flows(site.report([WEB], {"up0": 100}))
    assert has_vif(site, 5) and "meter=5 kbps burst stats bands=" in site.meters()
    site.request(delete=("web1",))
    site.await_flows(site.report([], {"up0": 100}))
    assert not has_vif(site, 5) and "meter=5" not in site.meters()
    daemon.check_alive()


def test_a_row_that_comes_before_its_switch_and_the_controller_last(site: Site) -> None:
    site.request(WEB, policy=POLICY)
    site.report([WEB], {"up0": 100})
    site.start()
    site.await_error("not connected")
    site.add_bridge()
    site.await_flows(site.chassis().agent_cfg)
    assert has_vif(site, 5)


def test_it_holds_no_privilege_and_its_sockets_open_to_their_owner_alone(running: Site) -> None:
    wait_until(lambda: answers(running), "the API")
    held = capabilities(running.controllers[-1].pid)
    assert all(bits & ~CAP_DAC_READ_SEARCH == 0 for bits in held.values()), held
    assert mode(running.state.api_socket) == mode(running.state.stream_socket) == 0o600


def answers(site: Site) -> bool:
    try:
        return bool(site.status())
    except ApiError:
        return False


def test_foreign_edits_are_mended_and_foreign_entries_left_alone(running: Site) -> None:
    ofctl, wanted, meters = running.ovs.ofctl, set(running.flows()), running.meters()
    foreign = "cookie=0x123, table=0, priority=5,in_port=99 actions=drop"
    ofctl("add-flow", BRIDGE, foreign.replace("actions", ",actions"))
    ours = next(line for line in wanted if line.startswith(cookie(5)))
    ofctl(
        "mod-flows",
        "--strict",
        BRIDGE,
        ours.replace(" actions=", ",actions=").partition(",actions=")[0] + ",actions=drop",
    )
    wait_until(lambda: set(running.flows()) == {*wanted, foreign}, "the changed entry mended")
    ofctl("del-meters", BRIDGE)
    wait_until(lambda: set(running.flows()) == {*wanted, foreign} and running.meters() == meters, "meters mended")
    ofctl("mod-meter", BRIDGE, "meter=5,kbps,burst,stats,band=type=drop,rate=9,burst_size=9")
    wait_until(lambda: running.meters() == meters, "the meter's rate mended")
    ofctl("del-flows", BRIDGE)
    wait_until(lambda: set(running.flows()) == wanted and running.meters() == meters, "everything mended")


def test_killed_and_started_again_it_changes_nothing(running: Site) -> None:
    before, meters = running.flows(), running.ovs.ofctl("meter-stats", BRIDGE)
    running.controllers[-1].stop(kill=True)
    running.request(LAB)
    running.start()
    cfg = running.report([WEB, FREE, LAB], {"up0": 100})
    running.await_flows(cfg)
    after = running.flows()
    assert has_vif(running, 7)
    rewritten = {line for line, age_s in before.items() if after.get(line, -1.0) < age_s}
    assert not rewritten
    assert set(after) - set(before)
    assert duration_s(running.ovs.ofctl("meter-stats", BRIDGE), 5) >= duration_s(meters, 5)


def duration_s(meter_statistics: str, meter: int) -> float:
    """For how long this meter has been there. The switch lists them in any order."""
    of_this = meter_statistics.partition(f"meter:{meter} ")[2]
    return float(of_this.partition("duration:")[2].partition("s")[0])


def test_databases_and_switches_may_go_and_come(running: Site) -> None:
    wanted, meters = set(running.flows()), running.meters()
    running.server.stop()
    running.ovs.ofctl("del-flows", BRIDGE)
    wait_until(lambda: set(running.flows()) == wanted, "mended without the database")
    running.server.start()
    wait_until(lambda: (running.look(), running.db.connected)[1], "the database again")
    running.request(LAB)
    running.await_flows(running.report([WEB, FREE, LAB], {"up0": 100}))
    assert has_vif(running, 7)
    running.request(delete=("lab1",))
    running.await_flows(running.report([WEB, FREE], {"up0": 100}))
    running.ovs.restart_vswitchd(kill=True)
    wait_until(
        lambda: set(running.flows()) == wanted and running.meters() == meters, "restored after vswitchd's restart"
    )
    wait_until(lambda: running.chassis().connected and not running.chassis().flow_error, "and said so")


def test_a_policy_that_cannot_be_read_changes_nothing_not_even_after_a_restart(running: Site) -> None:
    wanted = set(running.flows())
    break_policy(running, "weir: 1\npolicies: [\n")
    cfg = running.report([WEB, FREE], {"up0": 100})
    running.await_error("cannot be read")
    wait_until(lambda: running.chassis().flow_cfg >= cfg, "whoever waits for it is told")
    running.controllers[-1].stop(kill=True)
    with WeirDb(running.server.remote) as db:
        db.connect()
        db.report_flows(CHASSIS, 0, None, False)
    running.start()
    running.await_error("left as it is")
    assert set(running.flows()) == wanted
    running.request(policy=POLICY)
    running.await_flows(running.report([WEB, FREE], {"up0": 100}))
    assert set(running.flows()) == wanted


def break_policy(site: Site, text: str) -> None:
    from ovsdb.weir_db import Command, PolicyText

    site.db.run()
    site.db.execute(Command(policy=PolicyText({"p.yaml": text}, "test", 0.0)), site.db.snapshot(), "test")


def test_a_row_that_goes_leaves_the_switch_alone_and_two_rows_of_one_switch_are_told(running: Site) -> None:
    wanted = running.flows()
    with WeirDb(running.server.remote) as db:
        db.connect()
        db.report_chassis(Chassis("h0", BRIDGE, DATAPATH))
    running.await_error("belongs to hosts h0 and h1 at once")
    running.ovs.run("ovsdb-client", "transact", running.server.remote, delete_row("h0"))
    wait_until(lambda: running.chassis().connected and not running.chassis().flow_error, "one owner again")
    running.ovs.run("ovsdb-client", "transact", running.server.remote, delete_row("h1"))
    wait_until(lambda: running.chassis().datapath_id == "" and running.status()["chassis"] == [], "the row gone")
    running.await_flows(running.report([WEB, FREE], {"up0": 100}))
    after = running.flows()
    assert {line for line, age_s in wanted.items() if after.get(line, -1.0) < age_s} == set()


def delete_row(name: str) -> str:
    return f'["Weir",{{"op":"delete","table":"Chassis","where":[["name","==","{name}"]]}}]'


def test_the_pace_of_the_loop_is_what_it_is_told(site: Site) -> None:
    site.start(interval_s=0.1)
    wait_until(lambda: answers(site) and site.status()["loop"]["ticks"] > 3, "ticks")  # type: ignore[index]
    assert site.status()["loop"]["interval_s"] == 0.1  # type: ignore[index]


@pytest.mark.parametrize("name", ["stream.sock", "api.sock"])
def test_it_ends_when_a_socket_cannot_be_bound(site: Site, name: str) -> None:
    (site.state.run / name).mkdir()
    assert ended(site.start()) == 1
    assert "the controller ends, as it cannot do its work" in site.log()


def test_a_wrong_pace_is_said(site: Site) -> None:
    assert ended(site.start(interval_s=-1)) != 0
    assert "WEIR_LOOP_INTERVAL_S='-1' is no pace" in site.log()


def ended(daemon: Daemon) -> int:
    wait_until(lambda: daemon.process.poll() is not None, "the controller ended")
    return int(daemon.process.returncode)


def test_a_port_that_appears_late_has_its_flows_when_its_creation_returns(running: Site) -> None:
    seen: list[bool] = []

    def create() -> None:
        with WeirDb(running.server.remote) as db:
            db.connect()
            intent.create(db, VifRequest("late1", "acme/free", "lab", kind="port"))
        seen.append(any("10.30.0.2" in line for line in running.flows()))

    creation = threading.Thread(target=create)
    creation.start()
    wait_until(lambda: "late1" in running.look().interfaces, "the row")
    running.await_flows(running.report([WEB, FREE], {"up0": 100}))  # the agent has done what it can: no port yet
    controller = running.controllers[-1].process
    controller.send_signal(signal.SIGSTOP)
    try:
        cfg = running.db.snapshot().cfg
        late = {"late1": VifStatus("ready", ofport=9, chassis=CHASSIS)}
        row = Chassis(CHASSIS, BRIDGE, DATAPATH, uplink_ports={"up0": 100}, agent_cfg=cfg)
        running.db.report_chassis(row, late)
        wait_until(lambda: running.look().cfg > cfg or seen, "it asks again, or returns")
        running.report([WEB, FREE], {"up0": 100})
    finally:
        controller.send_signal(signal.SIGCONT)
    creation.join(30)
    assert seen == [True]


def many(count: int) -> tuple[str, list[VirtualInterface]]:
    """Each VIF a leaf of its own with ten rules."""
    rules = "".join(
        f"          - allow: {{name: r{n}, direction: egress, to: 10.{n}.0.0/16, service: tcp/{1000 + n}}}\n"
        for n in range(10)
    )
    leaves = "".join(
        f"      l{n}:\n        egress: {{limit: 10 mbit}}\n        rules:\n{rules}" for n in range(1, count + 2)
    )
    text = (
        "weir: 1\nsegments:\n  lab: {type: internal, subnets: [10.200.0.0/16]}\n"
        f"policies:\n  t:\n    children:\n{leaves}"
    )
    vifs = [
        VirtualInterface(
            f"v{n}", n, f"t/l{n}", "lab", "veth", f"02:00:00:00:{n >> 8:02x}:{n & 255:02x}",
            (f"10.200.{n >> 8}.{n & 255}/16",), chassis=CHASSIS,
        )
        for n in range(1, count + 2)
    ]  # fmt: skip
    return text, vifs


def test_a_thousand_vifs(site: Site, capsys: pytest.CaptureFixture[str]) -> None:
    policy, vifs = many(1000)
    one_more = vifs.pop()
    ports = [f"add-port {BRIDGE} p{n} -- set interface p{n} type=dummy ofport_request={n}" for n in range(1, 1002)]
    site.add_bridge()
    site.ovs.vsctl(*" -- ".join(ports).split())
    site.start()
    took = Stopwatch()
    site.request(*vifs, policy=policy)
    took("the request written")
    site.await_flows(site.report(vifs), deadline_s=120)
    took("all flow entries in, from the agent's report on")
    wait_until(lambda: answers(site), "the API")
    before, ticks = site.flows(), ticks_of(site)
    assert len(before) > 60_000
    took = Stopwatch()
    site.request(one_more)
    site.await_flows(site.report([*vifs, one_more]), deadline_s=60)
    took("one VIF more")
    after = site.flows()
    rewritten = {line for line, age_s in before.items() if after.get(line, -1.0) < age_s}
    added = set(after) - set(before)
    own = (cookie(1001), *(f"cookie={encode(kind, 1):#x}" for kind in (CookieKind.SEGMENT,)))
    assert len(added) < 120 and len(rewritten) < 5, (sorted(added)[:20], sorted(rewritten)[:20])
    assert all(line.startswith(own) for line in rewritten), rewritten
    wait_until(lambda: ticks_of(site) > ticks + 1, "the loop ticks")
    took = Stopwatch()
    first = ticks_of(site)
    wait_until(lambda: ticks_of(site) >= first + 5, "five ticks", 60)
    took("five ticks of a second")
    with capsys.disabled():
        print(
            f"\n{len(before)} flow entries of 1,000 VIFs; {len(added)} added, {len(rewritten)} rewritten for one more"
        )


class Stopwatch:
    """Reports times; nothing depends on them."""

    def __init__(self) -> None:
        self._since_s = time.monotonic()

    def __call__(self, what: str) -> None:
        now_s = time.monotonic()
        sys.__stdout__.write(f"\n{what}: {now_s - self._since_s:.2f} s") if sys.__stdout__ else None
        self._since_s = now_s


def ticks_of(site: Site) -> int:
    return int(site.status()["loop"]["ticks"])  # type: ignore[index]
