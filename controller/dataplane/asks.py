"""What a packet is sent up to the controller for: the value of register ASK in the copy. Pure.

Everything here pauses while no controller runs; what needs none (ARP, neighbour discovery where the datapath can write
it, ping, forwarding) is flow entries.
"""

from __future__ import annotations

import enum


class Ask(enum.IntEnum):
    DHCP4 = 1  # a request of a VIF whose addresses Weir chose
    DHCP6 = 2
    ROUTER_SOLICIT = 3  # of such a VIF
    NEIGHBOUR_SOLICIT = 4  # for an address of the router, where no entry can answer it
    TTL_EXCEEDED = 5  # it would have been routed
    NO_ROUTE = 6  # no segment, and no way out, has its destination
    NO_HOST = 7  # its destination is in a routed subnet, and no VIF has it
    NEIGHBOUR = 8  # its next hop outside is not known yet: NEXT_HOP holds it
    TOO_BIG = 9  # for the segment that it would be routed to
    LEASE = 10  # what a server or router outside tells a VIF of a segment without subnets
    NEIGHBOUR_ANSWER = 11  # a copy of an ARP or ND answer from outside to the router: the packets held for it can go
