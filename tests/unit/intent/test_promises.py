"""What VIFs lack on their hosts, and what is said of it."""

from __future__ import annotations

from dataclasses import replace

from controller.intent.promises import Promises, devices_of, refusals, send_buffers, warnings
from ovsdb.rows import Chassis, Snapshot
from policies.parser import parse
from tests.unit.intent.worlds import POLICY, vif, world

TEXT = POLICY.replace(
    "  free: {}", "  free: {congestion: {queue: red}, best-effort: true}\n  red: {congestion: {queue: red}}\n"
)
POLICIES = parse({"p.yaml": TEXT})
RED, NO_RED = {"red": "true"}, {"red": "no: it has none"}
FREE = "p.yaml:17:3: policies.free.congestion: congestion red cannot be kept for kind veth: it has none. The policy is"


def hosts(*capabilities: dict[str, str]) -> Snapshot:
    rows = [Chassis(f"h{number}", "br-weir", capabilities=found) for number, found in enumerate(capabilities, 1)]
    return replace(world(), chassis={row.name: row for row in rows})


def test_each_vif_is_judged_on_its_own_host_and_one_without_on_the_best() -> None:
    promises = Promises(POLICIES, hosts(NO_RED, RED))
    lacks = [len(refusals(promises.of_vif(vif("a", 2, policy="red", chassis=host)))) for host in ("h1", "h2", None)]
    assert lacks == [1, 0, 0]
    assert refusals(Promises(POLICIES, hosts()).of_vif(vif("a", 2, policy="red"))) == []  # no agent has said anything


def test_warnings_name_those_whom_they_concern_in_one_line() -> None:
    vifs = [vif(f"v{number}", number, policy="free") for number in range(10)]
    (line,) = warnings([*vifs, vif("r", 20, policy="red")], POLICIES, hosts(NO_RED))
    assert line.startswith(f"VIFs 'v0', 'v1', 'v2', 'v3', 'v4', 'v5', 'v6', 'v7' and 2 more: {FREE}")
    assert warnings(vifs, POLICIES, hosts(RED)) == []


def test_a_leaf_with_classes_and_a_limit_is_said_once_and_own_limits_by_vif() -> None:
    classes = "classes: {a: {share: 10 %}, normal: {share: 20 %}}\n"
    ruled = "  free: {egress: {limit: 9 mbit}, rules: [allow: {class: a}]}"
    policies = parse({"p.yaml": POLICY.replace("  free: {}", ruled) + classes})
    vifs = [vif(f"v{number}", number, policy="free") for number in range(2, 5)]
    vifs[2] = replace(vifs[2], egress={"limit_kbps": 5})
    of_leaf, own = warnings(vifs, policies, hosts({}))
    assert of_leaf.startswith("p.yaml:17:3: policies.free.egress.limit: its classes divide what waits at the uplink")
    assert own.startswith("VIF 'v4': its classes divide what waits at the uplink, not what waits at its own egress lim")


def test_buffers_that_nobody_insists_on_are_warned_of_when_they_are_too_large() -> None:
    deep = "  free: {buffer: 64 kib, ingress: {limit: 5 mbit}, best-effort: true}"
    policies = parse({"p.yaml": POLICY.replace("  free: {}", deep)})
    small, large = (hosts({"send_buffer_bytes": figure}) for figure in ("1000", "1000000"))
    (line,) = warnings([vif("a", 2, policy="free")], policies, small)
    assert line.startswith("host 'h1': full queues may take ") and "--raise-buffers" in line
    assert warnings([vif("a", 2, policy="free")], policies, large) == []
    assert warnings([vif("a", 2)], policies, replace(small, interfaces={"b": vif("b", 3, policy="free")})) == []


def test_a_queue_that_the_kernels_datapath_makes_larger_is_warned_of() -> None:
    small = parse(
        {"p.yaml": TEXT.replace("red: {congestion: {queue: red}}", "red: {congestion: {queue: red}, buffer: 64 kib}")}
    )
    vifs = [vif("a", 2, policy="red"), vif("b", 3)]
    (line,) = warnings(vifs, small, hosts({"datapath": "system"}))
    assert line.startswith(
        "host 'h1': p.yaml:18:3: policies.red.buffer: there each queue of the sort red holds 128 KiB"
    )
    assert warnings(vifs, small, hosts({"datapath": "netdev"})) == []
    assert warnings(vifs[1:], small, hosts({"datapath": "system"})) == []


def test_devices_of_an_uplink_are_counted_by_host() -> None:
    snapshot = hosts({}, {})
    chassis = {
        "h1": replace(snapshot.chassis["h1"], uplink_ports={"wan": 1, "wan#2": 2, "wan#3": 7, "lan": 4}),
        "h2": replace(snapshot.chassis["h2"], uplink_ports={"wan": 1}),
    }
    found = devices_of(replace(snapshot, chassis=chassis))
    assert found == {("h1", "wan"): 3, ("h1", "lan"): 1, ("h2", "wan"): 1}


def test_buffers_are_counted_for_each_device_of_an_uplink() -> None:
    text = POLICY.replace("free: {}", "free: {buffer: 15140 b, best-effort: true}")
    one = vif("a", 2, policy="free", segment="office")
    host = Chassis("h1", "br", capabilities={"send_buffer_bytes": str(11 * 2304)}, uplink_ports={"eth1": 1})
    snapshot = replace(world(one, files={"p.yaml": text}), chassis={"h1": host})
    assert warnings([one], parse({"p.yaml": text}), snapshot) == []
    twice = replace(host, uplink_ports={"eth1": 1, "eth1#2": 2})
    (line,) = warnings([one], parse({"p.yaml": text}), replace(snapshot, chassis={"h1": twice}))
    assert "full queues may take 46080 bytes" in line


def test_send_buffers_are_known_of_hosts_that_say_a_figure() -> None:
    assert send_buffers(hosts({"send_buffer_bytes": "1000"}, {}, {"send_buffer_bytes": "no: why"})) == {"h1": 1000}
