"""Tables egress_policy, ingress_policy and their audit tables: which rule decides.

A rule is looked for once for all VIFs below its node, by the node's number at its level. Its entries say which rule it
is and where it stands; what it does for each VIF is in the verdict tables (see `verdict`). So an edit that moves rules
touches no counter.

A rule under audit is asked about a copy of the packet after the decision: it counts what it would have decided, which
is what it matches unless a rule in force before it has matched.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial

from controller.compiler.antispoof import DHCP_CLIENT_PORTS
from controller.compiler.bridge import Bridge
from controller.compiler.conjunction import entries
from controller.compiler.flow import Flow, flow, goto, of_table
from controller.compiler.parts import Part
from controller.compiler.precedence import INVALID, NEVER, UNMATCHED, UNMATCHED_REPLY
from controller.compiler.sides import OPPOSITE, SIDES, Side
from controller.compiler.survey import LeafView, Placed, Survey, on_path
from controller.compiler.views import ORIGINALS, REPLIES, Clauses, Fields, Traffic, View, clauses
from controller.dataplane.actions import DROP, Action, Clone, Conntrack, Instructions, Resubmit, SetField
from controller.dataplane.cookies import CookieKind
from controller.dataplane.masks import range_masks
from controller.dataplane.meter_ids import VIF_METERS
from controller.dataplane.protocols import CT_INVALID, CT_REPLY, CT_TRACKED, ETH_IPV4, ETH_IPV6, FIRST_FRAGMENT, UDP
from controller.dataplane.registers import AUDITED, PRECEDENCE, REPLY, RULE
from policies.model import Action as RuleAction
from policies.model import Direction

_COPIES = range(VIF_METERS.stop, 1 << 16)  # conntrack zones that no VIF's number is
_ORIGINAL_TRACKED = CT_TRACKED, CT_TRACKED | CT_REPLY | CT_INVALID  # else the switch shows no tuple
_REPLY_TRACKED = CT_TRACKED | CT_REPLY, CT_TRACKED | CT_REPLY
_ASKING, _ASKED, _MISSED, _DONE = 3, 2, 1, 0  # priorities in an audit table


def parts(bridge: Bridge, found: Survey) -> Iterator[Part]:
    yield Part("judging", None, _always)
    yield Part("dhcp servers", None, _no_server)
    for rule in found.rules:
        if rule.is_audited:
            yield Part(("audited", rule.number), rule, partial(_asked, rule))
        else:
            yield Part(("rule", rule.number), rule, partial(_found, rule))
    for leaf in found.leaves.values():
        if leaf.audited:
            metered = {act.number for act in leaf.acts if act.limit_kbps or act.packets_pps}
            yield Part(("asking", leaf.node), (leaf, metered), partial(_asking, leaf, metered))


def _always() -> Iterator[Flow]:
    """What connection tracking calls invalid is dropped, but for what it cannot follow. A reply that no rule matches is
    one of a connection that `unmatched` allowed or no rule allows any more."""
    invalid, reply = CT_TRACKED | CT_INVALID, CT_TRACKED | CT_REPLY
    for side in SIDES.values():
        table, origin = side.policy, of_table(side.policy)
        yield flow(table, INVALID, {"ct_state": (invalid, invalid), PRECEDENCE: 0}, origin, DROP)
        yield flow(table, UNMATCHED_REPLY, {"ct_state": (reply, reply)}, origin, _decided(side, REPLY, 0))
        yield flow(table, UNMATCHED, {}, origin, _decided(side, 0, 0))
        audited = (AUDITED, AUDITED)
        yield flow(side.audit, _MISSED, {RULE: audited}, of_table(side.audit), DROP)
        yield flow(side.audit, _DONE, {}, of_table(side.audit), goto(side.verdict))


def _no_server() -> Iterator[Flow]:
    """No VIF is a DHCP server. What it sends to a client whole has been dropped before (host_protocols); of fragments
    the connection alone tells the ports, and without the first one nobody puts the rest together."""
    table = SIDES[Direction.EGRESS].policy
    for eth_type, version in ((ETH_IPV4, 4), (ETH_IPV6, 6)):
        for state, port in ((_ORIGINAL_TRACKED, "ct_tp_dst"), (_REPLY_TRACKED, "ct_tp_src")):
            to_client: Fields = {
                "eth_type": eth_type, "ip_frag": FIRST_FRAGMENT, "ct_state": state, "ct_nw_proto": UDP,
                port: DHCP_CLIENT_PORTS[version],
            }  # fmt: skip
            yield flow(table, NEVER, to_client, of_table(table), DROP)


def _decided(side: Side, rule: int, priority: int) -> Instructions:
    return goto(side.audit, SetField(RULE, rule), SetField(PRECEDENCE, priority))


def _found(rule: Placed) -> Iterator[Flow]:
    for matched in rule.traffic:
        side, other = SIDES[matched.direction], OPPOSITE[matched.direction]
        yield from _in(side, rule, _below(side, rule, matched, ORIGINALS), rule.number)
        yield from _in(other, rule, _below(other, rule, matched, REPLIES), rule.number | REPLY)
        yield from _errors(side, rule, matched)


def _below(side: Side, rule: Placed, matched: Traffic, views: Sequence[View]) -> Iterator[Clauses]:
    register, value = on_path(side.path, rule.level, rule.node)
    for one in clauses(matched, views, side.vif):
        yield Clauses(one.view, one.version, {register: value, **one.common}, one.clauses)


def _in(side: Side, rule: Placed, found: Iterator[Clauses], number: int) -> Iterator[Flow]:
    for one in found:
        yield from entries(side.policy, rule.priority, one, rule.number, _decided(side, number, rule.priority))


def _errors(side: Side, rule: Placed, matched: Traffic) -> Iterator[Flow]:
    """ICMP errors pass as their connection does; they use up no rate, and nobody logs or counts them."""
    fate = goto(side.commit) if matched.action is RuleAction.ALLOW else DROP
    for one in _below(side, rule, matched, (View.ERROR,)):
        yield from entries(side.policy, rule.priority, one, rule.number, fate)


def _asking(leaf: LeafView, metered: set[int]) -> Iterator[Flow]:
    """A copy of the packet for each of the leaf's audited rules. A meter must drop the copy alone: only connection
    tracking makes the switch really copy, where else it would undo what it did to the packet. There the copy is of no
    connection, so replies, which audited rules do not count, are left out before."""
    for side in SIDES.values():
        asked = [one for one in leaf.audited if any(part.direction is side.direction for part in one.traffic)]
        register, value = on_path(side.path, len(leaf.path), leaf.node)
        for eth_type in (ETH_IPV4, ETH_IPV6):
            copies: list[Action] = []
            for one in asked:
                onwards = Conntrack(_zone(one), side.audit.id) if one.number in metered else Resubmit(side.audit.id)
                copies.append(Clone((SetField(RULE, AUDITED | one.number), onwards)))
            fields: Fields = {register: value, RULE: (0, AUDITED), "eth_type": eth_type, "ct_state": (0, CT_REPLY)}
            if copies:
                onwards_all = goto(side.verdict, *copies)
                yield flow(side.audit, _ASKING, fields, (CookieKind.PIPELINE, side.audit.id), onwards_all)


def _zone(rule: Placed) -> int:
    """Its own and no VIF's: fragments that wait there for the rest are not taken for those of the packet itself."""
    return _COPIES.start + rule.number % len(_COPIES)


def _asked(rule: Placed) -> Iterator[Flow]:
    """Where the deciding rule stands behind it, its priority is lower."""
    before: Sequence[Fields] = [
        {PRECEDENCE: (value, mask | 0xFFFF0000)} for value, mask in range_masks(0, rule.priority - 1)
    ]
    for matched in rule.traffic:
        side = SIDES[matched.direction]
        counted = Instructions(apply=(Resubmit(side.verdict.id),))
        for one in clauses(matched, ORIGINALS, side.vif):
            common: Fields = {RULE: AUDITED | rule.number, **one.common}
            asked = Clauses(one.view, one.version, common, (*one.clauses, before))
            yield from entries(side.audit, _ASKED, asked, rule.number, counted)
