"""What somebody changes by hand in a running system is put right, told as an event, and shown by the status."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from controller.host.attempts import REPAIR_PAUSE_S
from controller.runtime.events import FIGHT_REPAIRS
from lab.children import Child, run, wait_until, within
from lab.site import Site
from lab.system import WEIR

POLICY = """\
weir: 1
segments:
  office: {type: bridged, uplink: wan, subnets: [10.1.0.0/24]}
links:
  wan: {capacity: 40 mbit}
policies:
  red:
    egress: {guarantee: 5 mbit, limit: 30 mbit}
    ingress: {limit: 20 mbit}
    rules:
      - allow: {name: out, direction: egress}
"""
WITHIN_S = 5.0


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    policy: Path = tmp_path_factory.mktemp("policy") / "p.yaml"
    policy.write_text(POLICY)
    with Site(policy, "10.1.0.100/24") as running:
        running.add_vif("red", "red", "office")
        running.await_neighbour("red")
        yield running


def events(site: Site) -> list[dict[str, Any]]:
    return list(site.system.json("events"))


def mended(
    site: Site,
    break_it: Callable[[], object],
    is_right: Callable[[], bool],
    kind: str,
    what: str,
    within_s: float = WITHIN_S,
) -> None:
    """Broken, seen to be, right again in time, and told of."""
    assert is_right(), "before"
    before, began_s = len(events(site)), time.monotonic()
    break_it()
    wait_until(is_right, f"{what} right again")
    took_s, most_s = time.monotonic() - began_s, within_s * slowness()
    assert took_s <= most_s, f"{what} took {took_s:.1f} s of {most_s:.1f} s"
    told = wait_until(
        lambda: [one for one in events(site)[before:] if one["kind"] == kind and what in one["what"]], f"{what} told"
    )
    drift = site.system.json("status")["drift"]
    assert drift["counts"][kind] >= 1 and any(one["what"] == told[0]["what"] for one in drift["last"])


def slowness() -> float:
    """How much longer than alone on the machine a process takes now; at least 1."""
    began_s, spent_s = time.monotonic(), time.process_time()
    while time.process_time() < spent_s + 0.1:
        pass
    return max(1.0, (time.monotonic() - began_s) / 0.1)


def tc(site: Site, *words: str) -> str:
    return run(within(site.system.directory.namespace, ["tc", *words]))


def tc_inside(site: Site, *words: str) -> str:
    return run(within(site.vifs["red"].namespace, ["tc", *words]))


def vsctl(site: Site, *words: str) -> str:
    return run(["ovs-vsctl", f"--db=unix:{site.system.directory.run / 'db.sock'}", *words]).strip()


def uplink(site: Site) -> str:
    return str(site.system.json("status")["uplinks"]["wan"])


def port(site: Site) -> str:
    return f"wv{number(site)}"


def number(site: Site) -> int:
    with site.system.database() as database:
        return database.snapshot().interfaces["red"].number


def tree(site: Site, device: str, kind: str) -> str:
    """Without what traffic changes."""
    return "\n".join(sorted(tc(site, kind, "show", "dev", device).splitlines()))


def as_before(look: Callable[[], str]) -> Callable[[], bool]:
    """But for what the kernel chooses: handles from 8000, who refers to a qdisc."""

    def lasting() -> str:
        return re.sub(r"refcnt \d+|\b[89a-f][0-9a-f]{3}:", "", look())

    before = lasting()
    return lambda: lasting() == before


def test_a_class_of_the_uplink(site: Site) -> None:
    device = uplink(site)
    right = as_before(lambda: tree(site, device, "class"))
    red = f"7fff:{number(site):x}"
    change = ["class", "change", "dev", device, "classid", red, "htb", "rate", "1mbit", "ceil", "2mbit"]
    parent = next(line for line in tc(site, "class", "show", "dev", device).splitlines() if f" {red} " in line)
    above = ["root"] if " root " in parent else ["parent", parent.split(" parent ")[1].split()[0]]
    mended(site, lambda: tc(site, *change[:4], *above, *change[4:]), right, "queues", device)


def test_a_deleted_tree_of_the_uplink(site: Site) -> None:
    device = uplink(site)
    right = as_before(lambda: tree(site, device, "class"))
    mended(site, lambda: tc(site, "qdisc", "del", "dev", device, "root"), right, "queues", device)


def test_the_filters_of_the_uplink(site: Site) -> None:
    device = uplink(site)
    assert "flowid" in tc(site, "filter", "show", "dev", device)

    def right() -> bool:
        return "flowid" in tc(site, "filter", "show", "dev", device)

    mended(site, lambda: tc(site, "filter", "del", "dev", device), right, "queues", device)


def test_the_tree_on_the_port(site: Site) -> None:
    device = port(site)
    right = as_before(lambda: tree(site, device, "class"))
    mended(site, lambda: tc(site, "qdisc", "del", "dev", device, "root"), right, "queues", device)


@pytest.mark.parametrize(
    "words",
    [
        ("del", "dev", "eth0", "root"),
        ("change", "dev", "eth0", "root", "tbf", *["rate", "1gbit", "burst", "1mb", "limit", "1mb"]),
    ],
)
def test_the_shaper_in_the_instance(site: Site, words: tuple[str, ...]) -> None:
    right = as_before(lambda: tc_inside(site, "qdisc", "show", "dev", "eth0"))
    mended(site, lambda: tc_inside(site, "qdisc", *words), right, "queues", "eth0")


@pytest.mark.parametrize(
    ("words", "lost"),
    [
        (("addr", "flush", "dev", "eth0"), "inet "),
        (("link", "set", "eth0", "down"), ",UP"),
        (("link", "del", "eth0"), "eth0"),
    ],
)
def test_the_interface_in_the_instance(site: Site, words: tuple[str, ...], lost: str) -> None:
    """Looked at in turn, every 10 s at this number of VIFs."""
    inside = site.vifs["red"].namespace

    def there() -> bool:
        return lost in run(["ip", "-n", inside, "address", "show"])

    mended(site, lambda: run(["ip", "-n", inside, *words]), there, "links", "eth0", within_s=10 + WITHIN_S)
    site.system.await_well()


def test_a_qos_row_and_a_port(site: Site) -> None:
    device = port(site)
    mended(
        site,
        lambda: vsctl(site, "clear", "port", device, "qos"),
        lambda: vsctl(site, "get", "port", device, "qos") != "[]",
        "database",
        "br-weir",
    )
    mended(
        site,
        lambda: vsctl(site, "del-port", device),
        lambda: device in vsctl(site, "list-ports", "br-weir").split(),
        "database",
        "br-weir",
    )
    site.system.await_well()


def test_the_row_of_the_bridge(site: Site) -> None:
    columns = "fail_mode", "flow_tables", "controller"

    def rows() -> list[str]:
        return [vsctl(site, "get", "bridge", "br-weir", column) for column in columns]

    before = rows()
    assert before[0] == "secure" and "{" in before[1] and before[2] != "[]"
    tables = len(before[1].split(","))
    break_it = [word for column in columns[1:] for word in ("--", "clear", "bridge", "br-weir", column)]
    mended(
        site,
        lambda: vsctl(site, "set", "bridge", "br-weir", "fail_mode=standalone", *break_it),
        lambda: rows()[0] == "secure" and len(rows()[1].split(",")) == tables and rows()[2] != "[]",
        "database",
        "br-weir",
    )
    site.system.await_well()


def test_a_meter_and_its_flows(site: Site) -> None:
    meter = f"meter={number(site)}"

    def right() -> bool:
        return f"{meter} " in site.system.ofctl("dump-meters") and f"meter:{number(site)}" in site.system.ofctl(
            "dump-flows"
        )

    mended(site, lambda: site.system.ofctl("del-meter", meter), right, "meters", f"meter {number(site)}")
    site.system.ofctl("mod-meter", f"{meter},kbps,burst,stats,bands=type=drop,rate=1,burst_size=20")
    wait_until(lambda: "rate=1 " not in site.system.ofctl("dump-meters"), "the rate again")


def test_flows_deleted_and_added(site: Site) -> None:
    table = "table=egress_verdict"
    right = as_before(lambda: str(site.system.ofctl("dump-flows", table).count("cookie=0x5ee1")))
    mended(site, lambda: site.system.ofctl("del-flows", table), right, "flow entries", "")
    foreign = "cookie=0x5ee1000000000000,table=0,priority=7,in_port=77,actions=drop"
    followed: list[str] = []
    with Child(site.system.outside.name, [WEIR, "events", "--follow", "--json", *at(site)], followed.append):
        wait_until(lambda: len(followed) >= len(events(site)), "those of now")
        before = len(followed)
        right = right_without(site, "in_port=77")
        mended(site, lambda: site.system.ofctl("add-flow", foreign), right, "flow entries", "")
        wait_until(lambda: any("in_port=77" in json.loads(line)["what"] for line in followed[before:]), "followed")


def test_what_is_under_no_cookie_of_ours_is_left_alone(site: Site) -> None:
    """Seen by its outliving the repair of what had been changed at the same time."""
    theirs = ["cookie=0x77,table=0,priority=3,in_port=78"], ["meter=4000000,kbps,bands=type=drop,rate=500"]
    site.system.ofctl("add-flow", f"{theirs[0][0]},actions=drop")
    site.system.ofctl("add-meter", *theirs[1])
    ours = "cookie=0x5ee1000000000000,table=0,priority=7,in_port=79,actions=drop"
    before = len(events(site))
    mended(site, lambda: site.system.ofctl("add-flow", ours), right_without(site, "in_port=79"), "flow entries", "")
    assert "in_port=78" in site.system.ofctl("dump-flows", "table=0")
    assert "meter=4000000 " in site.system.ofctl("dump-meters")
    assert all("in_port=79" in one["what"] for one in events(site)[before:])
    site.system.ofctl("del-flows", "cookie=0x77/-1")
    site.system.ofctl("del-meter", "meter=4000000")


def right_without(site: Site, text: str) -> Callable[[], bool]:
    return lambda: text not in site.system.ofctl("dump-flows", "table=0")


def test_ordinary_changes_and_restarts_are_no_drift(site: Site) -> None:
    before = len(events(site))
    for name in ("a", "b", "c"):
        site.system.weir("vif", "create", name, "--policy", "red", "--segment", "office")
    site.system.weir("vif", "set", "a", "--egress", "limit=6mbit")
    for name in ("a", "b", "c"):
        site.system.weir("vif", "delete", name)
    site.system.await_restart("agent", site.system.kill("agent"))
    assert len(events(site)) == before, events(site)[before:]
    site.system.await_restart("ovs-vswitchd", site.system.kill("ovs-vswitchd"))
    told = wait_until(lambda: events(site)[before:], "the restart told")
    assert [one["differed"] for one in told if one["kind"] == "switch"] == ["the switch had lost everything"], told
    assert len(told) == 1, told
    site.system.await_restart("controller", site.system.kill("controller"))
    assert events(site) == []


def test_what_somebody_keeps_changing_is_a_problem_and_mended_once_a_second(site: Site) -> None:
    """The last one here: it stays a problem for a minute."""
    site.system.await_well()
    before = len(events(site))

    def repairs() -> list[dict[str, Any]]:
        tc_inside(site, "qdisc", "replace", "dev", "eth0", "root", "bfifo", "limit", "9000")
        return [one for one in events(site)[before:] if "eth0" in one["what"]]

    wait_until(lambda: len(repairs()) > FIGHT_REPAIRS and site.system.problems(), "said to be a problem", deadline_s=60)
    (problem,) = site.system.problems()
    assert "eth0" in problem and "keeps changing" in problem and site.system.exit_status("status", *at(site)) == 1
    times = [one["time"] for one in repairs()]
    assert all(later - earlier >= 0.9 * REPAIR_PAUSE_S for earlier, later in pairwise(times)), times
    wait_until(lambda: "tbf" in tc_inside(site, "qdisc", "show", "dev", "eth0"), "right in the end")


def at(site: Site) -> tuple[str, str]:
    return "--state-dir", str(site.system.directory.path)
