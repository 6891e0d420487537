"""A plan as one document for programs, and as lines for people. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from controller.dataplane.diff import Changes
from controller.dataplane.text import flow_text, meter_text
from controller.intent.plan import OnChassis, Plan, Promise
from controller.intent.queues import QueueBody, QueueKey
from policies.lint.placed import Placed
from policies.model import Congestion
from policies.rule_text import rule_text
from policies.units import rate_text

_SHOWN = 12  # names of VIFs in a line


def document(plan: Plan) -> dict[str, Any]:
    """`changes`: whether an apply would write anything; `refused`: whether it would not, for what findings say."""
    rules = plan.rules
    return {
        "changes": plan.is_change,
        "refused": bool(plan.refusals),
        "rules": {
            "added": [rule_values(one) for one in rules.added.values()],
            "changed": [{**rule_values(new), "before": rule_values(old)} for old, new in rules.changed.values()],
            "moved": [rule_values(one) for one in rules.moved.values()],
            "removed": [rule_values(one) for one in rules.removed.values()],
        },
        "definitions": {
            word: [{"kind": kind, "name": name, "at": str(at)} for (kind, name), (at, _) in sorted(part.items())]
            for word, part in _parts(plan.definitions)
        },
        "vifs": list(plan.vifs),
        "bandwidth": [
            {"vif": name, "direction": direction.value, "before": _promise(before), "after": _promise(after)}
            for (name, direction), (before, after) in plan.promises.items()
        ],
        "chassis": {name: _chassis(one) for name, one in plan.chassis.items()},
        "findings": [finding.as_values() for finding in plan.findings],
        "warnings": list(plan.warnings),
    }


def rule_values(one: Placed) -> dict[str, Any]:
    rule = one.rule
    return {"identity": rule.identity, "tier": one.list, "at": str(rule.at), "text": rule_text(rule)}


def lines(plan: Plan, entries: bool) -> Iterator[str]:
    """entries: every flow entry and meter too, as ovs-ofctl writes them."""
    if not plan.is_change:
        yield "no change"
        return
    yield from _rule_lines(plan)
    for mark, (_, part) in zip("+~-", _parts(plan.definitions), strict=True):
        yield from (f"{mark} {kind} {name}  {at}" for (kind, name), (at, _) in sorted(part.items()))
    for (name, direction), both in plan.promises.items():
        yield f"~ VIF {name} {direction.value}: {_promised(both[0])} -> {_promised(both[1])}"
    if plan.vifs:
        more = f" and {len(plan.vifs) - _SHOWN} more" if len(plan.vifs) > _SHOWN else ""
        yield f"VIFs touched: {len(plan.vifs)}: {', '.join(plan.vifs[:_SHOWN])}{more}"
    else:
        yield "VIFs touched: none"
    for name, one in plan.chassis.items():
        yield f"chassis {name}: flow entries: {one.changes.flows}; meters: {one.changes.meters}; queues: {one.queues}"
        if entries:
            yield from _entry_lines(one)


def _rule_lines(plan: Plan) -> Iterator[str]:
    rules = plan.rules
    yield from (_rule_line("+", one) for one in rules.added.values())
    for old, new in rules.changed.values():
        yield _rule_line("~", new)
        yield f"    was: {rule_text(old.rule)}" + (f" (in {old.list})" if old.list != new.list else "")
    yield from (f"{_rule_line('~', one)} (moved)" for one in rules.moved.values())
    yield from (_rule_line("-", one) for one in rules.removed.values())


def _rule_line(mark: str, one: Placed) -> str:
    return f"{mark} rule {one.rule.identity}  {one.rule.at}  {rule_text(one.rule)}"


def _entry_lines(one: OnChassis) -> Iterator[str]:
    texts = _texts(one)
    for part in ("meters", "entries", "queues"):
        yield from (f"  + {line}" for line in texts[part]["added"])
        for both in texts[part]["changed"]:
            yield f"  - {both['before']}"
            yield f"  + {both['after']}"
        yield from (f"  - {line}" for line in texts[part]["removed"])


def _chassis(one: OnChassis) -> dict[str, Any]:
    """For entries, meters, queues: how many are added, changed, removed, and `lines` that say which."""
    counted: dict[str, Any] = {
        name: {**{word: len(part) for word, part in texts.items()}, "lines": texts}
        for name, texts in _texts(one).items()
    }
    return {**counted, "fault": one.fault}


def _texts(one: OnChassis) -> dict[str, dict[str, list[Any]]]:
    flows, meters = one.changes.flows, one.changes.meters
    old, new = one.before, one.after
    return {
        "entries": {
            "added": [flow_text(key, body) for key, body in flows.add.items()],
            "changed": [
                {"before": flow_text(key, old.flows[key]), "after": flow_text(key, new.flows[key])}
                for key in flows.modify
            ],
            "removed": [flow_text(key, body) for key, body in flows.delete.items()],
        },
        "meters": {
            "added": [meter_text(key, body) for key, body in meters.add.items()],
            "changed": [
                {"before": meter_text(key, old.meters[key]), "after": meter_text(key, new.meters[key])}
                for key in meters.modify
            ],
            "removed": [meter_text(key, body) for key, body in meters.delete.items()],
        },
        "queues": {
            "added": [_queue(key, body) for key, body in one.queues.add.items()],
            "changed": [
                {"before": _queue(key, one.queues_before[key]), "after": _queue(key, body)}
                for key, body in one.queues.modify.items()
            ],
            "removed": [_queue(key, body) for key, body in one.queues.delete.items()],
        },
    }


def _queue(key: QueueKey, body: QueueBody) -> str:
    words = [key.place, key.owner, *([f"class {key.traffic_class}"] if key.traffic_class else [])]
    words.append(f"guarantee {rate_text(body.guarantee_kbps)}")
    words += [] if body.limit_kbps is None else [f"limit {rate_text(body.limit_kbps)}"]
    words.append(f"weight {body.weight:g}")
    words += [] if body.buffer_bytes is None else [f"buffer {body.buffer_bytes} bytes"]
    congestion = body.congestion
    words += [] if congestion == Congestion() else [f"{congestion.queue.value}{' ecn' if congestion.ecn else ''}"]
    return " ".join(["queue", *words])


def _parts(changes: Changes[Any, Any]) -> tuple[tuple[str, Mapping[Any, Any]], ...]:
    return ("added", changes.add), ("changed", changes.modify), ("removed", changes.delete)


def _promise(one: Promise | None) -> dict[str, int | None] | None:
    return None if one is None else {"guarantee_kbps": one.guarantee_kbps, "limit_kbps": one.limit_kbps}


def _promised(one: Promise | None) -> str:
    if one is None:
        return "nothing"
    limit = "no limit" if one.limit_kbps is None else f"limit {rate_text(one.limit_kbps)}"
    return f"guarantee {rate_text(one.guarantee_kbps)}, {limit}"
