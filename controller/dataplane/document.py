"""docs/pipeline.md, printed from the declaration. Pure.

.venv/bin/python -c 'from controller.dataplane.document import page; print(page(), end="")' > docs/pipeline.md
"""

from __future__ import annotations

from collections.abc import Sequence

from controller.dataplane import registers
from controller.dataplane.cookies import LEARNED, TAG, CookieKind
from controller.dataplane.meter_ids import (
    NEIGHBOUR_METER,
    OUR_METERS,
    PACKET_METERS,
    RULE_METERS,
    SERVICE_METERS,
    VIF_METERS,
)
from controller.dataplane.pipeline import PIPELINE, Table

_HEAD = """# The pipeline of a bridge

Printed from `controller/dataplane/pipeline.py`; a test keeps it current.

A packet enters at the first table. What no entry matches is dropped. Tables have names in the switch:
`ovs-ofctl -O OpenFlow15 --names dump-flows br-weir` shows them.

| table | name | purpose | goes on in |
| --- | --- | --- | --- |
"""
_REGISTERS_HEAD = """
## Registers

| register | holds |
| --- | --- |
"""
_REGISTERS = {
    (registers.SOURCE_VIF,): "number of the VIF that sent the packet, 0 for one from outside; its low 16 bits are its "
    "conntrack zone",
    (registers.TARGET_VIF,): "number of the VIF that receives it, 0 for the outside; likewise a zone",
    (registers.SEGMENT,): "number of the segment",
    (registers.FLOOD_CHUNK,): "which part of a large segment a flooded packet is being copied to; "
    f"{registers.RESENT:#x}: the packet is judged again as egress; {registers.MEASURED:#x}: table route has measured "
    f"it, with bit {1 << registers.TOO_LARGE_BIT:#x}: it is too large",
    (registers.MARK,): "the DSCP that the packet leaves with, plus 1; 0: its own",
    (
        registers.EGRESS_DIGEST,
    ): "digest of the rules that judged the packet as egress; in table next_hop of the ports and "
    "VLAN of the segment's uplink",
    (registers.RULE,): "number of the rule that decides, 0: `unmatched` does; "
    f"bit {registers.REPLY:#x}: of a reply; bit {registers.AUDITED:#x}: an audited rule is being asked",
    (registers.PRECEDENCE,): "priority of the entry that found that rule; before one is found "
    f"{registers.UNTRACKED}: connection tracking cannot follow the packet, {registers.UNJUDGED}: no rule is asked; in "
    "table punt what the controller is asked for, see `controller/dataplane/asks.py`; in the tables of bounds how many "
    "of them the packet has been through",
    registers.SOURCE_PATH: "numbers of the nodes from the top of the policy tree to the sender's leaf, 16 bits each",
    registers.TARGET_PATH: "likewise the receiver's",
    (
        registers.OUTSIDE_PORT,
    ): "of what goes outside: the port to leave by, where the uplink has several; 0: all but the "
    "one that it came in by",
    (registers.NEXT_HOP4,): "of what is routed out of an uplink: the IPv4 address of the next hop; of what is "
    "measured: the bytes of a packet that its segment takes",
    (registers.NEXT_HOP6,): "likewise the IPv6 address; it is reg12 to reg15 as one",
}
_COOKIES = f"""
## Cookies

16 bits of tag ({TAG:#x}: ours), 8 bits of kind, 40 bits of the number of what asked for the entry. Entries without our
tag are somebody else's and are left alone; those with the tag {LEARNED >> 48:#x} were learned by the switch, in the
segment of that number, and are left alone too. `weir explain COOKIE` says which policy file and line an entry comes
from.

| kind | number of |
| --- | --- |
"""
_NUMBER_OF = {
    CookieKind.PIPELINE: "the table: the entry is always there",
    CookieKind.VIF: "the VIF",
    CookieKind.SEGMENT: "the segment",
    CookieKind.RULE: "the policy rule, whose packets it finds",
    CookieKind.UNMATCHED: "24 bits: the policy leaf, whose `unmatched` decides; 16 bits: the VIF",
    CookieKind.UNMATCHED_REPLY: "the same, for replies of connections that no rule matches",
    CookieKind.VERDICT: "24 bits: the policy rule; 16 bits: the VIF for which it acts and is counted",
    CookieKind.AUDIT: "24 bits: the policy rule under `stage: audit`; 16 bits: the VIF for which it is counted",
    CookieKind.SERVICE: "the VIF that asks the controller for something, 0: the outside",
    CookieKind.REPLY: "24 bits: the policy rule; 16 bits: the VIF; replies of the connections that the rule decides",
}
_METERS_HEAD = """
## Meters

| id | bounds |
| --- | --- |
"""
_METERS = {
    VIF_METERS: "what the VIF of that number sends",
    PACKET_METERS: "the packets of a VIF, or of all below a node: one for each bound and direction; of a VIF's budget "
    "of processor time one for both directions",
    RULE_METERS: "what a rule passes for one VIF; the copies of a VIF's packets that go to the controller",
    SERVICE_METERS: f"what a VIF asks of the controller: {SERVICE_METERS[0]} and its number, 0 for the outside; "
    f"{NEIGHBOUR_METER}: neighbours outside",
}
_OTHERS = f"\nMeters above {OUR_METERS[-1]} are somebody else's and are left alone.\n"
_MATCHES = """
## What entries match

| table | fields |
| --- | --- |
"""


def page() -> str:
    tables = "".join(map(_row, PIPELINE))
    held = "".join(f"| {_span(names)} | {purpose} |\n" for names, purpose in _REGISTERS.items())
    cookies = "".join(f"| {kind.value} {kind.name.lower()} | {_NUMBER_OF[kind]} |\n" for kind in CookieKind)
    meters = "".join(f"| {_span(ids)} | {purpose} |\n" for ids, purpose in _METERS.items())
    matches = "".join(f"| {table.name} | {' '.join(sorted(table.matches))} |\n" for table in PIPELINE)
    lists = (_REGISTERS_HEAD, held, _COOKIES, cookies, _METERS_HEAD, meters, _OTHERS, _MATCHES, matches)
    return _HEAD + tables + "".join(lists)


def _row(table: Table) -> str:
    return f"| {table.id} | {table.name} | {table.purpose} | {', '.join(table.goes_to) or 'a port'} |\n"


def _span(names: Sequence[object]) -> str:
    return str(names[0]) if len(names) == 1 else f"{names[0]} to {names[-1]}"
