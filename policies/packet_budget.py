"""What a share of processor time is worth: packets a second, at what a packet costs on its host. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from policies.enforcement import PACKET_COST, PACKET_COST_OF, Abilities, lack
from policies.model import Node
from policies.scaling import Scaled, cpu_in_force

# Until a host has measured it. Seen on a machine of two cores: 5 us in floods, 10 to 20 at some thousand packets a
# second, 40 where each packet comes alone and wakes the datapath. DPDK's never sleeps: more than was seen of it.
ASSUMED_NS, ASSUMED_POLLING_NS = 20_000, 5_000
_NS = 1_000_000_000  # of a second


@dataclass(frozen=True, slots=True)
class PacketCost:
    """ns: processor time for a packet's whole way through the datapath. packets: of how many that was measured; 0: it
    is assumed."""

    ns: int
    packets: int = 0


@dataclass(frozen=True, slots=True)
class Budget:
    """share: of one datapath core, as a part."""

    share: float
    cost: PacketCost

    @property
    def pps(self) -> int:
        """Of what a VIF sends and receives together."""
        return max(int(self.share * _NS / self.cost.ns), 1)


def packet_cost(abilities: Abilities) -> PacketCost | None:
    """None: the host cannot tell."""
    if lack(abilities, PACKET_COST) is not None:
        return None
    return PacketCost(int(abilities.get(PACKET_COST, ASSUMED_NS)), int(abilities.get(PACKET_COST_OF, 0)))


def budget(leaf: Node, scaled: Scaled, abilities: Abilities) -> Budget | None:
    """Of a VIF that follows the leaf. None: it has none, or the host cannot tell."""
    share, cost = cpu_in_force(leaf, scaled), packet_cost(abilities)
    return None if share is None or cost is None else Budget(share, cost)
