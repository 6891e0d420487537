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

RESENT = 0xFFFF_FFFF  # of FLOOD_CHUNK: judged again as egress, and then to go to the one receiver that it was for
FLOODED = 0xFFFF_FFFE  # of FLOOD_CHUNK: a copy of what goes to many
UNTRACKED = 1  # of PRECEDENCE before a rule is found: connection tracking cannot follow the packet and calls it invalid
REPLY = 1 << 31  # of RULE: the packet is a reply, and the rule allowed, or would allow, its connection
AUDITED = 1 << 30  # of RULE, on a copy of the packet: the number is that of an audited rule which is being asked
