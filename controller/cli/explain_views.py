"""An explanation for people: the sentence first, then what belongs to it, a part each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from controller.cli import counter_views
from controller.cli.output import table

MOST_ENTRIES, MOST_VIFS, MOST_WALKS = 50, 20, 3
_WALK = ("order", "tier", "rule", "at", "directions", "stage", "does", "identity")


def show(body: Mapping[str, Any]) -> None:
    print(body["text"])
    if body["rule"] is not None:
        rule = body["rule"]
        print(f"rule {rule['identity']} ({rule['index']}, {rule['tier']}): {rule['text']}")
    _vifs(body["vifs"])
    for leaf, rows in list(body["walks"].items())[:MOST_WALKS]:
        print(f"\nrules of {leaf}, in the order in which they decide:")
        table(_WALK, [_row(number, row) for number, row in enumerate(rows, start=1)])
    if len(body["walks"]) > MOST_WALKS:
        print(f"... and of {len(body['walks']) - MOST_WALKS} more leaves, see --json")
    _part("meters", [f"{one['text']}: {one['for']}" for one in body["meters"]], MOST_ENTRIES)
    _part("queues", [_queue(one) for one in body["queues"]], MOST_ENTRIES)
    _part("flow entries", [one["text"] for one in body["entries"]], MOST_ENTRIES)
    counters = [one for one in body["counters"] or () if one["packets"]]
    if counters:
        print("\ncounters:")
        table(counter_views.COLUMNS, [counter_views.row(one) for one in counters])


def _vifs(vifs: Sequence[Mapping[str, Any]]) -> None:
    names = [one["name"] for one in vifs]
    more = f" and {len(names) - MOST_VIFS} more" if len(names) > MOST_VIFS else ""
    if names:
        print(f"VIFs: {', '.join(names[:MOST_VIFS])}{more}")


def _part(title: str, lines: Sequence[str], most: int) -> None:
    if not lines:
        return
    print(f"\n{title}: {len(lines)}")
    for line in lines[:most]:
        print(f"  {line}")
    if len(lines) > most:
        print(f"  ... and {len(lines) - most} more, see --json")


def _row(number: int, row: Mapping[str, Any]) -> list[str]:
    directions = ",".join(row["directions"])
    return [
        str(number), row["tier"], row["index"] or row["node"], row["at"], directions, row["stage"], row["text"],
        row["identity"] or "-",
    ]  # fmt: skip


def _queue(one: Mapping[str, Any]) -> str:
    words = [one["place"], f"on {one['chassis']}:", one["owner"]]
    words += [f"class {one['class']}"] if one["class"] else []
    words += [f"({one['class_id']})"] if one["class_id"] else []
    words.append(f"guarantee {one['guarantee_kbps']} kbit")
    words += [f"limit {one['limit_kbps']} kbit"] if one["limit_kbps"] is not None else []
    words.append(f"weight {one['weight']:g}")
    words += [f"buffer {one['buffer_bytes']} bytes"] if one["buffer_bytes"] is not None else []
    congestion = one["congestion"]
    words += [congestion["queue"]] if congestion["queue"] != "fifo" or congestion["ecn"] else []
    return " ".join([*words, *(["ecn"] if congestion["ecn"] else [])])
