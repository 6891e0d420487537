"""The answer to a trace for people."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from controller.cli.output import table

_TOO_FAR = " (the packet does not come so far)"
_STEPS = ("tier", "rule", "at", "does", "outcome", "why")


def show(body: Mapping[str, Any]) -> None:
    for one in body["unjudged"]:
        reached = "" if one["reached"] else _TOO_FAR
        print(f"\nVIF {one['vif']} {one['direction']}: {one['fate']}: {one['why']}{reached}")
    for side in body["sides"]:
        _side(side)
    print(f"\npolicy: {_result(body)}")
    if body["switch"] is None:
        print(f"switch: not asked: {body['reason']}")
        return
    _switch(body["switch"])
    print("policy and switch agree" if body["agrees"] else "policy and switch DISAGREE")


def _side(side: Mapping[str, Any]) -> None:
    rule = side["rule"]
    by = f"rule {rule['identity']}: {rule['text']}" if rule is not None else "no rule matches, so 'unmatched' decides"
    reached = "" if side["reached"] else _TOO_FAR
    print(f"\nVIF {side['vif']} {side['direction']}: {side['verdict']}: {side['at']}: {by}{reached}")
    table(_STEPS, [_step(step) for step in side["steps"]])
    if side["class"] is not None:
        mark = "none written" if side["mark"] is None else str(side["mark"])
        print(f"class: {side['class']}; DSCP: {mark}")
    for meter in side["meters"]:
        print(f"meter {meter['id']}: {meter['for']}")
    for queue in side["queues"]:
        print(f"queue: {queue['place']} of {queue['owner']}" + (f", class {queue['class']}" if queue["class"] else ""))


def _step(step: Mapping[str, Any]) -> list[str]:
    rule = step["rule"]
    named = ["-", "-", "-"] if rule is None else [rule["identity"], rule["at"], rule["text"]]
    return [step["tier"], *named, step["outcome"], step["reason"]]


def _result(body: Mapping[str, Any]) -> str:
    to = f"VIF {body['receiver']}" if body["receiver"] else "what is outside the VIFs"
    if body["passes"] is None:
        return f"not told whether it passes to {to}"
    if not body["passes"]:
        return f"it does not reach {to}"
    return f"it passes to {to}, with DSCP {body['dscp']} if it had none"


def _switch(switch: Mapping[str, Any]) -> None:
    print(f"switch: {switch['bridge']} of {switch['chassis']}: {switch['packet']}")
    for hit in switch["hits"]:
        print(f"  {hit['table']}: cookie {hit['cookie']}: {hit['text']}")
    if switch["meters"]:
        print(f"  meters: {', '.join(map(str, switch['meters']))}")
    for output in switch["outputs"]:
        print(f"  out of port {output['port']}" + (f" ({output['name']})" if output["name"] else ""))
    if not switch["outputs"]:
        last = switch["tables"][-1] if switch["tables"] else "nowhere"
        print(f"  dropped; the last table is {last}")
