"""docs/pipeline.md, printed from the declaration. Pure.

.venv/bin/python -c 'from controller.dataplane.document import page; print(page(), end="")' > docs/pipeline.md
"""

from __future__ import annotations

from controller.dataplane.cookies import TAG, CookieKind
from controller.dataplane.pipeline import PIPELINE, Table

_HEAD = """# The pipeline of a bridge

Printed from `controller/dataplane/pipeline.py`; a test keeps it current.

A packet enters at the first table. What no entry matches is dropped. Tables have names in the switch:
`ovs-ofctl -O OpenFlow15 --names dump-flows br-weir` shows them.

| table | name | purpose | goes on in |
| --- | --- | --- | --- |
"""
_REGISTERS = """
## Registers

| register | holds |
| --- | --- |
| reg0 | number of the VIF that sent the packet, 0 for one from outside; its low 16 bits are its conntrack zone |
| reg1 | number of the VIF that receives it, 0 for the outside; likewise a zone |
| reg2 | number of the segment |
| reg3 | which part of a large segment a flooded packet is being copied to |
| reg4 | number of the policy leaf that judges the packet as egress |
| reg5 | number of the policy leaf that judges it as ingress |
"""
_COOKIES = f"""
## Cookies

16 bits of tag ({TAG:#x}: ours), 8 bits of kind, 40 bits of the number of what asked for the entry. Entries without our
tag are somebody else's and are left alone; so are meters above 65535. `weir explain COOKIE` says which policy file and
line an entry comes from.

| kind | number of |
| --- | --- |
"""
_NUMBER_OF = {
    CookieKind.PIPELINE: "the table: the entry is always there",
    CookieKind.VIF: "the VIF",
    CookieKind.SEGMENT: "the segment",
    CookieKind.RULE: "the policy rule",
    CookieKind.UNMATCHED: "the policy leaf, whose `unmatched` decides",
}
_MATCHES = """
## What entries match

| table | fields |
| --- | --- |
"""


def page() -> str:
    tables = "".join(map(_row, PIPELINE))
    cookies = "".join(f"| {kind.value} {kind.name.lower()} | {_NUMBER_OF[kind]} |\n" for kind in CookieKind)
    matches = "".join(f"| {table.name} | {' '.join(sorted(table.matches))} |\n" for table in PIPELINE)
    return _HEAD + tables + _REGISTERS + _COOKIES + cookies + _MATCHES + matches


def _row(table: Table) -> str:
    return f"| {table.id} | {table.name} | {table.purpose} | {', '.join(table.goes_to) or 'a port'} |\n"
