"""From what was asked about to everything else: rules, VIFs, flow entries, meters, queues, as one document. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

from controller.compiler.packet_rates import PacketBound
from controller.compiler.rule_meters import MeterUse
from controller.dataplane.cookies import WITH_VIF, CookieKind, Origin, decode
from controller.dataplane.entries import FlowBody, FlowKey
from controller.dataplane.text import flow_text, meter_text
from controller.intent.explain_target import Subject, meter_owner, meter_purpose, node_named, rule_named, vifs_below
from controller.intent.on_paper import Compiled
from controller.intent.queues import QueueBody, QueueKey, queues_of
from controller.world.desired import World
from policies.lint.placed import Placed, order, placed
from policies.model import NORMAL, Direction
from policies.rule_text import rule_text

_OF_A_RULE = (CookieKind.RULE, CookieKind.VERDICT, CookieKind.REPLY, CookieKind.AUDIT)


def document(
    subject: Subject, world: World, bridges: Mapping[str, Compiled], queues: Mapping[QueueKey, str | None]
) -> dict[str, Any]:
    """queues: those concerned, with their class ids as tc writes them, None: it has none.

    walks: by leaf, every rule in the order in which they decide; rule: what was asked about is of this one.
    """
    rules = {one.rule.identity: one for one in placed(world.policies)}
    rule = rules.get(subject.rule or "")
    bodies = queues_of(world.policies, world.snapshot.interfaces.values())
    return {
        "target": subject.what,
        "text": subject.text,
        **subject.fields,
        "rule": None if rule is None else rule_values(rule, _index(rule, world)),
        "vifs": [_vif(name, world) for name in subject.vifs],
        "walks": {leaf: walk(leaf, world) for leaf in _leaves(subject, world)},
        "entries": [
            {"chassis": name, "text": text} for name, own in bridges.items() for text in _entries(subject, world, own)
        ],
        "meters": [meter for name, own in bridges.items() for meter in _meters(subject, world, name, own)],
        "queues": [_queue(key, bodies[key], class_id) for key, class_id in queues.items()],
        "faults": {name: own.fault for name, own in bridges.items() if own.fault is not None},
    }


def walk(leaf: str, world: World) -> list[dict[str, Any]]:
    """Every rule of the leaf in the order in which they decide, `unmatched` last."""
    by_place: dict[tuple[str, str], list[dict[str, Any]]] = {place: [] for place in order(leaf)}
    index: dict[str, int] = {}
    for one in placed(world.policies):
        index[one.node] = index.get(one.node, 0) + 1
        if (one.node, one.list) in by_place:
            by_place[one.node, one.list].append(rule_values(one, index[one.node]))
    node = world.policies.nodes[leaf]
    last = {
        "index": None, "tier": "unmatched", "node": leaf, "identity": None, "name": None, "at": str(node.at),
        "directions": sorted(direction.value for direction in Direction), "stage": "enforce",
        "text": node.unmatched.value,
    }  # fmt: skip
    return [*(row for rows in by_place.values() for row in rows), last]


def rule_values(one: Placed, index: int) -> dict[str, Any]:
    """index: "NODE[N]", by which `weir explain` finds the rule as well."""
    rule = one.rule
    return {
        "index": f"{one.node}[{index}]",
        "tier": one.list,
        "node": one.node,
        "identity": rule.identity,
        "name": rule.name,
        "at": str(rule.at),
        "directions": sorted(direction.value for direction in rule.directions),
        "stage": "audit" if rule.audit else "enforce",
        "text": rule_text(rule),
    }


def counted(subject: Subject, counters: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Those of the controller's counters that are about the subject."""
    names = set(subject.vifs)
    if subject.rule is not None:
        return [one for one in counters if one["rule"] == subject.rule and one["vif"] in names]
    if subject.what == "node" and subject.cookie is not None:
        return [one for one in counters if one["rule"] is None and one["vif"] in names]
    return [one for one in counters if one["vif"] in names]


def concerned_queues(subject: Subject, world: World) -> list[QueueKey]:
    """Those of the VIFs; of a rule, where there are classes, those of the class that it puts traffic into."""
    keys = sorted(queues_of(world.policies, world.snapshot.interfaces.values()))
    named = set(subject.vifs)
    if subject.what == "node" and subject.node is not None:
        named.add(subject.node)
    chosen = [key for key in keys if key.owner in named]
    rule = next((one.rule for one in placed(world.policies) if one.rule.identity == subject.rule), None)
    if rule is None:
        return chosen
    return [key for key in chosen if key.traffic_class in ("", rule.traffic_class or NORMAL)]


def _index(one: Placed, world: World) -> int:
    own = [other.rule.identity for other in placed(world.policies) if other.node == one.node]
    return own.index(one.rule.identity) + 1


def _leaves(subject: Subject, world: World) -> list[str]:
    """Of the VIFs concerned; of a leaf without any, its own."""
    leaves = {world.snapshot.interfaces[name].policy for name in subject.vifs} & world.policies.nodes.keys()
    node = world.policies.nodes.get(subject.node or "")
    if not leaves and node is not None and node.is_leaf:
        leaves.add(node.path)
    return [] if subject.what == "segment" else sorted(leaves)


def _vif(name: str, world: World) -> dict[str, Any]:
    vif = world.snapshot.interfaces[name]
    return {"name": name, "number": vif.number, "policy": vif.policy, "segment": vif.segment, "chassis": vif.chassis}


def _entries(subject: Subject, world: World, own: Compiled) -> Iterator[str]:
    """By table, then from the highest priority down."""
    numbers = {world.snapshot.interfaces[name].number for name in subject.vifs}
    shared = _shared_rules(subject, world)
    found = [
        (key, body)
        for key, body in own.state.flows.items()
        if _is_of(subject, decode(body.cookie), body.cookie, numbers, shared)
        and (subject.meter is None or _uses(body, subject.meter))
    ]
    yield from (flow_text(key, body) for key, body in sorted(found, key=_turn))


def _turn(entry: tuple[FlowKey, FlowBody]) -> tuple[int, int, object]:
    return entry[0].table, -entry[0].priority, entry[0].match


def _shared_rules(subject: Subject, world: World) -> set[int]:
    """Numbers of the rules whose entries, which are for all VIFs below a node, count as the subject's."""
    if subject.rule is not None:
        identities = {subject.rule}
    else:
        identities = {row["identity"] for leaf in _leaves(subject, world) for row in walk(leaf, world)}
    return {number for (kind, key), number in world.numbers.items() if kind == "rule" and key in identities}


def _is_of(
    subject: Subject, origin: Origin | None, cookie: int, vifs: Collection[int], shared: Collection[int]
) -> bool:
    if origin is None:
        return False
    if subject.cookie is not None and subject.rule is None:
        return cookie == subject.cookie
    if origin.kind is CookieKind.RULE:
        return origin.of in shared
    if origin.vif not in vifs:
        return False
    if subject.rule is not None:
        return origin.kind in _OF_A_RULE and origin.of in shared
    return subject.what != "node" or origin.kind in WITH_VIF


def _uses(body: FlowBody, meter: int) -> bool:
    instructions = body.instructions
    return instructions.meter_id == meter or any(
        getattr(action, "meter_id", None) == meter for action in instructions.apply
    )


def _meters(subject: Subject, world: World, chassis: str, own: Compiled) -> Iterator[dict[str, Any]]:
    names = {vif.number: name for name, vif in world.snapshot.interfaces.items()}
    for number, body in sorted(own.state.meters.items()):
        use = own.use_of(number)
        vif = names.get(meter_owner(number, use))
        rule = rule_named(use.rule, world) if isinstance(use, MeterUse) else None
        owners = (
            set(vifs_below(node_named(use.node, world), world)) if isinstance(use, PacketBound) and use.node else {vif}
        )
        if subject.meter != number and (subject.meter is not None or owners.isdisjoint(subject.vifs)):
            continue
        if subject.rule is not None and rule != subject.rule and subject.meter is None:
            continue
        purpose = meter_purpose(number, use, vif, world)
        yield {
            "chassis": chassis, "id": number, "vif": vif, "rule": rule, "for": purpose,
            "text": meter_text(number, body),
        }  # fmt: skip


def _queue(key: QueueKey, body: QueueBody, class_id: str | None) -> dict[str, Any]:
    return {
        "chassis": key.chassis,
        "place": key.place,
        "owner": key.owner,
        "class": key.traffic_class or None,
        "class_id": class_id,
        "guarantee_kbps": body.guarantee_kbps,
        "limit_kbps": body.limit_kbps,
        "weight": body.weight,
        "buffer_bytes": body.buffer_bytes,
        "congestion": {"queue": body.congestion.queue.value, "ecn": body.congestion.ecn},
    }
