"""The answer to a trace as one document. Pure."""

from __future__ import annotations

from typing import Any

from controller.compiler.explain import Context, explain
from controller.dataplane.cookies import decode
from controller.dataplane.pipeline import BY_ID
from controller.dataplane.trace_output import Trace
from controller.intent.queues import QueueKey
from controller.intent.trace import Answer, SideAnswer, Unjudged
from controller.intent.trace_switch import VERDICT_TABLES, Probe, ports_out
from controller.world.desired import World
from policies.model import Rule
from policies.rule_text import rule_text
from policies.semantics import Step


def model_values(answer: Answer, world: World) -> dict[str, Any]:
    """What the policy says. passes: None when that is not told. unjudged: VIFs that ask no rule, and why."""
    question = answer.question
    return {
        "vif": question.vif,
        "direction": question.direction.value,
        "sender": answer.sender,
        "receiver": answer.receiver,
        "passes": answer.passes,
        "dscp": answer.dscp,
        "unjudged": [_unjudged(stage) for stage in answer.unjudged],
        "sides": [_side(side, world) for side in answer.sides],
        "notes": list(answer.notes),
    }


def switch_values(flow: str, trace: Trace, probe: Probe, world: World) -> dict[str, Any]:
    """What the switch says. hits: entries met in the verdict tables, each explained; text: all that it printed."""
    names = {vif.number: name for name, vif in world.snapshot.interfaces.items()}
    context = Context(world.policies, world.numbers, names)
    hits = []
    for direction, table in VERDICT_TABLES.items():
        for cookie in dict.fromkeys(trace.cookies(table.id)):
            found, origin = explain(cookie, context), decode(cookie)
            hits.append(
                {
                    "table": table.name,
                    "direction": direction.value,
                    "cookie": f"{cookie:#x}",
                    "kind": origin.kind.name.lower() if origin is not None else None,
                    "vif": found.vif if found is not None else None,
                    "name": found.name if found is not None else None,
                    "at": str(found.at) if found is not None and found.at is not None else None,
                    "text": found.text if found is not None else "somebody else's entry",
                }
            )
    return {
        "chassis": probe.chassis,
        "bridge": probe.bridge,
        "packet": flow,
        "hits": hits,
        "tables": [BY_ID[step.table].name if step.table in BY_ID else str(step.table) for step in trace.steps],
        "meters": list(dict.fromkeys(trace.meters)),
        "outputs": [{"port": port, "name": _port_name(port, probe, world)} for port in ports_out(trace)],
        "dscp": sorted({departure.dscp for departure in trace.outputs}),
        "to_controller": trace.to_controller,
        "text": trace.text,
    }


def _side(side: SideAnswer, world: World) -> dict[str, Any]:
    verdict = side.verdict
    return {
        "vif": side.vif,
        "direction": side.direction.value,
        "reached": side.is_reached,
        "verdict": verdict.action.value,
        "rule": _rule(verdict.rule),
        "at": str(verdict.rule.at if verdict.rule is not None else _leaf_at(side, world)),
        "class": verdict.traffic_class if verdict.allows else None,
        "mark": verdict.mark,
        "log": verdict.log,
        "audited": [_rule(rule) for rule in verdict.audited],
        "steps": [_step(step) for step in side.steps],
        "meters": [{"id": number, "for": purpose} for number, purpose in side.meters.items()],
        "queues": [_queue(key) for key in side.queues],
    }


def _unjudged(stage: Unjudged) -> dict[str, Any]:
    return {
        "vif": stage.vif,
        "direction": stage.direction.value,
        "reached": stage.is_reached,
        "fate": stage.gate.fate.value,
        "why": stage.gate.why,
        "mark": stage.mark,
    }


def _leaf_at(side: SideAnswer, world: World) -> object:
    return world.policies.nodes[world.snapshot.interfaces[side.vif].policy].at


def _rule(rule: Rule | None) -> dict[str, Any] | None:
    if rule is None:
        return None
    return {"identity": rule.identity, "name": rule.name, "at": str(rule.at), "text": rule_text(rule)}


def _step(step: Step) -> dict[str, Any]:
    return {
        "tier": step.tier,
        "node": step.node,
        "rule": _rule(step.rule),
        "outcome": step.outcome,
        "reason": step.reason,
    }


def _queue(key: QueueKey) -> dict[str, Any]:
    return {"place": key.place, "owner": key.owner, "class": key.traffic_class or None}


def _port_name(port: int, probe: Probe, world: World) -> str | None:
    for name, vif in world.snapshot.interfaces.items():
        if vif.chassis == probe.chassis and vif.ofport == port:
            return f"VIF {name}"
    uplinks = world.snapshot.chassis[probe.chassis].uplink_ports
    return next((f"uplink {name}" for name, number in uplinks.items() if number == port), None)
