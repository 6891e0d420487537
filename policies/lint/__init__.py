"""What is right by the grammar and surely not meant: rules, guarantees and names without effect. Pure."""

from __future__ import annotations

from collections.abc import Collection

from policies.findings import Finding
from policies.hierarchy import Member
from policies.lint.bandwidth import idle_limits, overcommitted
from policies.lint.names import unused
from policies.lint.unreachable import unreachable
from policies.model import PolicySet


def lint(policies: PolicySet, members: Collection[Member] = ()) -> list[Finding]:
    """Warnings, in the order of the files. members: the VIFs there are; without any, only what is written counts."""
    found = {
        *unreachable(policies),
        *overcommitted(policies, members),
        *idle_limits(policies),
        *unused(policies),
    }
    return sorted(found)
