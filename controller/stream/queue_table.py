"""The counters of many queues: a block for each kind of queue, and rows of blocks on the wire. Pure.

A block is named "shaper", "uplink" or "ingress", or after one of the latter two and a traffic class: "uplink bulk". Its
columns are bytes sent, packets sent, packets dropped, bytes that wait.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

import numpy as np

from controller.measure import counted
from controller.measure.counted import Counted

SHAPER, UPLINK, INGRESS = "shaper", "uplink", "ingress"
COLUMNS = 4
_MOST_VIF = (1 << 16) - 1

Blocks = Mapping[str, Counted]


def flat(rows: Counted) -> list[int]:
    """Number and counters of each VIF, one after the other."""
    numbered: list[int] = np.column_stack([rows.keys.astype(np.uint64), rows.value]).ravel().tolist()
    return numbered


def from_flat(numbers: object) -> Counted:
    """Undoes `flat`. Raises ValueError for anything that it does not make."""
    if not isinstance(numbers, list) or len(numbers) % (COLUMNS + 1) or not set(map(type, numbers)) <= {int}:
        raise ValueError("rows of queues are whole numbers, one VIF's number and counters after another's")
    try:
        numbered = np.array(numbers, dtype=np.uint64).reshape(-1, COLUMNS + 1)
    except OverflowError as fault:
        raise ValueError("a counter of more than 64 bits, or below 0") from fault
    keys = numbered[:, 0]
    if len(keys) and not (keys[0] > 0 and keys[-1] <= _MOST_VIF and bool((keys[1:] > keys[:-1]).all())):
        raise ValueError("VIF numbers out of range, or not in ascending order")
    return Counted(keys.astype(np.int64), numbered[:, 1:])


def merged(before: Blocks, part: Blocks) -> dict[str, Counted]:
    """`before`, with the rows of `part` in place of, or beside, its own."""
    both = {name: counted.merged(before[name], rows) if name in before else rows for name, rows in part.items()}
    return {**before, **both}


def changed(before: Blocks, now: Blocks) -> dict[str, Counted] | None:
    """What `merged` makes `now` of, given `before`; None: there is no such part, as queues have come or gone."""
    if before.keys() - now.keys():
        return None
    part = {}
    for name, rows in now.items():
        moved = counted.changed(before[name], rows) if name in before else rows
        if moved is None:
            return None
        if len(moved.keys):
            part[name] = moved
    return part


def class_block(block: str, traffic_class: str) -> str:
    return f"{block} {traffic_class}"


def classes_in(blocks: Iterable[str], block: str) -> Iterator[tuple[str, str]]:
    """Names of the traffic classes that have queues of this kind, with the names of their blocks."""
    for name in blocks:
        kind, space, traffic_class = name.partition(" ")
        if space and kind == block:
            yield traffic_class, name
