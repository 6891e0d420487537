"""How far above a shaper stands what bounds a VIF's traffic after it: meter, and class on the uplink. Pure.

They bound an instance that removes its shaper, and must never touch what the shaper lets pass. That comes evenly to the
switch, but a busy switch takes it in lumps. With the shaper's own rate, what a lump has once filled would stay full for
as long as the sender sends all that it may, and the next lump would be lost.
"""

from __future__ import annotations

LUMP_MS = 50  # what a busy switch may take in one go of what the shaper sent evenly
_PERCENT = 102


def backstop_kbps(limit_kbps: int) -> int:
    """Of whatever follows a shaper at this limit."""
    return -(-limit_kbps * _PERCENT // 100)
