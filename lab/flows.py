"""What ovs-ofctl prints, as values that can be compared. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

_FLOW = re.compile(r"cookie=(0x[0-9a-f]+), duration=([\d.]+)s, table=([^,]+), n_packets=(\d+), n_bytes=\d+,?\s*(.*)")
_AGES = re.compile(r"(idle|hard)_age=\d+, ")


@dataclass(frozen=True, slots=True)
class FlowLine:
    cookie: int
    duration_s: float
    table: str
    packets: int
    body: str  # priority, match and actions


def flows(dump: str) -> dict[tuple[int, str, str], FlowLine]:
    """The lines of `ovs-ofctl dump-flows` by cookie, table and body."""
    found = {}
    for line in dump.splitlines():
        if match := _FLOW.search(line):
            cookie, duration, table, packets, body = match.groups()
            flow = FlowLine(int(cookie, 16), float(duration), table, int(packets), _AGES.sub("", body).strip())
            found[flow.cookie, flow.table, flow.body] = flow
    return found


def changed(before: str, after: str, between_s: float) -> list[str]:
    """What differs between two dumps so many seconds apart: flows that came, went, or were written anew.

    An entry that was deleted and added again is the same line with a duration that has not grown.
    """
    old, new = flows(before), flows(after)
    found = [f"gone: {_text(old[key])}" for key in old if key not in new]
    found += [f"new: {_text(new[key])}" for key in new if key not in old]
    for key in old.keys() & new.keys():
        if new[key].duration_s - old[key].duration_s < 0.5 * between_s:
            found.append(f"written anew: {_text(new[key])}")
    return found


def _text(flow: FlowLine) -> str:
    return f"{flow.table}: {flow.body}"


def meters(dump: str) -> Mapping[int, int]:
    """kbit/s by meter id, of `ovs-ofctl dump-meters`."""
    return {int(meter): int(rate) for meter, rate in re.findall(r"meter=(\d+).*?\brate=(\d+)", dump, re.DOTALL)}
