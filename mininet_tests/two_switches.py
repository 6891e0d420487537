"""Two switches joined by one link, and hosts on both: who is where, on which segment, with which addresses.

      h1 h5 (red)                    (red) h3 h6
      h2 (blue)     s1 ── core ── s2 (blue) h4
      h7 h8 (yard)                   (yard) h9

red and blue are bridged: they cross the link as VLANs. yard is internal: each switch has one of its own.
"""

from __future__ import annotations

from mininet_tests.topology import Place, Plan, Segment

RED_VLAN, BLUE_VLAN = 10, 20
RED, BLUE = Segment("red", 1, "bridged", RED_VLAN), Segment("blue", 2, "bridged", BLUE_VLAN)
YARD = Segment("yard", 3, "internal")
PLACES = (
    Place(1, "s1", RED),
    Place(2, "s1", BLUE),
    Place(3, "s2", RED),
    Place(4, "s2", BLUE),
    Place(5, "s1", RED),
    Place(6, "s2", RED),
    Place(7, "s1", YARD),
    Place(8, "s1", YARD),
    Place(9, "s2", YARD),
)
LINK = ("s1-core", "s2-core")
PLAN = Plan({"s1": LINK[:1], "s2": LINK[1:]}, (LINK,), (RED, BLUE, YARD), PLACES)
SWITCHES, policy = PLAN.switches, PLAN.policy
