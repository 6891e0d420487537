"""Which meters are ours: a meter carries no cookie, only its id. Those above belong to somebody else.

All below 200,000, the most that the kernel datapath has.
"""

from __future__ import annotations

VIF_METERS = range(1, 0xC000)  # the VIF's number
PACKET_METERS = range(0xC000, 0x10000)  # of a VIF's or a node's packets, found by hashing
RULE_METERS = range(0x10000, 0x24000)  # of a rule and a VIF, found by hashing
# Of what a VIF asks of the controller: the first and its number; 0: the outside. The last: neighbours outside.
SERVICE_METERS = range(0x24000, 0x30001)
NEIGHBOUR_METER = SERVICE_METERS[-1]
OUR_METERS = range(1, SERVICE_METERS.stop)
