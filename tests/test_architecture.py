"""The house rules, read from the imports: which room may know which, what is pure, who may import which library."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ("policies", "ovsdb", "controller", "weir")

# room -> rooms that it may import beside itself; a room is the longest prefix found here
MAY_IMPORT: dict[str, set[str]] = {
    "policies": set(),
    "ovsdb": set(),
    "controller.config": set(),
    "controller.clock": set(),
    "controller.dataplane": set(),
    "controller.compiler": {"policies", "controller.dataplane"},
    "controller.allocation": {"controller.measure"},
    "controller.reconcile": {"controller.dataplane"},
    "controller.measure": set(),
    "controller.stream": {"controller.measure"},
    "controller.openflow": {"controller.dataplane", "controller.reconcile", "controller.measure"},
    "controller.world": {"policies", "ovsdb", "controller.dataplane", "controller.compiler"},
    "controller.services": {"policies", "ovsdb", "controller.dataplane", "controller.compiler"},
    "controller.intent": {"policies", "ovsdb", "controller.dataplane", "controller.compiler", "controller.world"},
    "controller.runtime": {
        "policies", "ovsdb", "controller.dataplane", "controller.compiler", "controller.allocation",
        "controller.reconcile", "controller.stream", "controller.world", "controller.services", "controller.measure",
    },
    "controller.host": {
        "policies", "ovsdb", "controller.dataplane", "controller.reconcile", "controller.stream", "controller.config",
        "controller.measure",
    },
    "controller.api": set(),
    "controller.system": {"ovsdb", "controller.config", "controller.host"},
    "controller.connected_switch": {
        "controller.openflow", "controller.runtime", "controller.clock", "controller.dataplane", "controller.measure",
    },
    "controller.wiring": {
        "controller.connected_switch",
        "policies", "ovsdb", "controller.runtime", "controller.openflow", "controller.stream", "controller.api",
        "controller.config", "controller.clock", "controller.dataplane", "controller.reconcile", "controller.compiler",
        "controller.allocation", "controller.world", "controller.services", "controller.measure",
    },
    "controller.app": {"controller.wiring", "controller.openflow"},
    "controller.client": {
        "policies", "ovsdb", "controller.intent", "controller.api", "controller.config", "controller.system",
        "controller.host",
    },
    "weir": {
        "policies", "ovsdb", "controller.client", "controller.intent", "controller.api", "controller.config",
        "controller.system",
    },
    "controller.cli": {
        "controller.client", "policies", "ovsdb", "controller.intent", "controller.api", "controller.config",
        "controller.system",
        "controller.host", "controller.compiler", "controller.world",
    },
}  # fmt: skip

# modules without clock, socket, file, log or process
PURE = (
    "policies", "controller.dataplane", "controller.compiler", "controller.allocation", "controller.reconcile",
    "controller.stream.messages", "controller.measure", "controller.runtime.tick",
    "controller.services", "controller.world", "controller.runtime.bandwidth",
    "controller.runtime.each_second", "controller.runtime.giving_way", "controller.runtime.objectives",
    "controller.runtime.objective_words", "controller.runtime.scales", "controller.runtime.packet_rates",
    "controller.runtime.move_words", "controller.host.class_bounds",
    "controller.runtime.rule_cuts", "controller.runtime.drift",
    "controller.runtime.series", "controller.runtime.history", "controller.runtime.reasons",
    "controller.runtime.totals", "controller.runtime.exposition", "controller.runtime.metrics",
    "controller.runtime.seen", "controller.runtime.figures", "controller.runtime.paths",
    "controller.runtime.sampling", "controller.runtime.switch",
    "controller.host.class_queues", "controller.host.queue_ids", "controller.host.queue_plan",
    "controller.host.leaf_queues", "controller.host.leaf_codec", "controller.host.congestion",
    "controller.host.leaf_sizes", "controller.host.rooms", "controller.host.latency.frames",
    "controller.host.latency.pace", "controller.host.latency.rounds", "controller.host.latency.stamps",
    "controller.host.latency.targets", "controller.host.latency.neighbours", "controller.host.latency.surroundings",
    "controller.host.joined_frames", "controller.host.policer_plan", "controller.host.policers",
    "controller.host.affinity", "controller.host.packet_work",
    "controller.host.queue_sizes", "controller.host.queue_tree", "controller.host.qdisc_codec",
    "controller.host.route_codec", "controller.host.instance_network", "controller.host.container_answer",
    "controller.host.qdisc_steering", "controller.host.qdisc_frames", "controller.host.link_codec",
    "controller.host.desired", "controller.host.refusals",
    "controller.host.sriov.choice", "controller.host.sriov.functions",
    "controller.host.sriov.port_names", "controller.host.sriov.vf_wish", "ovsdb.rows",
)  # fmt: skip
RIM_WITHIN_PURE = {"policies.loader"}
EFFECTS = {
    "asyncio", "eventlet", "fcntl", "http", "logging", "multiprocessing", "os", "ovs", "pathlib", "pyroute2", "random",
    "ryu", "select", "selectors", "shutil", "signal", "socket", "subprocess", "sys", "tempfile", "threading", "time",
}  # fmt: skip

# library -> rooms that may import it
ONLY_IN = {
    "ryu": {"controller.openflow", "controller.app"},
    "ovs": {"ovsdb"},
    "pyroute2": {"controller.host", "controller.system", "controller.cli"},
    "eventlet": {
        "controller.openflow", "controller.app", "controller.wiring", "controller.runtime", "controller.stream",
        "controller.api",
    },
    "yaml": {"policies"},
    "typer": {"controller.cli"},
    "rich": {"controller.cli"},
    "matplotlib": {"controller.cli"},
}  # fmt: skip


def modules() -> dict[str, Path]:
    found = {}
    for package in PACKAGES:
        for path in (ROOT / package).rglob("*.py"):
            name = ".".join(path.relative_to(ROOT).with_suffix("").parts)
            found[name.removesuffix(".__init__")] = path
    return found


def imports(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            yield node.module or ""


def room_of(module: str) -> str | None:
    rooms = [room for room in MAY_IMPORT if module == room or module.startswith(room + ".")]
    return max(rooms, key=len, default=None)


def is_pure(module: str) -> bool:
    return module not in RIM_WITHIN_PURE and any(module == pure or module.startswith(pure + ".") for pure in PURE)


def faults(module: str, imported: str) -> Iterator[str]:
    room, library = room_of(module), imported.split(".")[0]
    if library in PACKAGES:
        target = room_of(imported)
        if target is not None and target != room and target not in MAY_IMPORT[room or ""]:
            yield f"{module} ({room}) imports {imported} ({target})"
    if is_pure(module) and library in EFFECTS:
        yield f"{module} is pure and imports {imported}"
    if library in ONLY_IN and room not in ONLY_IN[library]:
        yield f"{module} imports {imported}: only {', '.join(sorted(ONLY_IN[library]))} may"


def test_every_module_has_a_room() -> None:
    homeless = [name for name in modules() if name not in ("controller",) and room_of(name) is None]
    assert not homeless


def test_imports_go_one_way() -> None:
    found = [
        fault for name, path in modules().items() for imported in imports(path) for fault in faults(name, imported)
    ]
    assert not found, "\n".join(found)


@pytest.mark.parametrize(
    ("module", "imported"),
    [
        ("controller.dataplane.match", "time"),
        ("controller.compiler.policy", "controller.openflow.codec"),
        ("controller.host.agent", "ryu.lib"),
        ("policies.model", "controller.dataplane.match"),
        ("controller.openflow.session", "controller.host.agent"),
    ],
)
def test_the_guard_sees_a_breach(module: str, imported: str) -> None:
    assert list(faults(module, imported))


def test_no_process_is_started_through_a_shell() -> None:
    for name, path in modules().items():
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.keyword) and node.arg == "shell":
                assert isinstance(node.value, ast.Constant) and node.value.value is False, f"{name}:{node.value.lineno}"
            if isinstance(node, ast.Attribute) and node.attr in ("system", "popen"):
                assert not (isinstance(node.value, ast.Name) and node.value.id == "os"), f"{name}:{node.lineno}"


def test_modules_keep_to_one_purpose() -> None:
    """A module of more than 300 lines has outgrown its purpose."""
    long = {name: lines for name, path in modules().items() if (lines := len(path.read_text().splitlines())) > 300}
    assert not long
