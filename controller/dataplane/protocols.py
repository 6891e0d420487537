"""Numbers of other people's standards that match fields hold."""

ETH_IPV4, ETH_ARP, ETH_IPV6 = 0x0800, 0x0806, 0x86DD
IPV6_EXTENSIONS = (0, 43, 44, 51, 60)  # headers that stand before the one that says what an IPv6 packet is
ICMP, IGMP, TCP, UDP, ICMP6, SCTP = 1, 2, 6, 17, 58, 132

VLAN_PRESENT = 0x1000  # of vlan_vid
MULTICAST = (1 << 40, 1 << 40)  # eth_dst: the group bit, which broadcast has too

CT_NEW, CT_RELATED, CT_REPLY, CT_INVALID, CT_TRACKED = 0x01, 0x04, 0x08, 0x10, 0x20  # ct_state (Open vSwitch)
NO_FRAGMENT, FIRST_FRAGMENT, LATER_FRAGMENT, NOT_LATER = (0, 3), (1, 3), (2, 2), (0, 2)  # ip_frag
