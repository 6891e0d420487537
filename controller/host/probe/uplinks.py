"""How fast the NICs of the uplinks say that they are."""

from __future__ import annotations

from pathlib import Path

from controller.host.settings import AgentConfig
from policies.enforcement import UPLINK_SPEED


def speeds(root: Path, config: AgentConfig) -> dict[str, str]:
    """In Mbit/s, by UPLINK_SPEED and the uplink; none of a device without link, or that says nothing. root: sysfs."""
    found = {}
    for name, device in config.uplinks.items():
        try:
            speed = int((root / "class" / "net" / device / "speed").read_text())
        except (OSError, ValueError):
            continue
        if speed > 0:  # -1: it does not know
            found[UPLINK_SPEED + name] = str(speed)
    return found
