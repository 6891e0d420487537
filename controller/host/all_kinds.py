"""The kinds of VIF that this agent makes. Who adds one adds a line here, and touches nothing else of the agent.

Each gets what it needs of: the configuration, the links of the agent's own namespace, and the binder, which finds (or
makes, and removes) the namespace that a VIF is bound to.
"""

from __future__ import annotations

from collections.abc import Callable

from controller.host.binding import Binder
from controller.host.kinds.kind import Kind
from controller.host.kinds.port import Ports
from controller.host.kinds.tap import Taps
from controller.host.kinds.vf import VirtualFunctions
from controller.host.kinds.vhost_user import VhostUsers
from controller.host.link_table import LinkTable
from controller.host.settings import AgentConfig
from controller.host.veths import Veths
from controller.stream.messages import Repair


def all_kinds(
    config: AgentConfig, links: LinkTable, binder: Binder, on_repair: Callable[[Repair], None]
) -> tuple[Kind, ...]:
    """In the order in which they are converged and swept. Making them touches nothing."""
    return (
        Veths(config, links, binder, on_repair),
        Taps(config, links),
        VhostUsers(config),
        VirtualFunctions(config, links, binder),
        Ports(config),
    )
