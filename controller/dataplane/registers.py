"""Which register carries what through the pipeline."""

SOURCE_VIF = (
    "reg0"  # number of the VIF that sent the packet, 0 for one from outside; its low 16 bits are its conntrack zone
)
TARGET_VIF = "reg1"  # number of the VIF that receives it, 0 for the outside; likewise a zone
SEGMENT = "reg2"  # number of the segment
FLOOD_CHUNK = "reg3"  # which part of a large segment a flooded packet is being copied to
SOURCE_NODE = "reg4"  # number of the policy leaf that judges the packet as egress
TARGET_NODE = "reg5"  # number of the policy leaf that judges it as ingress
