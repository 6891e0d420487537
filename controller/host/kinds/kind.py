"""What a kind of VIF is to the agent: it makes the device, keeps it right, and takes it away again.

A pass calls `converge` for all VIFs of the kind, then puts the ports on the bridge, then `sweep`. Level-based: each
call starts from what is there, so a pass may be interrupted anywhere, repeated and lost.

A new kind is a class with these four methods, made in `controller.host.all_kinds`; nothing else of the agent knows it.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from ovsdb.rows import Snapshot, VirtualInterface
from ovsdb.switch import PortConfig, PortStatus
from policies.model import PolicySet


@dataclass(frozen=True, slots=True)
class PassView:
    """What a pass knows before it touches anything.

    policies: those in force. ports: of the bridge, as the database has them. held_open: devices that vswitchd has, or
    may still have, open. now_s: of the monotonic clock. port_types: that the switch can make. offloads: whether it may
    leave packets to NICs.
    """

    snapshot: Snapshot
    ports: Mapping[str, PortStatus]
    held_open: Collection[str]
    now_s: float
    policies: PolicySet = field(default_factory=PolicySet)
    port_types: Collection[str] = ()
    offloads: bool = False


@dataclass(frozen=True, slots=True)
class Made:
    """What became of one VIF.

    port: what the bridge shall have for it (its name is the device's); None: nothing yet. With create=False it is
    somebody else's: the agent decides about its queues alone. A port goes off the bridge with the next pass in which it
    is not here: name it also beside a fault, if it is to stay. place: the namespace of the instance's end, when the
    agent made that; device: its name there: the shaper stands on it. is_off_bridge: no port is to come, the VIF is
    ready as it is. has_queues: whether the port's device takes a queueing tree; is_policed: whether DPDK's policers
    hold it instead. no_ingress_limit: why nothing of this kind, on this device, can keep an ingress limit; None:
    something can. details: as in ovsdb.rows. fault: what is
    wrong, in words that say what to do; waiting: what somebody else has to do first, the VIF is then pending and
    nobody waits for it. note: what whoever runs the instance has to know, though the VIF is as it shall be.
    """

    port: PortConfig | None = None
    place: Path | None = None
    device: str | None = None
    is_off_bridge: bool = False
    has_queues: bool = True
    is_policed: bool = False
    no_ingress_limit: str | None = None
    details: Mapping[str, str] = field(default_factory=dict)
    fault: str | None = None
    waiting: str | None = None
    note: str | None = None


class Kind(Protocol):
    """VIFs of one kind on this host. What is wrong with one VIF is in its `Made`; a HostError is of the whole kind."""

    def concerns(self, vif: VirtualInterface) -> bool:
        """Whether the VIF is of this kind, and this host's (or may be)."""
        ...

    def converge(self, wanted: Sequence[VirtualInterface], view: PassView) -> Mapping[str, Made]:
        """Makes what is missing. By VIF name, every one of `wanted`. Raises HostError: then what was made before stays.

        Called each pass, at least once a second: what is fine must cost next to nothing (`Attempts` does that).
        """
        ...

    def sweep(self, wanted: Sequence[VirtualInterface], view: PassView) -> None:
        """Removes what this agent, or one before it, made for VIFs that are gone; their ports are off the bridge.

        Namespaces made for VIFs are the agent's own care (`Binder`). Raises HostError.
        """
        ...

    def remove_all(self) -> None:
        """Everything that agents of this chassis made. Nothing runs any more that uses it. Raises HostError."""
        ...
