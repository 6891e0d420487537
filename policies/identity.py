"""Who is where at this moment: the VIFs there are as rules see them, and the users bound to addresses. Pure.

A value made from the Weir DB at a time; bindings that have expired by then are not in it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from policies.model import IPAddress

APP_LABEL, USER_LABEL = "app", "user"


@dataclass(frozen=True, slots=True)
class Party:
    """A VIF as rules see it. addresses: those it was given and its IPv6 link-local one.

    users: those bound to it, and the one of its label `user`. labels: key and value, sorted.
    """

    name: str
    number: int
    policy: str  # path of its leaf
    segment: str
    addresses: frozenset[IPAddress] = frozenset()
    users: frozenset[str] = frozenset()
    labels: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Identities:
    """parties: every VIF there is, on any host, by name. addresses: of the users who are bound to addresses."""

    parties: Mapping[str, Party] = field(default_factory=dict)
    addresses: Mapping[str, frozenset[IPAddress]] = field(default_factory=dict)
