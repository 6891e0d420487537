"""From a flow entry back to what asked for it. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from controller.dataplane.cookies import CookieKind, Origin, decode, decode_learned
from controller.dataplane.pipeline import BY_ID
from policies.model import Node, PolicySet, Position, Rule

_COOKIE = re.compile(r"(?:cookie=)?(0x[0-9a-fA-F]{1,16})\b")
_OF_A_RULE = {  # how the sentence goes on behind the rule
    CookieKind.RULE: "",
    CookieKind.VERDICT: "",
    CookieKind.REPLY: ", replies to what it allows",
    CookieKind.AUDIT: ", counted under audit",
}


@dataclass(frozen=True, slots=True)
class Context:
    """What origins are called. numbers: (kind, key) -> number, kinds segment, node, rule; vifs: number -> name."""

    policies: PolicySet = field(default_factory=PolicySet)
    numbers: Mapping[tuple[str, str], int] = field(default_factory=dict)
    vifs: Mapping[int, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Explanation:
    """text: a sentence for people. name: of the VIF, segment or table, the node's path, the rule's identity, if known.

    at: where the policy says so, for a rule, node or segment of the policy in force. vif: name of the VIF that the
    entry is for, if it is for one that is known.
    """

    origin: Origin
    text: str
    name: str | None = None
    at: Position | None = None
    rule: Rule | None = None
    vif: str | None = None


def cookie_in(text: str) -> int | None:
    """The cookie that the text is, or that a dumped flow line has; None when there is none."""
    line = re.search(r"cookie=0x[0-9a-fA-F]{1,16}\b", text)
    found = _COOKIE.fullmatch(line.group() if line else text.strip())
    return int(found.group(1), 16) if found else None


def explain(cookie: int, context: Context) -> Explanation | None:
    """None when the cookie is not ours."""
    origin = decode(cookie)
    if origin is None:
        return _learned(cookie, context)
    match origin.kind:
        case CookieKind.PIPELINE:
            return _table(origin)
        case CookieKind.VIF:
            return _vif(origin, context)
        case CookieKind.SERVICE:
            return _service(origin, context)
        case CookieKind.SEGMENT:
            return _segment(origin, context)
        case CookieKind.UNMATCHED | CookieKind.UNMATCHED_REPLY:
            return _unmatched(origin, context)
        case _:
            return _rule(origin, context)


def _table(origin: Origin) -> Explanation:
    table = BY_ID.get(origin.of)
    if table is None:
        return _unknown(origin, "table")
    return Explanation(origin, f"the pipeline itself, table {table.name}: {table.purpose}", table.name)


def _vif(origin: Origin, context: Context) -> Explanation:
    name = context.vifs.get(origin.of)
    return Explanation(origin, f"VIF {name}", name, vif=name) if name else _unknown(origin, "VIF")


def _service(origin: Origin, context: Context) -> Explanation:
    if origin.of == 0:
        return Explanation(origin, "the router asks the controller about a packet from outside")
    name = context.vifs.get(origin.of)
    if name is None:
        return _unknown(origin, "VIF")
    return Explanation(origin, f"VIF {name} asks the controller: addresses, errors of the router", name, vif=name)


def _learned(cookie: int, context: Context) -> Explanation | None:
    origin = decode_learned(cookie)
    if origin is None:
        return None
    found = _segment(origin, context)
    return replace(found, text=f"{found.text}: learned by the switch from what came from outside")


def _segment(origin: Origin, context: Context) -> Explanation:
    name = _key("segment", origin, context)
    segment = context.policies.segments.get(name or "")
    if segment is None:
        return _unknown(origin, "segment", name)
    return Explanation(origin, f"{segment.at}: segment {name}", name, segment.at)


def _rule(origin: Origin, context: Context) -> Explanation:
    identity, vif = _key("rule", origin, context), context.vifs.get(origin.vif or 0)
    goes_on = _OF_A_RULE[origin.kind] + _for(origin, vif)
    for node in context.policies.nodes.values():
        for rule in (*node.mandatory, *node.rules, *node.default):
            if rule.identity == identity:
                words = " ".join(filter(None, (rule.action.value, rule.name)))
                return Explanation(
                    origin, f"{rule.at}: {node.path}: rule {words}{goes_on}", identity, rule.at, rule, vif
                )
    return _unknown(origin, "rule", identity, vif)


def _unmatched(origin: Origin, context: Context) -> Explanation:
    path, vif = _key("node", origin, context), context.vifs.get(origin.vif or 0)
    node: Node | None = context.policies.nodes.get(path or "")
    if node is None:
        return _unknown(origin, "node", path, vif)
    text = f"{node.at}: {path}: what no rule of it matches: {node.unmatched.value}{_for(origin, vif)}"
    return Explanation(origin, text, path, node.at, vif=vif)


def _for(origin: Origin, vif: str | None) -> str:
    if origin.vif is None:
        return ""
    return f", for VIF {vif}" if vif else f", for VIF number {origin.vif}, which is not there any more"


def _key(kind: str, origin: Origin, context: Context) -> str | None:
    wanted = (kind, origin.of)
    return next((key for (kind, key), number in context.numbers.items() if (kind, number) == wanted), None)


def _unknown(origin: Origin, what: str, name: str | None = None, vif: str | None = None) -> Explanation:
    called = f"{what} {name} (number {origin.of})" if name else f"{what} number {origin.of}"
    return Explanation(origin, f"{called}, which is not there any more", name, vif=vif)
