"""Which register carries what through the pipeline."""

SOURCE_VIF = (
    "reg0"  # number of the VIF that sent the packet, 0 for one from outside; its low 16 bits are its conntrack zone
)
TARGET_VIF = "reg1"  # number of the VIF that receives it, 0 for the outside; likewise a zone
SEGMENT = "reg2"  # number of the segment
FLOOD_CHUNK = "reg3"  # which part of a large segment a flooded packet is being copied to; or RESENT
MARK = "reg4"  # the DSCP that the packet leaves with, plus 1; 0: its own
EGRESS_DIGEST = "reg5"  # of the rules that judged it as egress, see compiler.judgement
RULE = "reg6"  # number of the rule that decides, with REPLY; 0: none, the leaf's `unmatched` decides; see AUDITED
PRECEDENCE = "reg7"  # priority of the entry that found that rule: what audited rules stand before or behind

# Numbers of the nodes from the top of the policy tree down to the VIF's leaf, 16 bits each, two a register: those of
# the sender's path and of the receiver's. A node's rules are entries that match its number at its level, however many
# VIFs are below it.
SOURCE_PATH = ("reg8", "reg9", "reg10", "reg11")
TARGET_PATH = ("reg12", "reg13", "reg14", "reg15")

ASK = PRECEDENCE  # in table punt: dataplane.asks.Ask, what the controller is asked for
BOUND = PRECEDENCE  # in the tables of bounds: how many bounds of its packets the packet has been through
# On the way out of the router's uplink nobody judges as ingress, so the address of the next hop stands in the last
# register (IPv4) or all four (IPv6) of TARGET_PATH.
NEXT_HOP4, NEXT_HOP6 = "reg15", "xxreg3"
NETWORK = EGRESS_DIGEST  # in table next_hop: which ports and VLAN the segment's uplink has, see compiler.router
# Likewise of what goes outside: the port to leave by where the uplink has several, 0: all but the one it came in by.
OUTSIDE_PORT = TARGET_PATH[0]

# What a router forwards into a segment that takes less than others, while it is measured: how much that takes.
MOST_BYTES = TARGET_PATH[3]

RESENT = 0xFFFF_FFFF  # of FLOOD_CHUNK: judged again as egress, and then to go to the one receiver that it was for
FLOODED = 0xFFFF_FFFE  # of FLOOD_CHUNK: a copy of what goes to many
ANSWERED = 0xFFFF_FFFD  # of FLOOD_CHUNK: a solicitation that the router has turned into its answer
MEASURED = 1 << 30  # of FLOOD_CHUNK: compared with what its destination's segment takes; with
TOO_LARGE_BIT = 31  # of FLOOD_CHUNK, it is larger
UNTRACKED = 1  # of PRECEDENCE before a rule is found: connection tracking cannot follow the packet and calls it invalid
UNJUDGED = 2  # of PRECEDENCE on the way to the receiver: its rules are not asked
REPLY = 1 << 31  # of RULE: the packet is a reply, and the rule allowed, or would allow, its connection
AUDITED = 1 << 30  # of RULE, on a copy of the packet: the number is that of an audited rule which is being asked
