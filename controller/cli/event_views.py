"""What Weir repaired, a line each."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from controller.cli.times import local

COLUMNS = ("TIME", "CHASSIS", "KIND", "WHAT", "VIFS", "DIFFERED", "DONE")


def row(event: Mapping[str, Any]) -> list[str]:
    vifs = ", ".join(f"{vif['name']} ({vif['policy']})" for vif in event["vifs"]) or "-"
    return [
        local(event["time"]), event["chassis"], event["kind"], event["what"], vifs, event["differed"], event["done"],
    ]  # fmt: skip


def line(event: Mapping[str, Any]) -> str:
    when, chassis, _, what, vifs, differed, done = row(event)
    return f"{when} {chassis}: {what}{'' if vifs == '-' else f', VIF {vifs}'}: {differed}: {done}"
