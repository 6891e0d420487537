"""How much of something Open vSwitch takes, for whoever must refuse more of it without compiling anything."""

MOST_IN_SEGMENT = 2000  # two of the 4096 tables that Open vSwitch asks for a packet, for each VIF that gets a copy
