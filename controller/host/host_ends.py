"""The host's end of a VIF: a marked link in the agent's own network namespace, which is a port of the bridge."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable, Mapping

from controller.host import links, sysctl
from controller.host.errors import HostError
from controller.host.link_codec import Link
from controller.host.links import GROUP, Mark
from controller.host.settings import AgentConfig

_SETTINGS = {
    "ipv6/conf/{}/disable_ipv6": "1",  # the host's own stack says nothing to the instance
    "ipv4/conf/{}/arp_ignore": "8",  # a userspace datapath leaves the frames to that stack as well: it must not answer
    "ipv4/conf/{}/rp_filter": "1",  # nor take them in: no route leads back through this link
}

log = logging.getLogger("weir.agent")


def silence(name: str) -> None:
    """Keeps the host's own stack out of what the instance sends. Raises HostError."""
    for key, value in _SETTINGS.items():
        sysctl.ensure(key.format(name), value)


def check_ours(found: Link, mark: Mark) -> None:
    """Raises HostError when the link was made by somebody else than agents of this chassis."""
    if found.group == GROUP and not found.alias:  # our creation, interrupted
        return
    owner = Mark.parse(found.alias)
    if owner is None or (owner.system, owner.chassis) != (mark.system, mark.chassis):
        raise HostError(
            f"link {found.name} exists and is not this agent's ({found.alias or 'no alias'})",
            f"Remove it (ip link delete {found.name}), or run only one system on this host's own network namespace",
        )


def delete_surplus(config: AgentConfig, present: Iterable[Link], prefix: str, wanted: Mapping[str, str]) -> None:
    """Deletes the links of this chassis, named by prefix and a number, that no VIF wants. Raises HostError.

    wanted: name of the link -> VIF. One without a mark is an interrupted creation, which whoever wants it completes.
    """
    surplus = [
        link.name
        for mark, link in links.ours(present, config.system, config.chassis)
        if _is_host_end(link, prefix)
        and not (link.name in wanted if mark is None else wanted.get(link.name) == mark.vif)
    ]
    if surplus:
        with links.netlink(None) as socket:
            for name in surplus:
                log.info("link %s removed: no VIF wants it", name)
                links.delete(socket, name)


def _is_host_end(link: Link, prefix: str) -> bool:
    """Not an instance's end whose namespace is the agent's own: that one goes with its other end."""
    return link.group == GROUP and re.fullmatch(prefix + "[0-9]+", link.name) is not None
