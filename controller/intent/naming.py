"""VIFs named in a line for people. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from policies.wording import quoted

SHOWN = 8  # names in a line; more are counted


def vifs_named(names: Sequence[str]) -> str:
    """ "VIF 'a'", or "VIFs 'a', 'b' and 3 more"."""
    shown = ", ".join(map(quoted, names[:SHOWN])) + (f" and {len(names) - SHOWN} more" if len(names) > SHOWN else "")
    return f"VIF{'s' if len(names) > 1 else ''} {shown}"
