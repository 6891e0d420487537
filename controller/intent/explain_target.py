"""What a person means by the target of `weir explain`: a VIF, a rule, a node, a flow entry, a meter. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from controller.compiler.explain import Context, Explanation, cookie_in, explain
from controller.compiler.packet_rates import PacketBound
from controller.compiler.rule_meters import LOG, REJECT, MeterUse
from controller.dataplane.meter_ids import NEIGHBOUR_METER, SERVICE_METERS
from controller.intent.errors import Rejected
from controller.intent.on_paper import Compiled
from controller.world.desired import World
from policies.lint.placed import Placed, leaves_below, placed
from policies.wording import nearest, quoted

_METER = re.compile(r"\s*meter[ :=]\s*(\d+)\b")
_INDEXED = re.compile(r"(\S+?)(?:\[(\d+)\]| (\d+))")
_FORMS = "Name a VIF, a rule, a node, a cookie or dumped flow line, 'meter N', or a queue as tc writes it (7fff:2a)"
_PURPOSES = {
    LOG: "copies of what is logged, to the controller",
    REJECT: "copies of what is rejected, which the controller answers",
}


class Foreign(LookupError):
    """A flow entry that is somebody else's. Reads `problem`, a sentence without full stop."""


@dataclass(frozen=True, slots=True)
class Subject:
    """what: vif, rule, node, segment, table, meter, queue. text: a sentence. vifs: names of those concerned, sorted.

    rule: the identity that entries, meters and counters are narrowed to. cookie, meter: what was asked about, likewise.
    fields: what the document says of this target beside what it says of every one.
    """

    what: str
    text: str
    vifs: tuple[str, ...] = ()
    rule: str | None = None
    node: str | None = None
    cookie: int | None = None
    meter: int | None = None
    fields: Mapping[str, Any] = field(default_factory=dict)


def subject_of(text: str, world: World, bridges: Mapping[str, Compiled]) -> Subject:
    """Raises Rejected for what is not known, with the nearest names that are; Foreign."""
    text = " ".join(text.split())
    cookie = cookie_in(text)
    if cookie is not None:
        return of_cookie(cookie, world)
    if text in world.snapshot.interfaces:
        return of_vif(text, world)
    rules = {one.rule.identity: one for one in placed(world.policies)}
    if text in rules:
        return of_rule(rules[text], world)
    if text in world.policies.nodes:
        return of_node(text, world)
    if meter := _METER.match(text):
        return _of_meter(int(meter[1]), world, bridges)
    if indexed := _INDEXED.fullmatch(text):
        return of_rule(_at(indexed[1], int(indexed[2] or indexed[3]), world), world)
    raise unknown(text, [*world.snapshot.interfaces, *rules, *world.policies.nodes])


def unknown(text: str, names: Iterable[str]) -> Rejected:
    near = nearest(text, names)
    return Rejected([f"{quoted(text)} is not known here. " + (f"Did you mean '{near}'?" if near else f"{_FORMS}.")])


def of_vif(name: str, world: World) -> Subject:
    vif = world.snapshot.interfaces[name]
    node = world.policies.nodes.get(vif.policy)
    where = f"{node.at}: " if node is not None else ""
    host = f"host {vif.chassis}" if vif.chassis else "no host"
    text = f"VIF {name} (number {vif.number}) of policy {vif.policy}, segment {vif.segment}, on {host}"
    return Subject("vif", where + text, (name,), node=vif.policy)


def of_rule(one: Placed, world: World) -> Subject:
    words = " ".join(filter(None, (one.rule.action.value, one.rule.name)))
    text = f"{one.rule.at}: {one.node}: rule {words}"
    return Subject("rule", text, vifs_below(one.node, world), rule=one.rule.identity, node=one.node)


def of_node(path: str, world: World) -> Subject:
    node = world.policies.nodes[path]
    kind = "leaf" if node.is_leaf else "inner node"
    return Subject("node", f"{node.at}: {kind} {path}", vifs_below(path, world), node=path)


def of_cookie(cookie: int, world: World) -> Subject:
    """Raises Foreign when it is not ours."""
    snapshot = world.snapshot
    names = {vif.number: name for name, vif in snapshot.interfaces.items()}
    found = explain(cookie, Context(world.policies, world.numbers, names))
    if found is None:
        raise Foreign(f"cookie {cookie:#x} is none of Weir's")
    at = None if found.at is None else str(found.at)
    fields = {
        "cookie": f"{cookie:#x}", "kind": found.origin.kind.name.lower(), "number": found.origin.number,
        "name": found.name, "at": at,
    }  # fmt: skip
    what, vifs, node = _behind(found, world)
    rule = found.rule.identity if found.rule is not None else None
    return Subject(what, found.text, vifs, rule, node, cookie, fields=fields)


def _behind(found: Explanation, world: World) -> tuple[str, tuple[str, ...], str | None]:
    kind = found.origin.kind.name.lower()
    named = {"pipeline": "table", "unmatched": "node", "service": "vif", "vif": "vif", "segment": "segment"}
    what = named.get(kind, "rule")
    node = None
    if found.rule is not None:
        node = next(one.node for one in placed(world.policies) if one.rule.identity == found.rule.identity)
    elif found.name in world.policies.nodes:
        node = found.name
    if found.vif is not None:
        return what, (found.vif,), node
    if what == "segment":
        members = (name for name, vif in world.snapshot.interfaces.items() if vif.segment == found.name)
        return what, tuple(sorted(members)), node
    return what, vifs_below(node, world) if node is not None and found.origin.vif is None else (), node


def _of_meter(number: int, world: World, bridges: Mapping[str, Compiled]) -> Subject:
    names = {vif.number: name for name, vif in world.snapshot.interfaces.items()}
    for chassis, own in bridges.items():
        if number not in own.state.meters:
            continue
        use = own.use_of(number)
        vif = names.get(meter_owner(number, use))
        text = f"meter {number} of chassis {chassis}: {meter_purpose(number, use, vif, world)}"
        if isinstance(use, PacketBound) and use.node:
            path = node_named(use.node, world)
            return Subject("meter", text, vifs_below(path, world), node=path, meter=number)
        if vif is None:
            return Subject("meter", text, meter=number)
        rule = rule_named(use.rule, world) if isinstance(use, MeterUse) else None
        return Subject("meter", text, (vif,), rule, world.snapshot.interfaces[vif].policy, meter=number)
    if number in names:
        vif = names[number]
        none = "its policy has no limit, and the loop may set one"
        text = f"meter {number}: the egress rate of VIF {vif}, if it has one: {none}"
        return Subject("meter", text, (vif,), node=world.snapshot.interfaces[vif].policy, meter=number)
    raise Rejected([f"meter {number} is none that the policy in force asks for. See ovs-ofctl dump-meters."])


def meter_owner(number: int, use: MeterUse | PacketBound | None) -> int:
    """The number of the VIF that the meter is for, 0: it is for the outside, or for all below a node.

    use: of a rule's meter, or one of packets.
    """
    if use is not None:
        return use.vif
    if number == NEIGHBOUR_METER:
        return 0
    return number - SERVICE_METERS.start if number in SERVICE_METERS else number


def meter_purpose(number: int, use: MeterUse | PacketBound | None, vif: str | None, world: World) -> str:
    """use: of a rule's meter, or one of packets. vif: name of its owner, None: the outside, or several."""
    if number == NEIGHBOUR_METER:
        return "what neighbours outside tell and ask the router, as the controller sees it"
    if number in SERVICE_METERS:
        return f"what {'the outside' if vif is None else f'VIF {vif}'} asks of the controller"
    if use is None:
        return f"the egress rate of VIF {vif}"
    if isinstance(use, PacketBound):
        if use.node:
            return f"the {use.direction} packets of all VIFs below {node_named(use.node, world)} on this host together"
        of_budget = f"the packets of both directions that the processor time of VIF {vif} is good for"
        return f"the {use.direction} packets of VIF {vif}" if use.direction else of_budget
    if use.rule == 0:
        return f"{_PURPOSES[use.unit]}, of VIF {vif}"
    what = "packet rate" if use.unit == "pps" else "rate"
    return f"the {use.direction} {what} of rule {rule_named(use.rule, world)} for VIF {vif}"


def node_named(number: int, world: World) -> str:
    """Raises StopIteration when none has the number."""
    return next(key for (kind, key), other in world.numbers.items() if (kind, other) == ("node", number))


def rule_named(number: int, world: World) -> str | None:
    return next((key for (kind, key), other in world.numbers.items() if (kind, other) == ("rule", number)), None)


def vifs_below(path: str, world: World) -> tuple[str, ...]:
    leaves = set(leaves_below(world.policies)[path])
    return tuple(sorted(name for name, vif in world.snapshot.interfaces.items() if vif.policy in leaves))


def _at(path: str, index: int, world: World) -> Placed:
    """index: from 1, through the node's `mandatory`, `rules` and `default`."""
    own = [one for one in placed(world.policies) if one.node == path]
    if path not in world.policies.nodes:
        raise unknown(path, world.policies.nodes)
    if not 1 <= index <= len(own):
        raise Rejected(
            [f"node '{path}' has {len(own)} rules, none of which is number {index}. See weir explain {path}."]
        )
    return own[index - 1]
