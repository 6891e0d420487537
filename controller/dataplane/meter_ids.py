"""Which meters are ours: a meter carries no cookie, only its id. Those above belong to somebody else."""

from __future__ import annotations

VIF_METERS = range(1, 0xC000)  # the VIF's number
RULE_METERS = range(0x10000, 0x30000)  # of a rule and a VIF, found by hashing
OUR_METERS = range(1, RULE_METERS.stop)
